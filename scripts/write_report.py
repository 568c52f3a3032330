"""Write Snakemake's own report of the study, by a second Snakemake process."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from geometry.files import atomic_path
from geometry.provenance.job import Job, project_folder

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def write_report(snakefile: Path, config: dict, path: Path) -> str:
    """Write the report of rule `study`; returns Snakemake's output. No job runs and Snakemake takes no lock."""
    with tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / "config.json"
        merged.write_text(json.dumps(config), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile, "--directory", "."]
        command += ["--configfile", merged, "--nolock", "--report", path, "--", "study"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
        # Snakemake opens its own templates in the encoding of the locale.
        result = subprocess.run(command, check=False, env={**os.environ, "PYTHONUTF8": "1"}, **pipes)
    if result.returncode:
        raise RuntimeError(f"Snakemake could not write the report:\n{result.stdout}")
    return result.stdout


if __name__ == "__main__":
    with Job(snakemake, reproducible=False) as job:
        snakefile = project_folder(snakemake) / "Snakefile"
        with atomic_path(snakemake.output.report) as path:
            job.info(write_report(snakefile, snakemake.params.config, path).strip().splitlines()[-1])
