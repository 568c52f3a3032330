"""A job of the workflow: what it says of itself while it runs, and the record it leaves when it is done.

The record says what the job's files are and what they were made from: the sha256 of each input and
output, every parameter, the code and packages that ran, and where and when. Its schema is
rules/schemas/record.schema.yaml; everything but its sections ``run`` and ``seal`` is the same for two
identical jobs.
"""

import hashlib
import json
import logging
import platform
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from geometry.digest import Code, code_of, file_digest
from geometry.storage import atomic_path

if TYPE_CHECKING:
    from snakemake.script import Snakemake


class CodeChangedError(RuntimeError):
    """The code was edited after the workflow had been planned."""


class Job:
    """The context in which a script's main part runs, around the object that Snakemake gives it.

    On entry the log file is opened; on success the record is written, after everything else. A request
    to terminate ends the job like Ctrl-C does: nothing half-written stays. Of a job whose bytes tell
    times (`reproducible` is false), the digests of files stand in ``run``.
    """

    def __init__(self, snakemake: "Snakemake", reproducible: bool = True):
        self.snakemake = snakemake
        self.reproducible = reproducible
        self.device = "cpu"
        self.name = " ".join([snakemake.rule, *snakemake.wildcards])
        self.journal = logging.getLogger(self.name)

    def __enter__(self) -> "Job":
        signal.signal(signal.SIGTERM, _interrupt)
        self._open_journal(self.snakemake.log[0])
        self.started = datetime.now(UTC)
        self.code = planned_code(self.snakemake)
        self.inputs = digests(self.snakemake.input)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            write_record(self.snakemake.output.record, self._record())
        elif issubclass(kind, KeyboardInterrupt):
            self.journal.error("interrupted; to go on, run snakemake again")
            sys.exit(130)  # without the trace of where it happened to be
        else:
            self.journal.error(f"{kind.__name__}: {error}")

    def info(self, text: str) -> None:
        """Say something, to the log file and to the terminal."""
        self.journal.info(text)

    def _open_journal(self, path: str) -> None:
        self.journal.setLevel(logging.INFO)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        formatter = logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S")
        for handler in (logging.FileHandler(path, mode="w"), logging.StreamHandler()):
            handler.setFormatter(formatter)
            self.journal.addHandler(handler)

    def _record(self) -> dict:
        """The record of this job as it stands when its outputs are written."""
        snakemake, root = self.snakemake, project_folder(self.snakemake)
        commit, dirty = git_state(root)
        ended, usage = datetime.now(UTC), resource.getrusage(resource.RUSAGE_SELF)
        outputs = digests(path for path in snakemake.output if path != snakemake.output.record)
        files = {"outputs": outputs, "inputs": self.inputs}
        blank = {key: dict.fromkeys(value) for key, value in files.items()}
        return {
            "rule": snakemake.rule,
            "wildcards": dict(snakemake.wildcards.items()),
            **(files if self.reproducible else blank),
            "params": dict(snakemake.params.items()),
            "code": {"digest": self.code.digest, "modules": self.code.modules},
            "packages": {name: version(name) for name in self.code.packages},
            "lock": file_digest(root / "envs/requirements.txt"),
            "python": platform.python_version(),
            "run": {
                "started": self.started.isoformat(timespec="seconds"),
                "ended": ended.isoformat(timespec="seconds"),
                "wall_seconds": round((ended - self.started).total_seconds(), 3),
                "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
                "peak_memory_bytes": usage.ru_maxrss * MAXRSS_UNIT,
                "platform": platform.platform(),
                "device": self.device,
                "threads": snakemake.threads,
                "commit": commit,
                "dirty": dirty,
                **({} if self.reproducible else files),
            },
        }


MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of the peak memory that the operating system tells."""


def project_folder(snakemake: "Snakemake") -> Path:
    """The folder of the Snakefile; results may be elsewhere."""
    return Path(snakemake.scriptdir).parent


def planned_code(snakemake: "Snakemake") -> Code:
    """The code that this job runs; raises `CodeChangedError` if it is not the code that was planned."""
    root = project_folder(snakemake)
    code = code_of(root / "scripts" / f"{snakemake.rule}.py", root / "envs/requirements.txt")
    if code.digest != snakemake.params.code:
        raise CodeChangedError(f"the code of {snakemake.rule} changed while the workflow ran; run snakemake again")
    return code


def digests(paths) -> dict[str, str]:
    """The sha256 of some files by path."""
    return {str(path): file_digest(path) for path in paths}


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit that is checked out and whether anything differs from it; None where there is no git."""
    command = ["git", "-C", str(folder), "status", "--porcelain=v2", "--branch"]
    try:
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return None, None
    commit = next(line.split()[-1] for line in lines if line.startswith("# branch.oid"))
    return commit, any(not line.startswith("#") for line in lines)


def seal_of(record: dict) -> str:
    """The sha256 of a record's content, by which an edit shows."""
    content = {key: value for key, value in record.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_record(path: str | Path, record: dict) -> None:
    sealed = {**record, "seal": seal_of(record)}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(sealed, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _interrupt(number: int, frame) -> None:
    raise KeyboardInterrupt
