"""Running the workflow as a user does: Snakemake in a process of its own, results in a folder of their own."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests/config.yaml"
SMALLEST = ROOT / "tests/smallest.yaml"


class Study:
    """A working directory, and Snakemake called on it with the tiny configuration and overrides of it."""

    def __init__(self, folder: Path, project: Path = ROOT):
        self.folder, self.project = folder, project
        folder.mkdir(parents=True, exist_ok=True)

    def command(self, *arguments, override=None, configs=(TINY,), cores=2) -> list[str]:
        configs = [str(path) for path in configs]
        if override is not None:
            path = self.folder.parent / f"{self.folder.name}.override.yaml"
            path.write_text(yaml.safe_dump(override, sort_keys=False), encoding="utf-8")
            configs.append(str(path))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.project / "Snakefile")]
        command += ["--directory", str(self.folder), "--cores", str(cores), "--configfile", *configs, "--"]
        options = [a for a in arguments if a.startswith("-")]
        targets = [a for a in arguments if not a.startswith("-")]
        return [*command[:3], *options, *command[3:], *targets]

    def snakemake(self, *arguments, environment=None, **settings) -> subprocess.CompletedProcess:
        """Run Snakemake from a folder that is neither the project nor the results."""
        if "--dry-run" in arguments and environment is None:
            return self.plan(*arguments, **settings)
        environment = {**os.environ, **(environment or {})}
        command = self.command(*arguments, **settings)
        return subprocess.run(command, cwd="/", env=environment, capture_output=True, encoding="utf-8", check=False)

    def plan(self, *arguments, **settings) -> subprocess.CompletedProcess:
        """Run Snakemake where it is to plan or to refuse: in a fork of a process that has imported it, half the work.

        Results are made by processes of their own, in which sets have another order, as they have for a user.
        """
        command, server = self.command(*arguments, **settings), warm_start()
        with tempfile.TemporaryDirectory() as folder:
            said = [Path(folder) / name for name in ("output", "errors")]
            call = {"arguments": command[3:], "output": str(said[0]), "errors": str(said[1])}
            print(json.dumps(call), file=server.stdin, flush=True)
            status = int(server.stdout.readline())
            return subprocess.CompletedProcess(command, status, *(path.read_text(encoding="utf-8") for path in said))

    def refusal(self, *arguments, **settings) -> list[str]:
        """The lines with which a plan is refused, before anything is written but in Snakemake's own folder."""
        there = {*self.folder.iterdir()}
        result = self.plan(*arguments, **settings)
        assert result.returncode != 0 and "Traceback" not in result.stderr, result.stderr
        assert {*self.folder.iterdir()} - there <= {self.folder / ".snakemake"}
        return result.stderr.splitlines()

    def run(self, *arguments, **settings) -> str:
        """What Snakemake says, which must succeed."""
        result = self.snakemake(*arguments, **settings)
        assert result.returncode == 0, result.stdout + result.stderr[-5000:]
        return result.stdout + result.stderr

    def planned(self, *arguments, **settings) -> dict[str, int]:
        """The rules that would run, and how often."""
        said = self.run("--dry-run", *arguments, **settings)
        table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", said, re.S | re.M)
        return {} if table is None else {(row := line.split())[0]: int(row[1]) for line in table[1].splitlines()}

    def copy(self, folder: Path) -> "Study":
        """The same results, dates and all, in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Study(folder, self.project)


@cache
def warm_start() -> subprocess.Popen:
    """The process that imported Snakemake, until that of the tests ends."""
    command = [sys.executable, Path(__file__).with_name("warm_start.py")]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", encoding="utf-8")


def hashes(study: Study) -> dict[str, str]:
    """The digest of everything that two identical studies share: all artefacts and records but the times in them."""
    results, found = study.folder / "results", {}
    for path in sorted(p for p in results.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".json" and path.parent != results:
            content = json.dumps({k: v for k, v in json.loads(content).items() if k not in ("run", "seal")}).encode()
        if path.name not in ("report.html", "index.html", "ro-crate-metadata.json"):
            found[path.relative_to(results).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def clone(folder: Path) -> Path:
    """The project as it stands, in another folder with new dates."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def edit(path: Path, old: str, new: str) -> None:
    """Replace one passage of a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new), encoding="utf-8")
