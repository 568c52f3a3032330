"""Draw the provenance of the study on one page: the graph of all jobs, each with its record."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from geometry.files import write_text
from geometry.provenance.job import Job
from geometry.provenance.records import Record, makers, read_record

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

PAGE = Path(__file__).parent / "geometry/provenance/page.html"


def columns_of(parents: Mapping[str, list[str]]) -> list[list[str]]:
    """Jobs by the longest chain of jobs before them, so that every job is to the right of its inputs."""
    depth: dict[str, int] = {}

    def depth_of(job: str) -> int:
        if job not in depth:
            depth[job] = 1 + max(map(depth_of, parents[job]), default=-1)
        return depth[job]

    return [[job for job in parents if depth_of(job) == d] for d in range(1 + max(map(depth_of, parents)))]


def groups_of(column: list[str]) -> list[dict]:
    """The jobs of one column by rule."""
    groups: dict[str, list[str]] = {}
    for job in sorted(column):
        groups.setdefault(job.split()[0], []).append(job)
    return [{"rule": rule, "members": members} for rule, members in groups.items()]


def card(record: Record, parents: list[str]) -> dict:
    """The data of the page on one job."""
    content, run = record.content, record.content["run"]
    return {
        "rule": content["rule"],
        "label": record.job.removeprefix(content["rule"]).strip(),
        "parents": parents,
        "outputs": record.outputs,
        "inputs": record.inputs,
        "params": yaml.safe_dump(record.params, sort_keys=False, allow_unicode=True),
        "digest": content["code"]["digest"],
        "modules": list(content["code"]["modules"]),
        "software": [f"Python {content['python']}", *map(" ".join, content["packages"].items())],
        "ran": record.ran,
        "commit": f"{run['commit'] or 'unknown'}{' with uncommitted changes' if run['dirty'] else ''}",
    }


def provenance_page(records: list[Record], template: str) -> str:
    """The page; the content of records is embedded as JSON and shown as text, never as markup."""
    maker = makers(records)
    parents = {one.job: sorted({maker[path].job for path in one.inputs if path in maker}) for one in records}
    data = {
        "columns": [groups_of(column) for column in columns_of(parents)],
        "jobs": {record.job: card(record, parents[record.job]) for record in records},
    }
    return template.replace("DATA", json.dumps(data).replace("<", "\\u003c"))


if __name__ == "__main__":
    with Job(snakemake, reproducible=False) as job:
        records = [read_record(path) for path in snakemake.input]
        write_text(provenance_page(records, PAGE.read_text(encoding="utf-8")), snakemake.output.page)
        job.info(f"drew {len(records)} jobs")
