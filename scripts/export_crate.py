"""Export the study as a Workflow Run RO-Crate: the workflow's source beside its results, and their metadata."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from geometry.files import atomic_path, write_text
from geometry.provenance.job import Job, project_folder
from geometry.provenance.records import read_record
from geometry.provenance.ro_crate import study_crate

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def copy_source(project: Path, copies: list[str], folder: Path) -> None:
    """Copy files of the project to the same places under a folder, and remove all other files there."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for copy in map(Path, copies):
        with atomic_path(copy) as path:
            shutil.copyfile(project / copy.relative_to(folder), path)


if __name__ == "__main__":
    with Job(snakemake, reproducible=False) as job:
        output, project = snakemake.output, project_folder(snakemake)
        copy_source(project, output.source, Path(output.config).parent)
        write_text(yaml.safe_dump(snakemake.params.config, allow_unicode=True), output.config)
        records = [read_record(path) for path in snakemake.input]
        citation = yaml.safe_load((project / "CITATION.cff").read_bytes())
        source = [Path(copy).relative_to("results").as_posix() for copy in output.source]
        write_text(study_crate(records, source, citation, snakemake.params.engine), output.crate)
        job.info(f"{len(records)} jobs and {len(source)} files of source")
