"""The size of an experiment: numbers of prefixes, sites and snapshots, bytes and seconds, from its configuration.

The constants are measured on one core of a small virtual machine; benchmarks/measure_resources.py sets the estimates
beside what the jobs of a finished study took.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from math import comb, factorial

from geometry.networks.hook_points import PREFIXES_AT_ONCE, chosen_sites, concatenated_sites
from geometry.networks.node_cost import FLOPS, node_of
from geometry.networks.recording import CHUNK_NUMBERS
from geometry.probing.baselines import MOST_PREDICTION_COLUMNS, MOST_TOKEN_FEATURES
from geometry.probing.cross_validation import CELLS_AT_ONCE
from geometry.processes.entropy import MOST_BELIEFS, MOST_CHILDREN, MOST_TOKENS
from geometry.processes.prefix_counts import count_prefixes, count_sequences
from geometry.recovery.token_symmetry import MOST_SWAPS
from geometry.tasks.base import Task
from geometry.tasks.task import task_of

TOKEN_SECONDS = 2e-8
"""Seconds of a few passes over a table of prefixes and tokens, by number in it."""

PAIRS = 3.4e6
"""Pairs of numbers on which a network and its controls are tried for the moduli up to 150."""

OF_PRETRAINED = {"context": 0, "labels": None, "batch_size": 0, "snapshots": 2, "steps": 0}
"""In place of the training section of a pretrained network: one at initialisation, and itself."""


@dataclass(frozen=True)
class Size:
    """The size of an experiment: bytes beyond those of Python and its packages, seconds of one core."""

    n_tokens: int
    n_prefixes: int
    n_complete: int  # prefixes up to the length up to which all are there
    n_permutations: int
    n_sites: int
    n_snapshots: int  # of a training
    n_random_networks: int
    n_probed: int  # of these, at most; of networks that are never trained, one each
    stored_bytes: int  # the weights of all snapshots
    train_bytes: int
    tree_bytes: int
    extract_bytes: int
    baselines_bytes: int
    probe_bytes: int
    train_seconds: float
    extract_seconds: float  # of one snapshot
    baselines_seconds: float
    probe_seconds: float  # of the last snapshot of a training
    n_compared: int = 2  # of these, at random initialisation and at the end
    # what some kinds of tasks or networks do not have
    n_continued: int = 0  # continuations of beliefs that are looked at together
    recovery_bytes: int = 0
    recovery_seconds: float = 0.0  # of one snapshot
    circuit_bytes: int = 0
    surgery_seconds: float = 0.0
    imported_bytes: int = 0  # of a recording
    import_seconds: float = 0.0  # of one site of it
    language_bytes: float = 0.0  # of a language model that reads the sequences
    language_seconds: float = 0.0

    @property
    def table_bytes(self) -> float:
        """Bytes of a table with a number for each prefix and token."""
        return 8.0 * self.n_prefixes * self.n_tokens

    @property
    def of_random(self) -> "Size":
        """The size of the run of networks that are never trained."""
        return replace(self, n_probed=self.n_random_networks, n_compared=self.n_random_networks)

    @property
    def n_networks(self) -> int:
        """Networks that a job reads at most: snapshots of a training, or networks that are never trained."""
        return max(self.n_probed, self.n_random_networks)

    @property
    def n_read(self) -> int:
        """Networks and sites that a process is recovered from, and ranks of that from sampled sequences."""
        return self.n_probed * (self.n_sites + 2) + 15


def prefixes_by_length(task: Task, context: int, limit: int) -> tuple[int, ...]:
    """The number of prefixes of each length from 1 to `context`, or `limit` if it is less; at most, of some tasks."""
    if task.kind == "markov":
        return count_prefixes(task.process, context, limit)
    return count_sequences(task.n_tokens, context, limit)


def n_in_tree(by_length: Sequence[int], max_prefixes: int) -> tuple[int, int]:
    """The prefixes of a tree, at most, and those of them up to the length up to which all are there.

    Of more than `max_prefixes`, they are those of sampled sequences.
    """
    if sum(by_length) <= max_prefixes:
        return sum(by_length), sum(by_length)
    n_sequences = max(1, max_prefixes // len(by_length))
    n_complete = sum(takewhile(lambda n: n <= n_sequences, by_length))
    return sum(min(n, n_sequences) for n in by_length), max(by_length[0], n_complete)


def count_continued(n_tokens: int, context: int, limit: int) -> int:
    """The most sequences of one length in a search for at most `limit`, which ends above `MOST_CHILDREN` times that."""
    count = 1
    for _ in range(context):
        if count > limit or count * n_tokens > MOST_CHILDREN * limit:
            break
        count *= n_tokens
    return count


def n_token_columns(n_tokens: int, n_states: int, context: int) -> int:
    """Columns of the baselines of the last token, and of the token at each lag."""
    is_few = n_tokens * context <= MOST_TOKEN_FEATURES
    return (context + 1) * (n_tokens if is_few else min(n_states**2, max(1, MOST_TOKEN_FEATURES // context)))


def size_of_tree(task: Task, model: Mapping, training: Mapping, probe: Mapping, max_prefixes: int) -> Size:
    """The size of a task whose rows are the prefixes of a tree, at most `max_prefixes`."""
    n_ctx, n_layers = task.context + model["bos"], model["n_layers"]
    n_trained = training["context"] + model["bos"]
    n_tokens, d_model, sites = task.n_tokens, model["d_model"], chosen_sites(model, probe)
    n_states, limits = task.n_components, ((task.context, max_prefixes), (MOST_TOKENS, MOST_BELIEFS))
    by_length, node = prefixes_by_length(task, n_ctx, max_prefixes), node_of(model, n_ctx)
    n_prefixes, n_complete = n_in_tree(by_length[: task.context], max_prefixes)
    weights, table = n_layers * node.weights, 8 * n_prefixes * n_tokens
    stored = 4 * (weights + d_model * (2 * n_tokens + n_ctx)) * max(training["snapshots"], probe["random_networks"])
    # Distinct prefixes of a batch, at most.
    words = sum(min(n, training["batch_size"]) for n in by_length[:n_trained])
    every = min(max_prefixes, sum(by_length[: training["context"]]))
    nodes = every if training["labels"] == "full_distribution" else words
    tree = n_prefixes * (80 + 48 * n_states)
    # The probe holds the features of the concatenated sites once, some fifteen targets, and Gram matrices of each cell;
    # before, columns for the last token, and for the token at each lag. Predictions become components of each other.
    known = min(n_tokens, MOST_PREDICTION_COLUMNS)
    predictions = 4 * known if n_tokens == known else 2 * known + min(known, d_model + 2) + min(known, n_states)
    features, columns = d_model * max(1, len(concatenated_sites(sites, probe))), 15 * n_states + predictions
    folds, repeats = probe["folds"], probe["repeats"]
    cells = 3 * max(folds**k for k in range(1, repeats + 1) if k == 1 or folds**k <= CELLS_AT_ONCE)
    gram, of_tokens = (features + columns) ** 2, n_token_columns(n_tokens, n_states, task.context)
    gram_of_tokens = (of_tokens + 3 * n_states) ** 2
    # Of each site and fold: what the features leave of all columns, and of these what each prediction leaves.
    fits = (len(sites) + 1) * (probe["folds"] * (2 * probe["repeats"] + 1) + task.context + 2)
    left = 36 * fits * (d_model + columns) ** 2 * columns
    components = (n_prefixes * n_tokens**2 + 10 * n_tokens**3) * (n_tokens > known)
    continuation_probabilities = n_complete * n_tokens**2 + 10 * n_tokens**3
    return Size(
        n_tokens=n_tokens,
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
        + 4 * n_prefixes * node.cached * n_layers
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
        train_seconds=training["steps"]
        * (
            n_layers * (nodes * node.train_seconds + n_trained * node.call_seconds)
            + nodes * n_tokens * (6 * d_model / FLOPS + TOKEN_SECONDS)
        ),
        extract_seconds=3 * n_prefixes * (weights + n_tokens * d_model) / FLOPS + TOKEN_SECONDS * n_prefixes * n_tokens,
        baselines_seconds=(13 * n_prefixes * gram_of_tokens + 900 * of_tokens**3 + 4 * components) / FLOPS,
        probe_seconds=(
            (12 + 3 * repeats) * n_prefixes * gram + (1550 + 250 * repeats) * features**3 + left + 4 * components
        )
        / FLOPS,
        recovery_seconds=(3 * n_prefixes * features**2 + 350 * features**3 + 4 * continuation_probabilities) / FLOPS,
    )


def size_of_pairs(task: Task, model: Mapping, training: Mapping, probe: Mapping, max_prefixes: int) -> Size:
    """The size of modular arithmetic, whose rows are the pairs of numbers."""
    process = task.arithmetic
    d_model, p, n_pairs, n_snapshots = model["d_model"], process.modulus, process.modulus**2, training["snapshots"]
    width = model["n_heads"] * model["d_head"]
    stored = 4 * d_model * (2 * p + 2 * model["d_mlp"] + 4 * width) * max(n_snapshots, probe["random_networks"])
    weights = (model["d_mlp"] + width) * (width + p)  # of the products that each pair passes
    tree = 3 * process.n_prefixes * (2 * p + 20)
    columns, cells = d_model + 5 * p, CELLS_AT_ONCE
    return Size(
        n_tokens=process.n_tokens,
        n_prefixes=n_pairs,
        n_complete=n_pairs,
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
        probe_bytes=tree + n_pairs * (20 * d_model + 145 * p) + 10 * cells * columns**2,
        circuit_bytes=60 * p**3 + stored,
        train_seconds=training["steps"] * (3 * process.n_trained * weights / FLOPS + 0.01),
        extract_seconds=2 * n_pairs * weights / FLOPS,
        baselines_seconds=28 * n_pairs * (5 * p) ** 2 / FLOPS,
        probe_seconds=20 * n_pairs * columns**2 / FLOPS,
        surgery_seconds=PAIRS * 2 * (model["d_mlp"] + width) * (width + 75) / FLOPS,
    )


SIZES: dict[str, Callable[[Task, Mapping, Mapping, Mapping, int], Size]] = {"modular": size_of_pairs}
"""By the kind of task, where it is not `size_of_tree`."""


def size_of(experiment: Mapping, max_prefixes: int) -> Size:
    """The size of a resolved experiment; of a recording, no more prefixes are read than it has positions."""
    if "recording" in experiment:
        max_prefixes = min(max_prefixes, experiment["recording"]["n_positions"])
    task, training = task_of(experiment["task"]), experiment.get("training", OF_PRETRAINED)
    size = SIZES.get(task.kind, size_of_tree)(task, experiment["model"], training, experiment["probe"], max_prefixes)
    if "recording" not in experiment:
        return size
    n_positions, n_features = experiment["recording"]["n_positions"], experiment["recording"]["n_features"]
    n_numbers = experiment.get("language", {}).get("n_numbers", 0)
    reduced = n_features > experiment["model"]["d_model"]
    return replace(
        size,
        imported_bytes=size.tree_bytes
        + 100 * n_positions
        + 6 * size.n_prefixes * experiment["model"]["d_model"]
        + 16 * CHUNK_NUMBERS
        + 16 * n_features**2 * reduced,
        language_bytes=6.0 * n_numbers + 1.5e9 * (n_numbers > 0),
        language_seconds=2 * (2 * n_numbers * n_positions / FLOPS + 30),
        import_seconds=2e-9 * n_positions * n_features
        + (2 * size.n_prefixes * n_features**2 + 2e4 * n_features**2) * reduced / FLOPS,
    )
