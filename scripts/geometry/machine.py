"""The machine that a job runs on: its processor, the memory taken, and locks on files, where they can be had."""

import fcntl
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import IO


def processor() -> str:
    """The model of the processor, on which the last bits of sums depend; where it is not told, its architecture."""
    told = _content("/proc/cpuinfo")
    for pattern in (rb"model name|cpu model|cpu|uarch", rb"CPU part"):  # the second: of ARM, which has a number alone
        if found := re.search(rb"^(" + pattern + rb")\s*:\s*(\S.*)$", told, re.MULTILINE):
            name = found[2].decode(errors="replace").strip()
            return f"{platform.machine()} part {name}" if found[1] == b"CPU part" else name
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            return subprocess.run(command, check=True, capture_output=True).stdout.decode(errors="replace").strip()
        except (OSError, subprocess.CalledProcessError):
            pass
    return platform.processor() or platform.machine() or "unknown"


def peak_memory_bytes() -> int:
    """The most memory that this process, or one that it started, has had.

    Of this process Linux tells `getrusage` what the one that started it had, if that was more; VmHWM is
    its own, where it is told.
    """
    own, others = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    if found := re.search(rb"VmHWM:\s+(\d+) kB", _content("/proc/self/status")):
        own = int(found[1])
    return max(own, others) * (1 if sys.platform == "darwin" else 1024)


def try_lock(file: IO, wait: bool = False) -> bool | None:
    """Lock an open file for this process: True if it has the lock now, False if another has it.

    None where its file system has no locks, as Lustre and NFS may be mounted without.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _content(path: str) -> bytes:
    """The content of a file of the system, nothing where there is none that can be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
