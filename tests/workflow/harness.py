"""Running the workflow as a user does: Snakemake in a process of its own, results in a folder of their own."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests/config.yaml"


class Study:
    """A working directory, and Snakemake called on it with the tiny configuration and overrides of it."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def snakemake(self, *arguments, override=None, configs=(TINY,), cores=2) -> subprocess.CompletedProcess:
        configs = [str(path) for path in configs]
        if override is not None:
            path = self.folder.parent / f"{self.folder.name}.override.yaml"
            path.write_text(yaml.safe_dump(override))
            configs.append(str(path))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", str(self.folder), "--cores", str(cores), "--configfile", *configs, "--"]
        options = [a for a in arguments if a.startswith("-")]
        targets = [a for a in arguments if not a.startswith("-")]
        # Started from a folder that is neither the project nor the results.
        return subprocess.run(
            [*command[:3], *options, *command[3:], *targets], cwd="/", capture_output=True, text=True, check=False
        )

    def planned(self, *arguments, override=None) -> dict[str, int]:
        """The rules that would run, and how often."""
        result = self.snakemake("--dry-run", *arguments, override=override)
        assert result.returncode == 0, result.stderr
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", result.stdout, re.S | re.M)
        return {} if table is None else {(row := line.split())[0]: int(row[1]) for line in table[1].splitlines()}
