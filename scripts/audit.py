"""Verify every file under results/ against its record, and every record against this checkout."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from geometry.audit import (
    broken_environment,
    broken_files,
    broken_links,
    broken_plan,
    remedy,
    rival_records,
    stray_files,
)
from geometry.digest import code_of
from geometry.job import project_folder
from geometry.lock import read_lock
from geometry.plan import planned_jobs
from geometry.records import Record, RecordError, makers, read_record, record_paths

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

KEPT = {"results/.gitignore", "results/README.md"}


def breaks(project: Path, config: dict) -> Iterator[str]:
    """Every break in the chain from the configuration to the report, as a sentence."""
    plan, lock = planned_jobs(project / "Snakefile", config), project / "envs/requirements.txt"
    planned = {path: job for job in plan for path in (job.record, *job.outputs)}
    records: list[Record] = []
    for path in map(str, record_paths()):
        try:
            records.append(read_record(path))
        except RecordError as error:
            yield f"{error}. {remedy(planned[path].outputs[0], planned) if path in planned else 'Delete it'}"
    maker, by_path = makers(records), {record.path: record for record in records}
    yield from broken_environment(read_lock(lock))
    yield from broken_files(records, planned)
    yield from broken_links(records, maker, planned)
    yield from rival_records(records, maker, planned)
    yield from stray_files(Path("results"), {*KEPT, *maker, *map(str, record_paths()), *planned})
    for job in plan:
        if job.record in by_path or not Path(job.record).exists():  # else its record has been named already
            code = code_of(project / "scripts" / f"{job.rule}.py", lock)
            yield from broken_plan(job, by_path.get(job.record), code, read_lock(lock))


if __name__ == "__main__":
    found = list(breaks(project_folder(snakemake), snakemake.params.config))
    Path(snakemake.log[0]).write_text(f"{len(found)} breaks\n")
    if found:
        what_to_run = "What is to be run needs the same --configfile and --directory as the audit."
        sys.exit("\n".join([*found, f"{len(found)} breaks. {what_to_run}"]))
    records = [read_record(path) for path in record_paths()]
    print(
        f"Sound: {sum(len(record.outputs) for record in records)} files of {len(records)} jobs have the content, "
        "the inputs, the code, the packages and the configuration that their records tell."
    )
