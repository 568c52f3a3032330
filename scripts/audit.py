"""Verify every file under results/ against its record, and every record against this checkout."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from geometry.audit import broken_environment, broken_files, broken_links, broken_plan, stray_files
from geometry.digest import code_of
from geometry.lock import read_lock
from geometry.plan import planned_jobs
from geometry.records import Record, RecordError, makers, read_record, record_paths

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

KEPT = {"results/.gitignore", "results/README.md"}


def breaks(project: Path, config: dict) -> Iterator[str]:
    """Every break in the chain from the configuration to the report, as a sentence; the last tells what holds."""
    records: list[Record] = []
    for path in record_paths():
        try:
            records.append(read_record(path))
        except RecordError as error:
            yield str(error)
    maker, by_path = makers(records), {record.path: record for record in records}
    plan, lock = planned_jobs(project / "Snakefile", config), project / "envs/requirements.txt"
    known = {*KEPT, *maker, *map(str, record_paths())}.union(*((job.record, *job.outputs) for job in plan))
    yield from broken_environment(read_lock(lock))
    yield from broken_files(records)
    yield from broken_links(records, maker, known)
    yield from stray_files(Path("results"), known)
    unreadable = {str(path) for path in record_paths()} - by_path.keys()
    for job in (job for job in plan if job.record not in unreadable):
        code = code_of(project / "scripts" / f"{job.rule}.py", lock)
        yield from broken_plan(job, by_path.get(job.record), code, read_lock(lock))


if __name__ == "__main__":
    project = Path(snakemake.scriptdir).parent
    found = list(breaks(project, snakemake.params.config))
    Path(snakemake.log[0]).write_text("".join(f"{line}\n" for line in found))
    if found:
        sys.exit(f"{len(found)} breaks, listed below and in {snakemake.log[0]}")
    records = [read_record(path) for path in record_paths()]
    print(
        f"Sound: {sum(len(record.outputs) for record in records)} files of {len(records)} jobs have the content, "
        "the inputs, the code, the packages and the configuration that their records tell."
    )
