"""A job where something is lacking: locks, git, /proc, UTF-8; and whose commit its record names."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_job import FILE, LOG, NAME, RECORD, ROOT

from geometry import machine
from geometry.provenance.job import git_state
from geometry.provenance.records import read_record

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NO_LOCKS = "import fcntl\ndef flock(*_):\n    raise OSError({}, 'refused')\nfcntl.flock = flock\n"
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
TINY_JOB = str(ROOT / "tests/unit/tiny_job.py")
WORKS_UNTIL_TOLD = f"""import sys
sys.path.append({str(ROOT / "tests/unit")!r})
from tiny_job import *
with Job(Snakemake()):
    print("working", flush=True)
    input()
    for path in (FILE, RECORD):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
"""
NO_PROC = """import pathlib
read = pathlib.Path.read_bytes
def read_bytes(path):
    if str(path).startswith('/proc'):
        raise PermissionError(path)
    return read(path)
pathlib.Path.read_bytes = read_bytes
"""


def run_tiny(folder, path, **environment):
    """The tiny job in a folder, by a Python that looks for modules on a path."""
    environment = {**os.environ, **environment, "PYTHONPATH": str(path)}
    return subprocess.run([sys.executable, TINY_JOB], cwd=folder, env=environment, capture_output=True, check=False)


def run_job(folder, customize="", **environment):
    """The record of the tiny job, run in a folder by a Python that first does something, and what it said."""
    (folder / "before").mkdir()
    (folder / "before/sitecustomize.py").write_text(customize, encoding="utf-8")
    result = run_tiny(folder, f"{folder / 'before'}:{ROOT / 'scripts'}", **environment)
    assert result.returncode == 0, result.stderr.decode(errors="replace")
    assert (folder / FILE).read_bytes() == b"hours of work"
    return read_record(folder / RECORD).content, (folder / LOG).read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [37, 38, 95])  # no locks, no such call, not supported
def test_job_says_once_that_it_goes_on_without_a_lock(number, tmp_path):
    _, said = run_job(tmp_path, NO_LOCKS.format(number))
    assert said.count("going on without a lock") == 1 and "worked on" in said


def test_job_with_a_lock_says_nothing_of_locks(tmp_path):
    _, said = run_job(tmp_path)
    assert "lock" not in said


def test_job_waits_for_the_same_one_though_its_log_was_removed(tmp_path):
    first = subprocess.Popen([sys.executable, "-c", WORKS_UNTIL_TOLD], cwd=tmp_path, env=ENVIRONMENT, **PIPES)
    assert first.stdout.readline() == "working\n"
    (tmp_path / LOG).unlink()  # as Snakemake does before it starts a job
    second = subprocess.Popen([sys.executable, TINY_JOB], cwd=tmp_path, env=ENVIRONMENT, **PIPES)
    assert "waiting for the same job" in second.stderr.readline()
    assert second.poll() is None and not (tmp_path / FILE).exists()
    first.communicate("go on\n")
    second.communicate()
    assert first.returncode == second.returncode == 0 and (tmp_path / FILE).exists()


def test_job_is_recorded_where_the_system_tells_nothing_of_itself(tmp_path):
    record, _ = run_job(tmp_path, NO_PROC, PATH="/nowhere")
    assert record["run"]["peak_memory_bytes"] > 1e7 and record["run"]["processor"]
    assert record["run"]["commit"] is None and record["run"]["dirty"] is None


def test_record_and_log_have_the_same_text_whatever_the_locale(tmp_path):
    (tmp_path / "utf8").mkdir()
    (tmp_path / "ascii").mkdir()
    (one, said), (other, said_too) = run_job(tmp_path / "utf8"), run_job(tmp_path / "ascii", **NO_UTF8)
    assert one["params"]["name"] == other["params"]["name"] == NAME
    assert one | dict.fromkeys(("run", "seal")) == other | dict.fromkeys(("run", "seal"))
    assert said[9:] == said_too[9:] and "雨 é \\ud800" in said  # but for the time of day
    assert "雨 é".encode() in (tmp_path / "ascii" / RECORD).read_bytes()


def test_code_that_is_of_another_checkout_is_refused(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "geometry").symlink_to(ROOT / "scripts/geometry")  # the same files are the same code
    assert run_tiny(tmp_path, other).returncode == 0
    (other / "geometry").unlink()
    shutil.copytree(ROOT / "scripts/geometry", other / "geometry")
    result = run_tiny(tmp_path, other)
    assert result.returncode == 1 and b"is imported as 'geometry', not that of" in result.stderr


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (b"processor\t: 0\nmodel name\t: AMD EPYC 7B13\ncpu MHz\t: 2450\n", "AMD EPYC 7B13"),
        (b"processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t: 2\n", "POWER9, altivec supported"),
        (b"CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", f"{machine.platform.machine()} part 0xd0c"),
    ],
)
def test_processor_is_the_model_that_linux_tells(told, name, monkeypatch):
    monkeypatch.setattr(machine, "_content", lambda path: told)
    assert machine.processor() == name


@pytest.mark.parametrize(
    ("flags", "alike"),
    [
        (b"fpu abm avx avx2 bmi1 bmi2 f16c fma movbe avx512f", True),
        (b"fpu abm avx avx2 bmi1 bmi2 f16c movbe avx512f", False),  # avx2 without fma
        (b"", False),
    ],
)
def test_kernels_are_common_ones_where_the_processor_has_them(flags, alike, monkeypatch):
    told = b"model name\t: X\nflags\t\t: " + flags + b"\nbugs\t\t: none\n"
    monkeypatch.setattr(machine, "_content", lambda path: told if path == "/proc/cpuinfo" else b"")
    assert machine.kernels() == (machine.KERNELS if alike else {})


def test_memory_is_what_the_process_has_had_where_linux_tells_of_it_otherwise(monkeypatch):
    own = machine.peak_memory_bytes()
    monkeypatch.setattr(machine, "_content", lambda path: b"Name:\tpython\nVmRSS:\t100 kB\n")
    assert machine.peak_memory_bytes() > 0.9 * own > 1e7  # getrusage counts in larger steps


# ---- the commit


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "protocol.file.allow=always"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(command, check=True, capture_output=True, env=environment).stdout.decode().strip()


@pytest.fixture
def repository(tmp_path):
    """A function: a repository of one commit, of that name."""

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        git(folder, "init", "-q")
        (folder / "file").write_bytes(name.encode())
        git(folder, "add", "file")
        git(folder, "commit", "-qm", name)
        return folder

    return make


def test_commit_is_the_project_s_own_whatever_the_environment_names(repository, monkeypatch):
    mine, other = repository("mine"), repository("other")
    expected = (git(mine, "rev-parse", "HEAD"), False)
    inherited = {
        "GIT_DIR": other / ".git",
        "GIT_WORK_TREE": other,
        "GIT_INDEX_FILE": other / ".git/index",
        "GIT_COMMON_DIR": other / ".git",
        "GIT_OBJECT_DIRECTORY": other / ".git/objects",
        "GIT_NAMESPACE": "other",
        "GIT_CEILING_DIRECTORIES": mine,
        "GIT_PREFIX": "other/",
        "GIT_CONFIG_PARAMETERS": "'core.worktree=/'",
    }
    assert git_state(mine) == expected
    for name, value in inherited.items():
        with monkeypatch.context() as only:
            only.setenv(name, str(value))
            assert git_state(mine) == expected, name
    for name, value in inherited.items():
        monkeypatch.setenv(name, str(value))
    assert git_state(mine) == expected


def test_commit_of_a_repository_around_the_project_is_not_its_own(repository):
    outer = repository("outer")
    download = outer / "download"
    download.mkdir()
    (download / "file").write_bytes(b"")
    assert git_state(download) == (None, None)


def test_commit_of_a_worktree_and_of_a_submodule_is_told(repository, tmp_path):
    mine, outer = repository("mine"), repository("outer")
    git(mine, "worktree", "add", "-q", str(tmp_path / "tree"))
    git(outer, "submodule", "--quiet", "add", str(mine), "part")
    head = git(mine, "rev-parse", "HEAD")
    assert git_state(tmp_path / "tree") == git_state(outer / "part") == (head, False)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_commit_of_another_user_s_folder_is_told(repository):
    mine = repository("mine")
    for folder, _, files in os.walk(mine):
        for path in (folder, *(f"{folder}/{name}" for name in files)):
            os.chown(path, 12345, 12345)
    assert git_state(mine) == (git(mine, "-c", f"safe.directory={mine}", "rev-parse", "HEAD"), False)


def test_anything_that_differs_is_dirty_whatever_git_is_set_to_show(repository):
    mine = repository("mine")
    git(mine, "config", "status.showUntrackedFiles", "no")
    git(mine, "config", "core.quotePath", "false")
    (Path(os.fsdecode(os.fsencode(mine) + b"/\xe9")).write_bytes(b""))
    assert git_state(mine) == (git(mine, "rev-parse", "HEAD"), True)


def test_repository_without_a_commit_has_none(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_bytes(b"")
    assert git_state(tmp_path) == (None, True)


def test_record_says_what_git_says_of_this_checkout(tmp_path):
    record, _ = run_job(tmp_path, GIT_DIR=str(tmp_path / "none"), GIT_WORK_TREE=str(tmp_path))
    commit, dirty = git_state(ROOT)
    assert (record["run"]["commit"], record["run"]["dirty"]) == (commit, dirty)
    assert json.loads((tmp_path / RECORD).read_bytes())["run"]["processor"] == machine.processor()
