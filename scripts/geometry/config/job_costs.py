"""Memory and time that a job takes, by rule, estimated from the configuration.

Memory is meant to be above what a job takes, and below twice that. Time is CPU time of the virtual machine on which the
constants were measured, a small one with two cores, both in use; `slowness` is the factor of another one.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from statistics import median

from geometry.config.recorded import tasks_of
from geometry.config.seeds import seeds_of
from geometry.config.sizes import TOKEN_SECONDS, Size, size_of
from geometry.interventions.steering import MOST_FOLLOWED
from geometry.networks.origins import RANDOM_INIT
from geometry.processes.prefix_tree import NUMBERS_AT_ONCE
from geometry.provenance.code_digest import reachable_files, third_party_imports
from geometry.tasks.task import task_name

LONG_PREFIXES, STEERED = 30_000, 1000
"""Prefixes of the long sequences on which recovered processes are scored; pairs of prefixes that are steered."""

SCRIPTS = Path(__file__).parents[2]

SCIENCE, DRAWING, TORCH = 0.19e9, 0.26e9, 0.55e9
"""Bytes of Python with NumPy, pandas and xarray; with Matplotlib; with PyTorch."""

CUDA = 3e9
"""Bytes of the host's memory that the context and the libraries of CUDA take besides (not measured)."""

BYTES: Mapping[str, Callable[[Size], float]] = {
    "build_ground_truth": lambda size: (
        SCIENCE + max(0.03e9, 80 * size.n_continued) + 3 * size.tree_bytes + 2 * size.table_bytes + size.imported_bytes
    ),
    "train_model": lambda size: TORCH + 0.05e9 + 1.4 * size.train_bytes,
    "initialize_networks": lambda size: TORCH + size.stored_bytes,
    "import_model": lambda size: TORCH + size.stored_bytes + size.extract_bytes,
    "extract_activations": lambda size: TORCH + 2 * size.extract_bytes,
    "record_activations": lambda size: TORCH + size.language_bytes,
    "import_activations": lambda size: SCIENCE + size.imported_bytes + size.table_bytes,
    "score_baselines": lambda size: SCIENCE + 1.4 * size.baselines_bytes,
    "probe_beliefs": lambda size: SCIENCE + 1.4 * size.probe_bytes,
    "measure_components": lambda size: SCIENCE + 1500 * size.n_prefixes,
    "measure_distances": lambda size: SCIENCE + size.table_bytes + 24 * min(20_000 * size.n_tokens, NUMBERS_AT_ONCE),
    "measure_loss": lambda size: SCIENCE + 4 * size.table_bytes,
    "recover_process": lambda size: (
        SCIENCE + size.recovery_bytes + 3000 * size.n_tokens * size.n_networks * (size.n_sites + 2)
    ),
    "measure_process": lambda size: (
        0.25e9
        + 500 * size.n_prefixes
        + 32 * size.n_complete * size.n_tokens
        + 40 * min(LONG_PREFIXES * size.n_tokens, NUMBERS_AT_ONCE)
        + (1000 + 16 * size.n_permutations) * size.n_complete
        + 15_000 * size.n_tokens
        + 48 * size.n_tokens**2
    ),
    "describe_process": lambda size: 0.28e9,
    "plot_process": lambda size: 0.2e9,
    "score_recovery": lambda size: (
        0.25e9
        + 300 * size.n_prefixes
        + 32 * size.n_complete * size.n_tokens
        + 40 * min(LONG_PREFIXES * size.n_tokens, NUMBERS_AT_ONCE)
    ),
    "measure_dimension": lambda size: SCIENCE + 500 * size.n_prefixes + 15_000 * size.n_tokens,
    "find_symmetries": lambda size: (
        SCIENCE
        + (1000 + 16 * size.n_permutations) * size.n_complete
        + 32 * size.n_complete * size.n_tokens
        + 30 * size.n_tokens**2
        + 36_000 * size.n_permutations * size.n_sites * max(2, size.n_random_networks)
    ),
    "measure_convergence": lambda size: SCIENCE + 500 * size.n_prefixes + 15_000 * size.n_tokens,
    "measure_attention": lambda size: TORCH + size.extract_bytes + size.probe_bytes,
    "steer_network": lambda size: (
        TORCH
        + size.extract_bytes
        + 3 * size.table_bytes
        + 50 * STEERED * min(size.n_tokens, MOST_FOLLOWED) * size.n_tokens
    ),
    "measure_circuit": lambda size: TORCH + size.circuit_bytes,
    "find_shift_symmetry": lambda size: SCIENCE + size.circuit_bytes,
    "measure_surgery": lambda size: TORCH + size.stored_bytes,
    "export_surgery": lambda size: TORCH + size.stored_bytes,
    "judge_claims": lambda size: 0.22e9 + 9000 * size.n_permutations * size.n_sites * (2 + size.n_random_networks),
    "write_findings": lambda size: 0.21e9,
    "build_explorer": lambda size: (TORCH if size.circuit_bytes else 0.23e9) + size.probe_bytes,  # of circuits alone
    "write_report": lambda size: 0.17e9,
    "draw_provenance": lambda size: 0.05e9,
    "export_crate": lambda size: 0.08e9,
} | dict.fromkeys(
    ["plot_belief_simplex", "plot_emergence", "animate_emergence", "plot_sites", "plot_components"],
    lambda size: DRAWING + 500 * size.n_prefixes,
)
"""Memory of a job in bytes; of the rules that are not here, `DRAWING` if they draw, or `SCIENCE`."""

BYTES_PER_EXPERIMENT = {
    "write_report": 0.04e9,
    "write_findings": 8e6,
    "build_explorer": 8e6,
    "export_crate": 4e6,
    "draw_provenance": 3e6,
}
"""Further bytes of a job for each experiment of the study: tables, and figures on one page."""

SECONDS: Mapping[str, Callable[[Size], float]] = {
    "train_model": lambda size: size.train_seconds,
    "extract_activations": lambda size: size.n_probed * size.extract_seconds,
    "record_activations": lambda size: size.language_seconds,
    "import_activations": lambda size: (
        size.n_probed * (size.n_sites * size.import_seconds + TOKEN_SECONDS * size.n_prefixes * size.n_tokens)
    ),
    "build_ground_truth": lambda size: 1e-6 * size.n_continued + TOKEN_SECONDS * size.n_prefixes * size.n_tokens,
    "measure_loss": lambda size: TOKEN_SECONDS * size.n_probed * size.n_prefixes * size.n_tokens,
    "measure_process": lambda size: (
        0.5
        + 3e-6 * size.n_prefixes
        + TOKEN_SECONDS / 2 * LONG_PREFIXES * size.n_tokens * 10
        + 1e-7 * size.n_complete * size.n_permutations
        + 6e-3 * size.n_tokens
    ),
    "score_baselines": lambda size: 0.3 + 5e-6 * size.n_prefixes + size.baselines_seconds,
    "probe_beliefs": lambda size: (  # of a random network 0.7, of the end of a training 1.15, of others 0.25
        0.4 + size.probe_seconds * (0.7 * size.n_compared + 0.25 * (size.n_probed - size.n_compared))
    ),
    "steer_network": lambda size: (
        0.1
        + 30 * STEERED * size.n_sites * size.extract_seconds / size.n_prefixes
        + 24 * TOKEN_SECONDS * STEERED * size.n_sites * min(size.n_tokens, MOST_FOLLOWED) * size.n_tokens
    ),
    "recover_process": lambda size: 0.1 + size.n_probed * size.recovery_seconds,
    "score_recovery": lambda size: (
        0.25 + 4e-6 * size.n_prefixes + TOKEN_SECONDS / 2 * LONG_PREFIXES * size.n_tokens * (size.n_read + 30)
    ),
    "find_symmetries": lambda size: (
        2e-7 * size.n_complete * size.n_permutations * size.n_sites * size.n_compared
        + 2e-9 * size.n_tokens**3
        + 1e-7 * size.n_permutations**2 * size.n_tokens * size.n_sites * size.n_compared
    ),
    "measure_dimension": lambda size: (
        size.n_probed * (0.06 + 7e-5 * min(size.n_prefixes, 4000)) + 2e-3 * size.n_tokens * (1 + size.n_probed)
    ),
    "sample_sequences": lambda size: 0.1,
    "measure_distances": lambda size: 0.1,
    "measure_subspaces": lambda size: 0.25,
    "measure_convergence": lambda size: 4e-3 * size.n_tokens,
    "measure_attention": lambda size: size.n_compared / 2 * (0.2 + size.extract_seconds + 5e-6 * size.n_prefixes),
    "animate_emergence": lambda size: 0.2 + 1.2e-5 * size.n_prefixes,
    "measure_circuit": lambda size: 5 * size.n_snapshots * size.extract_seconds,
    "find_shift_symmetry": lambda size: 1.5e-5 * size.n_probed * size.n_prefixes,
    "measure_surgery": lambda size: 1 + size.surgery_seconds,
    "write_report": lambda size: 4,
    "build_explorer": lambda size: 1 + 2e-5 * size.n_prefixes * size.n_sites,
    **dict.fromkeys(
        ["describe_process", "judge_claims", "plot_claims", "plot_recovery", "plot_spectrum"], lambda size: 0.5
    ),
    **dict.fromkeys(["collect_claims", "write_findings", "play_chaos_game"], lambda size: 1.1),
}
"""Seconds of one core for the work of a job; of rules that are not here, less than half a second (10,000 prefixes)."""

START, START_DRAWING, START_TORCH = 0.8, 1.3, 1.9
"""Seconds until a job has begun and ended besides: the interpreter, its packages, the record."""

SPEED_TEST = """
import pandas, torch, xarray, zarr
torch.set_num_threads(1)
for _ in range(30):
    torch.ones(1000, 1000) @ torch.ones(1000, 1000)
"""
SPEED_TEST_SECONDS = 2.7
"""CPU seconds of the speed test, which starts Python and multiplies matrices, on the machine of the constants.

The median of 24 tries while others used both cores, as the jobs of a study do."""


def slowness() -> float:
    """The CPU time of the speed test here over that on the machine of the constants: the median of three tries."""

    def tried() -> float:
        before = os.times()
        subprocess.run([sys.executable, "-c", SPEED_TEST], check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    return median(tried() for _ in range(3)) / SPEED_TEST_SECONDS


@cache
def loads_torch(rule: str) -> bool:
    """True if the script of a rule, or a module that it imports, imports PyTorch."""
    files = reachable_files(SCRIPTS / f"{rule}.py", SCRIPTS)
    return any("torch" in third_party_imports(path, SCRIPTS) for path in files)


ON_GPU = ("train_model", "extract_activations", "record_activations", "measure_attention", "steer_network")
"""The rules that run networks on the configured device, and ask for GPUs."""


def n_networks_of(wildcards: Mapping[str, str]) -> int:
    """The networks of a job's run; one of a run that is named after no seed."""
    return max(1, len(seeds_of(wildcards.get("run", ""))))


class Estimates:
    """Memory and time of the jobs of a study, by rule and wildcards."""

    def __init__(self, experiments: Mapping[str, Mapping], max_prefixes: int, gpus: int = 0):
        self.on_gpu = ON_GPU if gpus else ()
        self.sizes = {name: size_of(experiment, max_prefixes) for name, experiment in experiments.items()}
        self.tasks = {name: [*map(task_name, tasks_of(experiment))] for name, experiment in experiments.items()}

    def memory_bytes(self, rule: str, wildcards: Mapping[str, str]) -> float:
        """About how much memory a job takes."""
        of_rule = BYTES.get(rule, lambda size: DRAWING if rule.startswith("plot_") else SCIENCE)
        of_all = BYTES_PER_EXPERIMENT.get(rule, 0) * len(self.sizes)
        weights = (n_networks_of(wildcards) - 1) * max(size.stored_bytes for size in self._behind(wildcards))
        of_one = max(of_rule(size) for size in self._behind(wildcards))
        return float(of_one + of_all + weights + CUDA * (rule in self.on_gpu))

    def seconds(self, rule: str, wildcards: Mapping[str, str]) -> float:
        """About how long a job takes on one core."""
        is_drawing = rule.startswith(("plot_", "animate_"))
        start = START_TORCH if loads_torch(rule) else START_DRAWING if is_drawing else START
        sizes = self._behind(wildcards)
        if wildcards.get("run") == RANDOM_INIT:
            sizes = [size.of_random for size in sizes]
        work = max((SECONDS[rule](size) for size in sizes if rule in SECONDS), default=0.0)
        n_scored = len(self.tasks[wildcards["experiment"]]) if rule == "score_baselines" else 1  # all in one job
        return start + work * n_networks_of(wildcards) * n_scored

    def _behind(self, wildcards: Mapping[str, str]) -> list[Size]:
        """The sizes of the experiments that a job works for: of one, of those of one task, or of all."""
        if "experiment" in wildcards:
            return [self.sizes[wildcards["experiment"]]]
        return [size for name, size in self.sizes.items() if wildcards.get("task") in (None, *self.tasks[name])]


def peak_memory_gb(experiment: Mapping, max_prefixes: int) -> float:
    """About how much memory the largest job of an experiment takes, in GB of 10^9 bytes."""
    size, left_out = size_of(experiment, max_prefixes), () if experiment["attention"] else ("measure_attention",)
    return max(of_rule(size) for rule, of_rule in BYTES.items() if rule not in left_out) / 1e9
