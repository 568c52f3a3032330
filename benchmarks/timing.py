"""Timing in turns: what is compared runs alternately in one process tree, and medians are reported."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

PROJECT = Path(__file__).parents[1]
MESS3 = {"x": 0.05, "alpha": 0.85}
CONTEXT = 10
PUBLISHED_MODEL = {"architecture": "transformer", "n_layers": 4, "n_heads": 1, "d_model": 64, "d_head": 8, "d_mlp": 256}
PUBLISHED_MODEL |= {"activation": "relu", "normalization": "LN", "bos": False}
MODELS = {
    "published": (PUBLISHED_MODEL, CONTEXT),
    "wide": ({**PUBLISHED_MODEL, "n_heads": 4, "d_model": 128, "d_head": 32, "d_mlp": 512}, 16),
}
"""Models by name, with the context that each is for."""

SITES = ["blocks.0.hook_resid_pre", *(f"blocks.{n}.hook_resid_post" for n in range(4)), "ln_final.hook_normalized"]


def seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def alternate(functions: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each function returns, one round of all after another; the first round does not count."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            value = function()
            if turn:
                found[name].append(value)
    return {name: median(values) for name, values in found.items()}


class Peer:
    """TransformerLens in an environment of its own: a process that runs what it is asked for and tells the seconds."""

    def __init__(self):
        command = [PROJECT / ".venv-peers/bin/python", PROJECT / "benchmarks/peer.py"]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, encoding="utf-8", env=environment)

    def __call__(self, **question) -> float:
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def report(rows: list[dict], path: str) -> None:
    """Print a table and write it as CSV."""
    import pandas as pd  # the peers have their own environment

    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    table.to_csv(path, index=False, float_format="%.5g", lineterminator="\n")
