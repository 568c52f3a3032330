"""Print the ancestry of one file: all jobs and files that it was made from, down to configuration and code."""

import os
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from geometry.provenance.code_digest import file_digest
from geometry.provenance.records import Record, ancestors, makers, read_record, record_paths

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def describe_file(path: str, digest: str) -> str:
    """The path, sha256 and state of a file: as written, changed or missing."""
    state = "missing" if not Path(path).is_file() else "as written" if file_digest(path) == digest else "CHANGED SINCE"
    return f"{path}  sha256 {digest[:16]}  {state}"


def describe_job(record: Record, maker: Mapping[str, Record]) -> Iterator[str]:
    """A few lines of text on one job."""
    run = record.content["run"]
    tree = {None: "", False: " (clean)", True: " (with uncommitted changes)"}[run["dirty"]]
    yield record.job
    yield from (f"  wrote  {describe_file(*item)}" for item in record.outputs.items())
    for path, digest in record.inputs.items():
        unknown = "a job without record" if Path(path).is_relative_to("results") else "elsewhere"
        job = maker[path].job if path in maker else unknown
        yield f"  read   {path}  sha256 {digest[:16]}  from {job}"
    text = yaml.safe_dump(record.params, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
    yield from (f"  with   {line}" for line in text.splitlines())
    yield f"  code   {record.content['code']['digest']}: {' '.join(record.content['code']['modules'])}"
    yield f"  ran    {record.ran}"
    yield f"  commit {run['commit'] or 'unknown'}{tree}"


def describe_software(records: list[Record]) -> Iterator[str]:
    """The versions of Python and of every package that any of the jobs used."""
    versions: dict[str, set[str]] = {}
    for record in records:
        for name, version in {"Python": record.content["python"], **record.content["packages"]}.items():
            versions.setdefault(name, set()).add(version)
    software = (f"{name} {' and '.join(sorted(found))}" for name, found in versions.items())
    yield f"software: {', '.join(software)}"
    for name in ("platform", "processor"):
        yield f"{name}: {' and '.join(sorted({record.content['run'][name] for record in records}))}"


def ancestry(path: str, records: list[Record]) -> Iterator[str]:
    """The jobs behind a file, the last first; raises `LookupError` if no job is recorded that wrote it."""
    maker = makers(records) | {record.path: record for record in records}
    if path not in maker:  # it may be called by the place that a link leads to
        place = os.path.realpath(path)
        path = next((known for known in maker if os.path.realpath(known) == place), path)
    if path not in maker:
        near = get_close_matches(path, maker, n=3, cutoff=0.3)
        raise LookupError(f"artefact is {path!r}, which no recorded job wrote; similar are {', '.join(near) or 'none'}")
    behind = list(ancestors(path, maker))
    for record in behind:
        yield from describe_job(record, maker)
        yield ""
    yield from describe_software(behind)


if __name__ == "__main__":
    artefact = snakemake.params.artefact
    if artefact is None:
        sys.exit("say of which file: snakemake provenance --config artefact=results/claims.csv")
    try:
        lines = list(ancestry(os.path.relpath(str(artefact)), [read_record(path) for path in record_paths()]))
    except (LookupError, ValueError) as error:
        sys.exit(str(error))
    sys.stdout.reconfigure(errors="backslashreplace")  # of a terminal that cannot show what is in the records
    Path(snakemake.log[0]).write_text("\n".join(lines), encoding="utf-8", errors="backslashreplace")
    print("\n".join(lines))
