"""Verify every file under results/ against its record, and every record against this checkout."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from snakemake.exceptions import WorkflowError

from geometry.files import files_below
from geometry.provenance.audit import (
    MADE_OTHERWISE,
    MOVE_AWAY,
    broken_environment,
    broken_files,
    broken_links,
    broken_plan,
    conflicting_records,
    is_behind,
    is_closed,
    is_dead,
    remedy,
    stray_files,
)
from geometry.provenance.code_digest import code_of
from geometry.provenance.job import project_folder
from geometry.provenance.job_graph import planned_jobs
from geometry.provenance.records import Record, RecordError, makers, read_record, record_paths
from geometry.provenance.requirements_lock import read_lock

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

NO_RECORD = {"results/.gitignore", "results/README.md"}


def breaks(project: Path, config: dict) -> Iterator[str]:
    """All discrepancies in the chain from the configuration to the report, a sentence each."""
    lock, dead = project / "envs/requirements.txt", list(filter(is_dead, files_below("results")))
    try:
        plan = planned_jobs(project / "Snakefile", config)
    except WorkflowError:  # Snakemake cannot plan with such a link in place of a file
        if not dead:
            raise
        yield from stray_files(dead, ())
        return
    planned = {path: job for job in plan for path in (job.record, *job.outputs)}
    records: list[Record] = []
    unreadable = set()
    for path in map(str, record_paths()):
        try:
            records.append(read_record(path))
        except RecordError as error:
            unreadable.add(path)
            mend = remedy(planned[path].outputs[0], planned) if path in planned else MOVE_AWAY
            if not is_dead(Path(path)):
                yield f"{error}. {mend}"
    maker, by_path = makers(records), {record.path: record for record in records}
    known = {*NO_RECORD, *maker, *by_path, *unreadable, *planned}
    on_the_way = {str(folder) for path in known for folder in Path(path).parents}
    files = list(files_below(Path("results"), is_entered=lambda link: str(link) in on_the_way))
    closed = {str(path) for path in files if is_closed(path)}
    yield from broken_environment(read_lock(lock))
    yield from broken_files(records, planned, closed)
    yield from broken_links(records, maker, planned)
    yield from conflicting_records(records, maker, planned)
    yield from stray_files(files, known)
    for job in plan:
        record = by_path.get(job.record)
        lost = record is None and any(is_behind(path, closed) for path in (job.record, *job.outputs))
        if job.record not in unreadable and not lost:  # else it has been reported already
            code = code_of(project / "scripts" / f"{job.rule}.py", lock)
            yield from broken_plan(job, record, code, read_lock(lock))


if __name__ == "__main__":
    found = list(breaks(project_folder(snakemake), snakemake.params.config))
    count = f"{len(found)} break" if len(found) == 1 else f"{len(found)} breaks"
    Path(snakemake.log[0]).write_text(f"{count}\n", encoding="utf-8")
    if found:
        what_to_run = "What is to be run needs the same --configfile and --directory as the audit."
        if sum(MADE_OTHERWISE in sentence for sentence in found) > 1:
            what_to_run += f" For all that was {MADE_OTHERWISE}, run snakemake alone first, and audit again."
        sys.exit("\n".join([*found, f"{count}. {what_to_run}"]))
    records = [read_record(path) for path in record_paths()]
    print(
        f"Sound: {sum(len(record.outputs) for record in records)} files of {len(records)} jobs have the content, "
        "the inputs, the code, the packages and the configuration that their records tell."
    )
