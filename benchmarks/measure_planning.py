"""Seconds until Snakemake knows what to do, by the number of experiments in one configuration.

`bare` is a workflow of as many jobs that does nothing, one file each: what Snakemake itself costs.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from timing import PROJECT, alternate, report, seconds

ROUNDS = 3
EXPERIMENTS = [1, 10, 100, 300]  # of the last, 10,206 jobs
BARE = """
rule all:
    input: expand("{{name}}", name=range({n_jobs}))
rule one:
    output: "{{name,[0-9]+}}"
    shell: "touch {{output}}"
"""


def dry_run(*arguments: str) -> str:
    command = [Path(sys.executable).with_name("snakemake"), "--dry-run", *arguments]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", cwd=PROJECT).stdout


def measure(n: int, folder: Path) -> dict:
    task = {"process": "mess3"}
    experiments = {f"e{i}": {"task": {**task, "parameters": {"x": 0.05 + i / 1e4, "alpha": 0.85}}} for i in range(n)}
    config, bare = folder / f"{n}.yaml", folder / f"{n}.smk"
    config.write_text(
        yaml.safe_dump({"seeds": [1], "experiments": experiments, "only": list(experiments)}), encoding="utf-8"
    )
    arguments = ["--configfile", str(config), "--directory", str(folder)]
    n_jobs = int(re.search(r"total +(\d+)", dry_run(*arguments))[1])
    bare.write_text(BARE.format(n_jobs=n_jobs - 1), encoding="utf-8")
    found = alternate(
        {
            "all_seconds": lambda: seconds(lambda: dry_run(*arguments)),
            "without_printing_them_seconds": lambda: seconds(lambda: dry_run(*arguments, "--quiet")),
            "bare_seconds": lambda: seconds(lambda: dry_run("-s", str(bare), "--directory", str(folder))),
            "one_file_seconds": lambda: seconds(lambda: dry_run("results/e0/seed_1/probe.csv", *arguments)),
        },
        ROUNDS,
    )
    return {"experiments": n, "jobs": n_jobs, **found}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        report([measure(n, Path(folder)) for n in EXPERIMENTS], sys.argv[1])
