"""Export the study as a Workflow Run RO-Crate: the workflow's source beside its results, and what tells of both."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from geometry.crate import study_crate
from geometry.job import Job, project_folder
from geometry.records import read_record
from geometry.storage import atomic_path

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def copy_source(project: Path, copies: list[str], folder: Path) -> None:
    """Copy files of the project to the same places under a folder, which holds nothing else then."""
    shutil.rmtree(folder)
    for copy in map(Path, copies):
        with atomic_path(copy) as path:
            shutil.copyfile(project / copy.relative_to(folder), path)


if __name__ == "__main__":
    with Job(snakemake, reproducible=False) as job:
        output, project = snakemake.output, project_folder(snakemake)
        copy_source(project, output.source, Path(output.config).parent)
        with atomic_path(output.config) as path:
            path.write_text(yaml.safe_dump(snakemake.params.config, allow_unicode=True))
        records = [read_record(path) for path in snakemake.input]
        citation = yaml.safe_load((project / "CITATION.cff").read_text())
        source = [Path(copy).relative_to("results").as_posix() for copy in output.source]
        with atomic_path(output.crate) as path:
            path.write_text(study_crate(records, source, citation, snakemake.params.engine))
        job.info(f"{len(records)} jobs and {len(source)} files of source")
