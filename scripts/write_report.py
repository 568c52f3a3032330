"""Write Snakemake's own report of the study, by a second Snakemake process, and let it open on the findings."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geometry.files import atomic_path
from geometry.provenance.job import Job, project_folder

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


VIEW = """<script>
{ // The first result is shown. Categories and results are listed in their order, where Snakemake sorts by alphabet.
  const paths = PATHS, place = new Map(), add = (name) => place.has(name) || place.set(name, place.size);
  const holds = (category, path) => Object.values(categories[category]).flat().includes(path);
  for (const path of paths) {
    Object.keys(categories).filter((category) => holds(category, path)).forEach(add);
    Object.values(results[path].labels).forEach(add);
  }
  const alphabetical = String.prototype.localeCompare;
  String.prototype.localeCompare = function (other) {
    const places = [String(this), other].map((name) => place.get(name));
    return places.includes(undefined) ? alphabetical.call(this, other) : places[0] - places[1];
  };
  const view = { content: "html", contentPath: results[paths[0]].data_uri, resultPath: paths[0] };
  const show = () => (app === undefined ? setTimeout(show) : app.setView(view)); // React makes the app when it has time
  show();
}
</script>
"""
"""A script for the end of Snakemake's page, which has the variables `app`, `categories` and `results`."""


def view_of(paths: Sequence[str]) -> str:
    """The script that opens the page on the first of some results, and lists them in their order."""
    return VIEW.replace("PATHS", json.dumps(list(paths)).replace("</", "<\\/"))


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
            with open(path, "a", encoding="utf-8") as page:  # a browser takes what stands behind the end for a part
                page.write(view_of(snakemake.input))
