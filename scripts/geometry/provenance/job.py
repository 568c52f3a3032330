"""A job of the workflow: its log file while it runs, and its record when it is done.

The record holds the sha256 of each input and output, every parameter, the code and packages that ran, and the
place and time. Its schema is rules/schemas/record.schema.yaml; all but its sections ``run`` and ``seal`` are equal for
two identical jobs.
"""

import errno
import hashlib
import json
import logging
import os
import platform
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from geometry.files import write_text
from geometry.machine import peak_memory_bytes, processor, try_lock
from geometry.provenance.code_digest import Code, code_of, file_digest
from geometry.provenance.requirements_lock import (
    HOW_TO_UNCOVER,
    hidden_package,
    installed_version,
    read_lock,
    wrong_version,
)

if TYPE_CHECKING:
    from snakemake.script import Snakemake


LOCK = "envs/requirements.txt"


class CodeError(RuntimeError):
    """A difference between the planned and the present code: edited modules, or packages other than pinned."""


class Job:
    """The context manager of a script's main part, around the object that Snakemake injects.

    On entry the log file is opened, and the known part of the record is collected, so that errors in it precede the
    work. On success the record is written, after all outputs. SIGTERM ends the job like Ctrl-C does: no partial file
    stays. If the bytes of the outputs contain times (`reproducible` is false), the digests of files are in ``run``.
    """

    def __init__(self, snakemake: "Snakemake", reproducible: bool = True):
        self.snakemake = snakemake
        self.reproducible = reproducible
        self.device = "cpu"
        self.name = job_name(snakemake.rule, dict(snakemake.wildcards.items()))
        self.journal = logging.getLogger(self.name)

    def __enter__(self) -> "Job":
        signal.signal(signal.SIGTERM, _interrupt)
        enter_storage(self.snakemake)
        self._open_journal(self.snakemake.log[0])
        self.started = datetime.now(UTC)
        try:
            self.code = planned_code(self.snakemake)
        except CodeError as error:
            self.journal.error(error)
            sys.exit(1)
        self.origin, self.place = self._origin(), self._place()
        self.inputs = digests(self.snakemake.input)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            write_record(self.snakemake.output.record, self._record())
        elif issubclass(kind, KeyboardInterrupt):
            self.journal.error("interrupted; to go on, run snakemake again")
            sys.exit(130)  # without a traceback
        elif isinstance(error, OSError) and error.errno in NO_ROOM:
            self.journal.error(f"cannot write {error.filename or 'its results'}: {os.strerror(error.errno)}")
            sys.exit(1)
        else:
            self.journal.error(f"{kind.__name__}: {error}")

    def info(self, text: str) -> None:
        """Log a line to the log file and the terminal."""
        self.journal.info(text)

    def _open_journal(self, path: str) -> None:
        """Log to the log file too, and hold a lock on a file beside it, so that this job runs only once at a time.

        A job outlives a Snakemake that is killed; the same job of the next Snakemake waits for it to end. That one has
        removed the log file itself by then.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace"), logging.StreamHandler()
        self.journal.setLevel(logging.INFO)
        for handler in handlers:
            handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
            self.journal.addHandler(handler)
        self.lock = open(Path(path).with_suffix(".lock"), "ab")  # noqa: SIM115 (until this process ends)
        locked = try_lock(self.lock)
        if locked is False:
            self.info("waiting for the same job, which outlived the Snakemake that had started it")
            locked = try_lock(self.lock, wait=True)
        handlers[0].stream.truncate(0)
        if locked is None:
            self.info(
                f"going on without a lock, as the file system of {path} has none: "
                "the same job, if it outlived a Snakemake that was killed, is not waited for"
            )

    def _origin(self) -> dict:
        """The part of the record that is equal for identical jobs."""
        snakemake = self.snakemake
        origin = {
            "rule": snakemake.rule,
            "wildcards": dict(snakemake.wildcards.items()),
            "params": dict(snakemake.params.items()),
            "code": {"digest": self.code.digest, "modules": self.code.modules},
            "packages": {name: installed_version(name) for name in self.code.packages},
            "lock": file_digest(project_folder(snakemake) / LOCK),
            "python": platform.python_version(),
        }
        return json.loads(json.dumps(origin))

    def _place(self) -> dict:
        """The machine on which the job runs, and the commit of the project."""
        commit, dirty = git_state(project_folder(self.snakemake))
        return {
            "platform": platform.platform(),
            "processor": processor(),
            "threads": self.snakemake.threads,
            "commit": commit,
            "dirty": dirty,
        }

    def _record(self) -> dict:
        """The complete record of this job, once its outputs are written."""
        ended = datetime.now(UTC)
        usages = [resource.getrusage(target) for target in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        output = self.snakemake.output
        files = {"outputs": digests(path for path in output if path != output.record), "inputs": self.inputs}
        blank = {key: dict.fromkeys(value) for key, value in files.items()}
        return {
            **self.origin,
            **(files if self.reproducible else blank),
            "run": {
                "started": self.started.isoformat(timespec="seconds"),
                "ended": ended.isoformat(timespec="seconds"),
                "wall_seconds": round((ended - self.started).total_seconds(), 3),
                "cpu_seconds": round(sum(usage.ru_utime + usage.ru_stime for usage in usages), 3),
                "peak_memory_bytes": peak_memory_bytes(),
                "device": self.device,
                **self.place,
                **({} if self.reproducible else files),
            },
        }


NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}
"""Errors of a place that cannot be written to, which are reported without a traceback."""


def job_name(rule: str, wildcards: Mapping[str, str]) -> str:
    """The name of a job, such as train_model mess3 seed 1."""
    parts = {**wildcards}
    if "seed" in parts:
        parts["seed"] = f"seed {parts['seed']}"
    if "run" in parts:
        parts["run"] = parts["run"].replace("_", " ")
    return " ".join([rule, *parts.values()])


def enter_storage(snakemake: "Snakemake") -> None:
    """Change to the folder of results/, so that paths are those of the rules.

    For studies in object storage, Snakemake keeps local copies in another folder, whose name precedes each path.
    """
    folder = snakemake.output.record.rpartition("results/provenance/")[0]
    if folder:
        for kind in ("input", "output", "log"):
            files = getattr(snakemake, kind)
            setattr(snakemake, kind, type(files)(files, custom_map=lambda path: path.removeprefix(folder)))
        os.chdir(folder)


def project_folder(snakemake: "Snakemake") -> Path:
    """The folder of the Snakefile; results may be elsewhere."""
    return Path(snakemake.scriptdir).parent


def planned_code(snakemake: "Snakemake") -> Code:
    """The code that this job runs; raises `CodeError` if it differs from the planned code."""
    root = project_folder(snakemake)
    if not Path(__file__).samefile(root / "scripts/geometry/provenance/job.py"):
        raise CodeError(f"{Path(__file__).parents[1]} is imported as 'geometry', not that of {root}; {HOW_TO_UNCOVER}")
    code, pins = code_of(root / "scripts" / f"{snakemake.rule}.py", root / LOCK), read_lock(root / LOCK)
    if code.digest != snakemake.params.code:
        raise CodeError(f"the code of {snakemake.rule} changed while the workflow ran; run snakemake again")
    for name in code.packages:
        if problem := hidden_package(name, pins[name]) or wrong_version(name, pins[name]):
            raise CodeError(problem)
    return code


def digests(paths) -> dict[str, str]:
    """The sha256 of some files by path."""
    return {str(path): file_digest(path) for path in paths}


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """The commit that is checked out in a folder, and True if files differ from it; None without git.

    Only the folder's own repository counts, not an enclosing one or one named by the environment.
    """
    command = ["git", "--no-optional-locks", f"--git-dir={folder / '.git'}", f"--work-tree={folder}"]
    command += ["status", "--porcelain=v2", "--branch", "--untracked-files=normal"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        status = subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment).stdout
    except (OSError, subprocess.CalledProcessError):
        return None, None
    commit = re.search(rb"^# branch.oid ([0-9a-f]+)$", status, re.MULTILINE)  # before the first commit, it is none
    return commit and commit[1].decode(), any(not line.startswith(b"#") for line in status.splitlines())


def seal_of(record: dict) -> str:
    """The sha256 of a record's content, which detects edits."""
    content = {key: value for key, value in record.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_record(path: str | Path, record: dict) -> None:
    sealed = {**record, "seal": seal_of(record)}
    text = json.dumps(sealed, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(f"{text}\n", path)


def _interrupt(number: int, frame) -> None:
    raise KeyboardInterrupt
