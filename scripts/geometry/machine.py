"""The machine of a job: processor, kernels, peak memory, and file locks where the file system has them."""

import fcntl
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import IO


def processor() -> str:
    """The model of the processor, on which the last bits of sums depend; its architecture if unknown."""
    content = _content("/proc/cpuinfo")
    for pattern in (rb"model name|cpu model|cpu|uarch", rb"CPU part"):  # the second: of ARM, which has a number alone
        if found := re.search(rb"^(" + pattern + rb")\s*:\s*(\S.*)$", content, re.MULTILINE):
            name = found[2].decode(errors="replace").strip()
            return f"{platform.machine()} part {name}" if found[1] == b"CPU part" else name
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            return subprocess.run(command, check=True, capture_output=True).stdout.decode(errors="replace").strip()
        except (OSError, subprocess.CalledProcessError):
            pass
    return platform.processor() or platform.machine() or "unknown"


KERNELS = {
    "OPENBLAS_CORETYPE": "Haswell",  # of NumPy and SciPy
    "NPY_ENABLE_CPU_FEATURES": "X86_V3",
    "NPY_DISABLE_CPU_FEATURES": "",  # NumPy refuses both
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "",  # those of that processor
}
"""Environment variables with which NumPy, SciPy and Numba compute alike on each processor that has `COMMON`.

By default each chooses its kernels by the processor, and these sum in another order. Those of PyTorch are left alone:
the only ones of its library that processors of two makers share take 1.8 times as long.
"""

COMMON = {b"avx2", b"bmi1", b"bmi2", b"f16c", b"fma", b"abm", b"movbe"}
"""The instructions of the level x86-64-v3, which processors have since 2013 to 2015, as Linux names them."""


def kernels() -> dict[str, str]:
    """`KERNELS` where the processor has the instructions that they need, else nothing."""
    flags = re.search(rb"^flags\s*:(.*)$", _content("/proc/cpuinfo"), re.MULTILINE)
    return KERNELS if flags and COMMON.issubset(flags[1].split()) else {}


def peak_memory_bytes() -> int:
    """The peak memory of this process or of one that it started, in bytes.

    On Linux, `getrusage` of this process includes the peak of its parent before the fork; VmHWM, where available, is
    its own.
    """
    own, others = (resource.getrusage(target).ru_maxrss for target in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    if found := re.search(rb"VmHWM:\s+(\d+) kB", _content("/proc/self/status")):
        own = int(found[1])
    return max(own, others) * (1 if sys.platform == "darwin" else 1024)


def try_lock(file: IO, wait: bool = False) -> bool | None:
    """Lock an open file for this process: True if it holds the lock now, False if another process does.

    None if the file system has no locks; Lustre and NFS may be mounted without.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _content(path: str) -> bytes:
    """The content of a system file, empty if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
