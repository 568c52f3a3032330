"""How much memory an experiment takes, estimated before any of its jobs starts."""

from collections.abc import Mapping

from geometry.modular import ModularArithmetic
from geometry.process import Process
from geometry.sites import PREFIXES_AT_ONCE


def count_at_most(n_tokens: int, context: int, limit: int) -> int:
    """The number of words of 1 to `context` tokens, or `limit` if there are more."""
    count, level = 0, 1
    for _ in range(context):
        level *= n_tokens
        count += level
        if count > limit:
            return limit
    return count


def peak_memory_gb(experiment: Mapping, process: Process | ModularArithmetic, max_prefixes: int) -> float:
    """About how much memory the largest job of an experiment needs, in GB of 10^9 bytes."""
    if isinstance(process, ModularArithmetic):
        return _of_modular_gb(experiment, process)
    task, model, probe = (experiment[section] for section in ("task", "model", "probe"))
    training = experiment.get("training", {"labels": None, "batch_size": 0, "snapshots": 2})  # nothing, of a checkpoint
    n_ctx, width, n_layers = task["context"] + model["bos"], model["n_heads"] * model["d_head"], model["n_layers"]
    per_token = 8 * process.n_tokens * process.n_states
    # Floats that a node keeps for its gradient in one block: the residual stream and its normalised
    # copies, the hidden layer twice, queries, keys and values, and the attention to each ancestor.
    block = 10 * model["d_model"] + 3 * model["d_mlp"] + 10 * width + n_ctx * model["n_heads"]
    parameters = model["d_model"] * (n_layers * (4 * width + 2 * model["d_mlp"]) + 2 * process.n_tokens + n_ctx)
    limit = max_prefixes if training["labels"] == "tree" else training["batch_size"] * n_ctx
    nodes = count_at_most(process.n_tokens, n_ctx, limit)
    train = 4 * nodes * (block * n_layers + 4 * process.n_tokens) + 4 * parameters * (6 + 3 * training["snapshots"])
    prefixes = count_at_most(process.n_tokens, task["context"], max_prefixes)
    tree = prefixes * (80 + 2 * per_token)
    extract = tree + 8 * prefixes * width * n_layers + 4 * PREFIXES_AT_ONCE * block
    extract += 4 * parameters * max(training["snapshots"], probe["untrained"])
    # The probe holds the features of all streams once, some fifteen targets, and Gram matrices of each cell.
    features = model["d_model"] * (n_layers + 1)
    cells = 2 * probe["folds"] ** probe["repeats"] + (probe["folds"] + 1) * task["context"]
    columns = 15 * process.n_states + 4 * process.n_tokens
    regress = prefixes * (12 * features + 32 * columns) + 8 * (cells + 10) * (features + columns) ** 2
    return (max(train, extract, regress) + 0.5e9) / 1e9


def _of_modular_gb(experiment: Mapping, task: ModularArithmetic) -> float:
    """The same of modular arithmetic, whose rows are the pairs of numbers."""
    model, probe = experiment["model"], experiment["probe"]
    d_model, p, n_pairs = model["d_model"], task.modulus, task.modulus**2
    hidden = model["d_mlp"] + 4 * model["n_heads"] * model["d_head"]
    train = 4 * n_pairs * (4 * hidden + 5 * p)
    parameters = d_model * (2 * p + 2 * model["d_mlp"] + 4 * model["n_heads"] * model["d_head"])
    snapshots = 4 * parameters * max(experiment.get("training", {}).get("snapshots", 2), probe["untrained"])
    truth = 2 * task.n_prefixes * 8 * (2 * p + 20)
    columns = 2 * d_model + 5 * p
    cells = probe["folds"] ** probe["repeats"] + 2 * probe["folds"] + 10
    regress = n_pairs * (8 * d_model + 60 * p) + 8 * (cells * columns**2 + 2 * n_pairs * columns)
    analyse = 8 * 6 * p**3
    return (max(train, truth + regress, analyse) + snapshots + 0.5e9) / 1e9
