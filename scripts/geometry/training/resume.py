"""The state from which an interrupted job resumes, stored where Snakemake does not delete it."""

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from numpy import ndarray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from geometry.files import atomic_path

SECONDS_BETWEEN_SAVES = 0.5
LARGEST_SHARE = 0.01
"""The share of a job's time that saving its state may take: one that takes long to write is written less often."""


class ResumeState:
    """Named arrays in one safetensors file, with a key that identifies their job and a checksum."""

    def __init__(self, path: str | Path, made_from):
        """`made_from`, any JSON value, holds everything on which the job's result depends."""
        self.path = Path(path)
        self.key = _sha256(json.dumps(made_from, sort_keys=True).encode())
        self.last, self.cost = time.monotonic(), 0.0

    def load(self) -> dict[str, ndarray] | None:
        """The last saved state, or None if there is none, it is of another job, or its checksum is wrong."""
        try:
            with safe_open(self.path, "numpy") as file:
                arrays, notes = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except (FileNotFoundError, SafetensorError):
            return None
        whole = notes.get("key") == self.key and notes.get("sha256") == _sha256(save(arrays))
        return arrays if whole else None

    def save_when_due(self, state: Callable[[], dict[str, ndarray]], always: bool = False) -> None:
        """Save the state that `state` returns, unless the last one was saved too recently and not `always`."""
        now = time.monotonic()
        if always or now - self.last > max(SECONDS_BETWEEN_SAVES, self.cost / LARGEST_SHARE):
            self.save(state())
            self.last = time.monotonic()
            self.cost = self.last - now

    def save(self, arrays: dict[str, ndarray]) -> None:
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(save(arrays, metadata={"key": self.key, "sha256": _sha256(save(arrays))}))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
