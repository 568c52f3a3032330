"""What a job asks of the machine that runs it: memory and time by rule, estimated from the configuration.

The constants are measured on one core of a small virtual machine; benchmarks/measure_resources.py sets what they give
beside what the jobs of a finished study took. Memory is meant to be above what a job takes, and below twice that. Time
is that of the machine of the constants; `slowness` tells how many times it another one takes.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import comb, factorial
from statistics import median
from time import perf_counter

from geometry.interventions.steering import MOST_FOLLOWED
from geometry.networks.hook_points import PREFIXES_AT_ONCE, chosen_sites, concatenated_sites
from geometry.probing.baselines import MOST_PREDICTION_COLUMNS, MOST_TOKEN_FEATURES
from geometry.probing.cross_validation import CELLS_AT_ONCE
from geometry.processes.entropy import MOST_BELIEFS, MOST_CHILDREN, MOST_TOKENS
from geometry.processes.prefix_tree import NUMBERS_AT_ONCE
from geometry.processes.process import Process
from geometry.recovery.token_symmetry import MOST_SWAPS
from geometry.tasks.modular_arithmetic import ModularArithmetic
from geometry.tasks.task import process_of, task_name

FLOPS = 50e9
"""Operations per second of one core in products of matrices."""

PASS_SECONDS, CALL_SECONDS = 3e-9, 3e-4
"""Of training by automatic differentiation: for each number that is kept, and for each generation of a layer."""

TOKEN_SECONDS = 2e-8
"""Of what is done, in a few passes, to each number of a table of prefixes and tokens."""

LONG_PREFIXES, STEERED = 30_000, 1000
"""Prefixes of the long words on which recovered processes are scored; pairs of prefixes that are steered."""

PAIRS = 3.4e6
"""Pairs of numbers on which a network and its controls are tried for the moduli up to 150."""


@dataclass(frozen=True)
class Size:
    """How much there is to do for an experiment: bytes beyond those of Python and its packages, seconds of one core."""

    n_tokens: int
    n_states: int
    n_prefixes: int
    n_complete: int  # prefixes up to the length up to which all are there
    n_continued: int  # continuations of beliefs that are looked at together
    n_permutations: int
    n_sites: int
    n_snapshots: int  # of a training
    n_random_networks: int
    n_probed: int  # of these, at most
    stored_bytes: int  # the weights of all snapshots
    train_bytes: int
    tree_bytes: int
    extract_bytes: int
    baselines_bytes: int
    probe_bytes: int
    recovery_bytes: int
    circuit_bytes: int
    train_seconds: float
    extract_seconds: float  # of one snapshot
    baselines_seconds: float
    probe_seconds: float  # of one snapshot
    recovery_seconds: float  # of one snapshot
    surgery_seconds: float

    @property
    def table_bytes(self) -> float:
        """Of a number for each prefix and token."""
        return 8.0 * self.n_prefixes * self.n_tokens

    @property
    def n_networks(self) -> int:
        """Networks that a job reads at most: snapshots of a training, or networks that are never trained."""
        return max(self.n_probed, self.n_random_networks)

    @property
    def n_read(self) -> int:
        """Networks and sites that a process is recovered from, and ranks of that from sampled sequences."""
        return self.n_probed * (self.n_sites + 2) + 15


def count_at_most(n_tokens: int, context: int, limit: int) -> int:
    """The number of words of 1 to `context` tokens, or `limit` if there are more."""
    count, level = 0, 1
    for _ in range(context):
        level *= n_tokens
        count += level
        if count > limit:
            return limit
    return count


def count_complete(n_tokens: int, context: int, limit: int) -> int:
    """The number of words of 1 to as many tokens as all of them are within the limit; at least those of one."""
    counts = [count_at_most(n_tokens, length, limit + 1) for length in range(1, context + 1)]
    return max([n_tokens, *(count for count in counts if count <= limit)])


def count_continued(n_tokens: int, context: int, limit: int) -> int:
    """The most words of one length that are made in looking for at most `limit`, where as many as 20 times are cut."""
    count = 1
    for _ in range(context):
        if count > limit or count * n_tokens > MOST_CHILDREN * limit:
            break
        count *= n_tokens
    return count


def size_of(experiment: Mapping, max_prefixes: int) -> Size:
    """The size of a resolved experiment."""
    process, probe = process_of(experiment["task"]), experiment["probe"]
    sized = _size_of_modular if isinstance(process, ModularArithmetic) else _size_of_markov
    training = experiment.get("training", {"labels": None, "batch_size": 0, "snapshots": 2, "steps": 0})  # a checkpoint
    return sized(experiment["task"], experiment["model"], training, probe, process, max_prefixes)


@dataclass(frozen=True)
class Node:
    """What one prefix costs in one layer."""

    weights: int  # of the products that it passes
    floats: int  # kept for its gradient
    kept: int  # for what continues it
    train_seconds: float
    call_seconds: float = 0.0  # of training, however many nodes of one length there are


def n_token_columns(n_tokens: int, n_states: int, context: int) -> int:
    """Columns of the baselines that know the last token, and the token at each lag."""
    is_few = n_tokens * context <= MOST_TOKEN_FEATURES
    return (context + 1) * (n_tokens if is_few else min(n_states**2, max(1, MOST_TOKEN_FEATURES // context)))


def node_of(model: Mapping, n_ctx: int) -> Node:
    """The cost of a node in a layer of a network."""
    d_model, architecture = model["d_model"], model["architecture"]
    if architecture == "transformer":
        # The residual stream and its normalised copies, the hidden layer, queries, keys and values, the attention to
        # each ancestor.
        width = model["n_heads"] * model["d_head"]
        weights = d_model * (4 * width + 2 * model["d_mlp"])
        floats = 10 * d_model + 3 * model["d_mlp"] + 10 * width + n_ctx * model["n_heads"]
        return Node(weights, floats, 2 * width, 2.7 * weights / FLOPS)
    # By automatic differentiation: products of small matrices, and passes over what lies between them.
    if architecture == "kuramoto":
        weights, floats = d_model**2 * model["kuramoto_steps"], d_model * (8 + 9 * model["kuramoto_steps"])
    else:
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[architecture]
        weights, floats = 2 * gates * d_model**2, d_model * (8 + 5 * gates)
    kept = 2 * d_model if architecture == "lstm" else d_model
    return Node(weights, floats, kept, 4 * weights / FLOPS + PASS_SECONDS * floats, CALL_SECONDS)


def _size_of_markov(task, model, training, probe, process: Process, max_prefixes: int) -> Size:
    n_ctx, n_layers = task["context"] + model["bos"], model["n_layers"]
    n_tokens, d_model, sites = process.n_tokens, model["d_model"], chosen_sites(model, probe)
    n_states, limits = process.n_states, ((task["context"], max_prefixes), (MOST_TOKENS, MOST_BELIEFS))
    n_prefixes, node = count_at_most(n_tokens, task["context"], max_prefixes), node_of(model, n_ctx)
    weights, table = n_layers * node.weights, 8 * n_prefixes * n_tokens
    stored = 4 * (weights + d_model * (2 * n_tokens + n_ctx)) * max(training["snapshots"], probe["random_networks"])
    # Distinct prefixes of a batch, at most.
    words = sum(min(n_tokens**length, training["batch_size"]) for length in range(1, n_ctx + 1))
    nodes = n_prefixes if training["labels"] == "full_distribution" else words
    tree = n_prefixes * (80 + 48 * n_states)
    # The probe holds the features of all streams once, some fifteen targets, and Gram matrices of each cell; before,
    # columns for the last token, and for the token at each lag. Predictions become components of each other.
    known = min(n_tokens, MOST_PREDICTION_COLUMNS)
    predictions = 4 * known if n_tokens == known else 2 * known + min(known, d_model + 2) + min(known, n_states)
    features, columns = d_model * max(1, len(concatenated_sites(sites, probe))), 15 * n_states + predictions
    folds, repeats = probe["folds"], probe["repeats"]
    cells = 3 * max(folds**k for k in range(1, repeats + 1) if k == 1 or folds**k <= CELLS_AT_ONCE)
    gram, of_tokens = (features + columns) ** 2, n_token_columns(n_tokens, n_states, task["context"])
    gram_of_tokens = (of_tokens + 3 * n_states) ** 2
    # Of each site and fold: what the features leave of all columns, and of these what each prediction leaves.
    fits = (len(sites) + 1) * (probe["folds"] * (2 * probe["repeats"] + 1) + task["context"] + 2)
    left = 36 * fits * (d_model + columns) ** 2 * columns
    components = (n_prefixes * n_tokens**2 + 10 * n_tokens**3) * (n_tokens > known)
    n_complete = count_complete(n_tokens, task["context"], n_prefixes)
    continuation_probabilities = n_complete * n_tokens**2 + 10 * n_tokens**3
    return Size(
        n_tokens=n_tokens,
        n_states=n_states,
        n_complete=n_complete,
        n_continued=max(count_continued(n_tokens, *limit) for limit in limits),
        n_permutations=factorial(n_tokens) if n_tokens < 5 else 1 + min(MOST_SWAPS, comb(n_tokens, 2)),
        n_sites=len(sites),
        n_random_networks=probe["random_networks"],
        n_prefixes=n_prefixes,
        n_snapshots=training["snapshots"],
        n_probed=min(training["snapshots"], probe["snapshots"]),
        stored_bytes=stored,
        train_bytes=4 * nodes * (node.floats * n_layers + 10 * n_tokens) + 3 * stored,
        tree_bytes=tree,
        extract_bytes=tree
        + 16 * PREFIXES_AT_ONCE * n_tokens
        + min(64_000_000, table // 2)
        + 4 * n_prefixes * node.kept * n_layers
        + 4 * PREFIXES_AT_ONCE * node.floats
        + stored,
        baselines_bytes=tree
        + n_prefixes * (12 * of_tokens + 100 * n_states)
        + 8 * (cells + 10) * gram_of_tokens
        + 3 * table * (n_tokens > known),
        probe_bytes=tree
        + n_prefixes * (12 * features + 32 * columns)
        + 8 * (cells + 10) * gram
        + 3 * table * (n_tokens > known),
        recovery_bytes=640 * (features + 14) ** 2  # twenty Gram matrices, four times
        + 4 * n_prefixes * features
        + 32 * n_complete * n_tokens
        + 48 * n_tokens**2,
        circuit_bytes=0,
        train_seconds=training["steps"]
        * (
            n_layers * (nodes * node.train_seconds + n_ctx * node.call_seconds)
            + nodes * n_tokens * (6 * d_model / FLOPS + TOKEN_SECONDS)
        ),
        extract_seconds=3 * n_prefixes * (weights + n_tokens * d_model) / FLOPS + TOKEN_SECONDS * n_prefixes * n_tokens,
        baselines_seconds=(13 * n_prefixes * gram_of_tokens + 900 * of_tokens**3 + 4 * components) / FLOPS,
        probe_seconds=(
            (20 + 5 * repeats) * n_prefixes * gram + (1300 + 500 * repeats) * features**3 + left + 4 * components
        )
        / FLOPS,
        recovery_seconds=(4 * n_prefixes * features**2 + 230 * features**3 + 4 * continuation_probabilities) / FLOPS,
        surgery_seconds=0.0,
    )


def _size_of_modular(task, model, training, probe, process: ModularArithmetic, max_prefixes: int) -> Size:
    """The same of modular arithmetic, whose rows are the pairs of numbers."""
    d_model, p, n_pairs, n_snapshots = model["d_model"], process.modulus, process.modulus**2, training["snapshots"]
    width = model["n_heads"] * model["d_head"]
    stored = 4 * d_model * (2 * p + 2 * model["d_mlp"] + 4 * width) * max(n_snapshots, probe["random_networks"])
    weights = (model["d_mlp"] + width) * (width + p)  # of the products that each pair passes
    tree = 3 * process.n_prefixes * (2 * p + 20)
    columns, cells = d_model + 5 * p, CELLS_AT_ONCE
    return Size(
        n_tokens=process.n_tokens,
        n_states=0,
        n_prefixes=n_pairs,
        n_complete=n_pairs,
        n_continued=0,
        n_permutations=1,
        n_sites=len(chosen_sites(model, probe)),
        n_snapshots=n_snapshots,
        n_random_networks=probe["random_networks"],
        n_probed=min(n_snapshots, probe["snapshots"]),
        stored_bytes=stored,
        train_bytes=4 * n_pairs * (4 * (model["d_mlp"] + 4 * width) + 5 * p) + 3 * stored,
        tree_bytes=tree,
        extract_bytes=tree + stored,
        baselines_bytes=tree + n_pairs * 100 * p + 9 * cells * (5 * p) ** 2,
        probe_bytes=tree + n_pairs * (18 * d_model + 130 * p) + 9 * cells * columns**2,
        recovery_bytes=0,
        circuit_bytes=60 * p**3 + stored,
        train_seconds=training["steps"] * (4.5 * process.n_trained * weights / FLOPS + 0.01),
        extract_seconds=2 * n_pairs * weights / FLOPS,
        baselines_seconds=0.0,
        probe_seconds=28 * n_pairs * columns**2 / FLOPS,
        recovery_seconds=0.0,
        surgery_seconds=PAIRS * 2 * (model["d_mlp"] + width) * (width + 75) / FLOPS,
    )


SCIENCE, DRAWING, TORCH = 0.19e9, 0.26e9, 0.55e9
"""Bytes of Python with NumPy, pandas and xarray; with Matplotlib; with PyTorch."""

CUDA = 3e9
"""Bytes of the host's memory that the context and the libraries of CUDA take besides (not measured)."""

BYTES: Mapping[str, Callable[[Size], float]] = {
    "build_ground_truth": lambda size: (
        SCIENCE + max(0.03e9, 80 * size.n_continued) + 3 * size.tree_bytes + 2 * size.table_bytes
    ),
    "train_model": lambda size: TORCH + 0.05e9 + size.train_bytes,
    "initialize_networks": lambda size: TORCH + size.stored_bytes,
    "import_model": lambda size: TORCH + size.stored_bytes + size.extract_bytes,
    "extract_activations": lambda size: TORCH + 2 * size.extract_bytes,
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
    "write_findings": lambda size: 0.16e9,
    "write_report": lambda size: 0.17e9,
} | dict.fromkeys(
    ["plot_belief_simplex", "plot_emergence", "animate_emergence", "plot_sites", "plot_components"],
    lambda size: DRAWING + 500 * size.n_prefixes,
)
"""What a job takes; of the rules that are not here, `DRAWING` if they draw, or `SCIENCE`."""

BYTES_PER_EXPERIMENT = {"write_report": 0.04e9, "write_findings": 8e6, "export_crate": 4e6}
"""What a job takes besides for each experiment of the study: tables, and figures on one page."""

SECONDS: Mapping[str, Callable[[Size], float]] = {
    "train_model": lambda size: size.train_seconds,
    "extract_activations": lambda size: size.n_probed * size.extract_seconds,
    "build_ground_truth": lambda size: 1e-6 * size.n_continued + TOKEN_SECONDS * size.n_prefixes * size.n_tokens,
    "measure_loss": lambda size: TOKEN_SECONDS * size.n_probed * size.n_prefixes * size.n_tokens,
    "measure_process": lambda size: (
        3
        + 5e-5 * size.n_prefixes
        + TOKEN_SECONDS / 2 * LONG_PREFIXES * size.n_tokens * 10
        + 1e-7 * size.n_complete * size.n_permutations
        + 6e-3 * size.n_tokens
    ),
    "score_baselines": lambda size: 1.5 + size.baselines_seconds,
    "probe_beliefs": lambda size: 0.5 + size.n_networks * size.probe_seconds,
    "steer_network": lambda size: (
        2 + 24 * TOKEN_SECONDS * STEERED * size.n_sites * min(size.n_tokens, MOST_FOLLOWED) * size.n_tokens
    ),
    "recover_process": lambda size: 0.5 + size.n_probed * size.recovery_seconds,
    "score_recovery": lambda size: (
        0.8 + 2e-5 * size.n_prefixes + TOKEN_SECONDS / 2 * LONG_PREFIXES * size.n_tokens * (size.n_read + 30)
    ),
    "find_symmetries": lambda size: (
        4e-7 * size.n_complete * size.n_permutations * size.n_sites * max(2, size.n_random_networks)
        + 2e-9 * size.n_tokens**3
        + 1e-7 * size.n_permutations**2 * size.n_tokens * size.n_sites * max(2, size.n_random_networks)
    ),
    "measure_dimension": lambda size: 1.5 + 3e-5 * size.n_prefixes + 2e-3 * size.n_tokens * (1 + size.n_probed),
    "measure_convergence": lambda size: 4e-3 * size.n_tokens,
    "animate_emergence": lambda size: 1 + 5e-5 * size.n_prefixes,
    "measure_circuit": lambda size: 5 * size.n_snapshots * size.extract_seconds,
    "find_shift_symmetry": lambda size: 2.5e-5 * size.n_probed * size.n_prefixes,
    "measure_surgery": lambda size: 6 + size.surgery_seconds,
    "write_report": lambda size: 4,
}
"""How long the work of a job takes one core; of the rules that are not here, less than half a second."""

START, START_DRAWING, START_TORCH = 1.3, 2.1, 2.7
"""Seconds until a job has begun and ended besides: Snakemake, the interpreter, its packages, the record."""

WITH_TORCH = ("train_model", "initialize_networks", "import_model", "extract_activations", "steer_network")
WITH_TORCH += ("measure_circuit", "measure_surgery", "export_surgery")

SPEED_TEST = """
import pandas, torch, xarray, zarr
torch.set_num_threads(1)
for _ in range(30):
    torch.ones(1000, 1000) @ torch.ones(1000, 1000)
"""
SPEED_TEST_SECONDS = 2.5
"""How long the machine of the constants takes that: to start, and to multiply matrices."""


def slowness() -> float:
    """How many times the seconds of these constants this machine takes, as it is now: the median of three tries."""

    def tried() -> float:
        begin = perf_counter()
        subprocess.run([sys.executable, "-c", SPEED_TEST], check=True)
        return perf_counter() - begin

    return median(tried() for _ in range(3)) / SPEED_TEST_SECONDS


ON_GPU = ("train_model", "extract_activations")
"""The rules that ask for GPUs."""


class Estimates:
    """What the jobs of a study take, by rule and wildcards."""

    def __init__(self, experiments: Mapping[str, Mapping], max_prefixes: int, gpus: int = 0):
        self.on_gpu = ON_GPU if gpus else ()
        self.sizes = {name: size_of(experiment, max_prefixes) for name, experiment in experiments.items()}
        self.tasks = {name: task_name(experiment["task"]) for name, experiment in experiments.items()}

    def memory_bytes(self, rule: str, wildcards: Mapping[str, str]) -> float:
        """About how much memory a job takes."""
        of_rule = BYTES.get(rule, lambda size: DRAWING if rule.startswith("plot_") else SCIENCE)
        of_all = BYTES_PER_EXPERIMENT.get(rule, 0) * len(self.sizes)
        return float(max(of_rule(size) for size in self._behind(wildcards)) + of_all + CUDA * (rule in self.on_gpu))

    def seconds(self, rule: str, wildcards: Mapping[str, str]) -> float:
        """About how long a job takes on one core."""
        is_drawing = rule.startswith(("plot_", "animate_"))
        start = START_TORCH if rule in WITH_TORCH else START_DRAWING if is_drawing else START
        return start + max((SECONDS[rule](size) for size in self._behind(wildcards) if rule in SECONDS), default=0.0)

    def _behind(self, wildcards: Mapping[str, str]) -> list[Size]:
        """The sizes of the experiments that a job works for: of one, of those of one task, or of all."""
        if "experiment" in wildcards:
            return [self.sizes[wildcards["experiment"]]]
        return [size for name, size in self.sizes.items() if wildcards.get("task") in (None, self.tasks[name])]


def peak_memory_gb(experiment: Mapping, max_prefixes: int) -> float:
    """About how much memory the largest job of an experiment takes, in GB of 10^9 bytes."""
    size = size_of(experiment, max_prefixes)
    return max(of_rule(size) for of_rule in BYTES.values()) / 1e9
