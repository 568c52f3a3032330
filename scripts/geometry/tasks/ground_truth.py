"""The ground truth of a task: every prefix with its probability, its target geometry and the optimal prediction."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.processes.belief_states import IMPOSSIBLE, belief_states, complete_tree, complete_tree_with_beliefs
from geometry.processes.entropy import entropy_rate_bounds_nats, next_token_entropy_nats, optimal_loss_nats
from geometry.processes.prefix_tree import PrefixTree, n_sequences_below, tree_of_sequences
from geometry.processes.process import TOLERANCE, Process, ProcessError, check_distributions
from geometry.processes.sampling import sampled_tree
from geometry.tasks.base import COORDINATES, PROBABILITIES
from geometry.tasks.modular_arithmetic import ModularArithmetic
from geometry.tasks.tabulated import TabulatedTask

DISTINCT_DECIMALS = 6
"""Belief states that agree to this many decimals are counted as one."""


def as_dataset(tree: PrefixTree, variables: dict, coordinates: dict, attrs: dict) -> xr.Dataset:
    """The dataset of a task: its prefixes as a tree, each with the given variables."""
    truth = xr.Dataset(
        {
            **variables,
            "length": ("prefix", tree.length.astype(np.int32), {"units": "tokens"}),
            "parent": ("prefix", tree.parent.astype(np.int32), {"long_name": "prefix without its last token, or -1"}),
            "last_token": ("prefix", tree.last_token.astype(np.int32)),
            "n_sequences_below": ("prefix", n_sequences_below(tree)),
        },
        coords={**coordinates, "position": ("position", np.arange(tree.length[-1] + 1), {"units": "observed tokens"})},
        attrs=attrs,
    )
    truth["n_sequences_below"].attrs["long_name"] = "longest prefixes that continue this one"
    truth["probability"].attrs["long_name"] = "probability among sequences of the prefix's length"
    truth["weight"].attrs["long_name"] = "weight of the prefix in means over its length; 0 where nothing is scored"
    truth["next_token_probability"].attrs["long_name"] = "optimal prediction"
    truth["optimal_loss_nats"].attrs["units"] = "nats"
    return truth


def complete_length(process: Process, tree: PrefixTree) -> int:
    """The length up to which a tree has every prefix of positive probability."""
    for length, level in enumerate(tree.levels, 1):
        every = complete_tree(process, length, level.stop)
        if every is None or len(every) > level.stop:
            return length - 1
    return len(tree.levels)


def check_truth(process: Process, tree: PrefixTree, belief, weight, next_token_probability) -> None:
    """Raise `ProcessError` for beliefs, predictions or weights that cannot be."""
    if not process.generalized:
        check_distributions(f"{process.name}: the belief state after some prefix", belief)
    elif not np.abs(belief @ process.readout - 1).max() <= TOLERANCE:
        raise ProcessError(f"{process.name}: the belief state after some prefix has a read-out that is not 1")
    check_distributions(f"{process.name}: the prediction after some prefix", next_token_probability)
    total = np.add.reduceat(weight, [level.start for level in tree.levels])
    left_out = IMPOSSIBLE * process.n_tokens * np.arange(1, len(total) + 1)  # continuations that are no events
    if not (np.abs(total - 1) <= left_out + TOLERANCE).all():
        raise ProcessError(f"{process.name}: the prefixes of some length have probability {total.min():.9g} in all")


def check_possible(
    process: Process,
    tree: PrefixTree,
    next_token: Float[ndarray, "prefix token"],
    nodes: Integer[ndarray, "sequence position"],
) -> None:
    """Raise `ProcessError` for a sequence with a token that the process cannot emit there."""
    start = process.next_token_probability(process.initial_state[None])
    before = np.vstack([next_token, start])[tree.parent, tree.last_token]  # the last row is that of the empty prefix
    impossible = np.flatnonzero(~(before > IMPOSSIBLE))
    if len(impossible):
        sequence, position = np.argwhere(nodes == impossible[0])[0]
        raise ProcessError(
            f"{process.name}: it cannot emit token {process.token_names[tree.last_token[impossible[0]]]} in sequence "
            f"{sequence} at position {position}, after the tokens before it"
        )


def tree_of_recording(
    process: Process, sequences: Integer[ndarray, "sequence position"]
) -> tuple[PrefixTree, Float[ndarray, "prefix state"], Float[ndarray, " prefix"], Float[ndarray, " prefix"]]:
    """The tree of some sequences, with beliefs, probabilities and weights: the share of the sequences.

    Where these have every prefix of positive probability, the weight is the probability, however often each is there.
    """
    tree, nodes = tree_of_sequences(sequences)
    every = complete_tree_with_beliefs(process, sequences.shape[1], len(tree))
    if every is not None and len(every[0]) == len(tree) and (every[0].last_token == tree.last_token).all():
        return *every, every[2]
    with np.errstate(divide="ignore", invalid="ignore"):  # behind what is impossible, which is refused
        belief, probability = belief_states(process, tree)
        next_token = process.next_token_probability(belief)
    check_possible(process, tree, next_token, nodes)
    return tree, belief, probability, np.bincount(nodes.ravel(), minlength=len(tree)) / len(sequences)


def markov_ground_truth(
    process: Process,
    context: int,
    max_prefixes: int,
    seed: int,
    sequences: Integer[ndarray, "sequence position"] | None = None,
    first_position: int = 1,
) -> xr.Dataset:
    """The tree of all prefixes up to `context` tokens, or a sample of it beyond `max_prefixes`; or that of `sequences`.

    ``weight`` sums to 1 over the prefixes of each length: it is the probability where the tree is complete, and the
    share of the sequences where it is not. Of fewer tokens than `first_position` it is 0: these are not scored.
    """
    if sequences is not None:
        tree, belief, probability, weight = tree_of_recording(process, sequences)
    elif found := complete_tree_with_beliefs(process, context, max_prefixes):
        tree, belief, probability = found
        weight = probability
    else:
        tree, weight = sampled_tree(process, context, max_prefixes, np.random.default_rng(seed))
        belief, probability = belief_states(process, tree)
    complete = weight is probability
    next_token = process.next_token_probability(belief)
    check_truth(process, tree, belief, weight, next_token)
    loss = optimal_loss_nats(process, tree, weight, next_token, not complete)
    lower, upper = entropy_rate_bounds_nats(process)
    rate = {"entropy_rate_nats": upper}
    if not np.isnan(lower):
        rate = {"entropy_rate_nats": (lower + upper) / 2, "entropy_rate_width_nats": upper - lower}
    beliefs = np.vstack([process.initial_state, belief]).round(DISTINCT_DECIMALS)
    return as_dataset(
        tree,
        {
            "target": (("prefix", "component"), belief, {"long_name": "belief state"}),
            "probability": ("prefix", probability),
            "weight": ("prefix", np.where(tree.length >= first_position, weight, 0)),
            "next_token_probability": (("prefix", "token"), next_token),
            "optimal_loss_nats": ("position", loss),
        },
        {"component": list(process.state_names), "token": list(process.token_names)},
        {
            "target_name": "belief_state",
            "process": process.name,
            "complete": int(complete),
            "complete_length": context if complete else complete_length(process, tree),
            "target_kind": COORDINATES if process.generalized else PROBABILITIES,
            "n_distinct_targets": len(np.unique(beliefs, axis=0)),
            "entropy_rate_upper_nats": upper,
            **rate,
            **({} if sequences is None else {"n_sequences": len(sequences)}),
        },
    )


def modular_ground_truth(task: ModularArithmetic) -> xr.Dataset:
    """The tree of all questions a b =, with the circles of their answers as the target.

    Only the prediction after the equals sign is scored: every other prefix has ``weight`` 0 and a target of zeros.
    """
    tree, p = task.tree, task.modulus
    scored = slice(-(p**2), None)
    target, weight, answer = np.zeros((len(tree), p - 1)), np.zeros(len(tree)), np.full(len(tree), -1, np.int32)
    target[scored], weight[scored], answer[scored] = task.places(task.answer), p**-2.0, task.answer
    next_token = np.zeros((len(tree), task.n_tokens))
    next_token[:p, :p] = 1 / p
    next_token[p : p + p**2, task.equals] = 1
    next_token[scored][np.arange(p**2), task.answer] = 1
    is_trained = np.zeros(len(tree), bool)
    is_trained[scored] = task.is_trained
    return as_dataset(
        tree,
        {
            "target": (("prefix", "component"), target, {"long_name": "the place of the answer on the circles, by k"}),
            "probability": ("prefix", float(p) ** -np.minimum(tree.length, 2)),
            "weight": ("prefix", weight),
            "next_token_probability": (("prefix", "token"), next_token),
            "optimal_loss_nats": ("position", np.array([np.log(p), np.log(p), 0, 0])),
            "answer": ("prefix", answer, {"long_name": "the answer, or -1 where none is scored"}),
            "is_trained": ("prefix", is_trained, {"long_name": "whether a network is trained on the question"}),
        },
        {"component": task.component_names, "token": list(task.token_names)},
        {
            "target_name": "answer_circles",
            "process": task.name,
            "complete": 1,
            "target_kind": COORDINATES,
            "n_distinct_targets": p,
            "entropy_rate_nats": np.log(p) / 2,  # two free tokens of the four of a sequence
        },
    )


def tabulated_ground_truth(task: TabulatedTask) -> xr.Dataset:
    """The tree of all prefixes of a task that states its arrays itself; `weight` is 0 where nothing is scored."""
    table = task.table
    tree, weight, next_token = table.tree, table.weight, table.next_token_probability
    check_distributions(f"{task.name}: the prediction after some prefix", next_token)
    entropy = next_token_entropy_nats(next_token)
    loss = np.array([0, *(weight[level] @ entropy[level] for level in tree.levels)])
    return as_dataset(
        tree,
        {
            "target": (("prefix", "component"), table.target, {"long_name": task.target_name.replace("_", " ")}),
            "probability": ("prefix", table.probability),
            "weight": ("prefix", weight),
            "next_token_probability": (("prefix", "token"), next_token),
            "optimal_loss_nats": ("position", loss),
        },
        {"component": list(task.component_names), "token": list(task.token_names)},
        {
            "target_name": task.target_name,
            "process": task.name,
            "complete": 1,
            "target_kind": task.target_kind,
            "n_distinct_targets": len(np.unique(table.target[weight > 0].round(DISTINCT_DECIMALS), axis=0)),
            "entropy_rate_nats": loss[-1],  # of a prediction after the longest prefix
        },
    )


GROUND_TRUTHS: dict[str, Callable[..., xr.Dataset]] = {
    "markov": lambda task, *settings, **recorded: markov_ground_truth(
        task.process, task.context, *settings, **recorded
    ),
    "modular": lambda task, *_: modular_ground_truth(task.arithmetic),  # all pairs, never a sample
    "tabulated": lambda task, *_: tabulated_ground_truth(task),
}
"""By the kind of task: its dataset, given tree.max_prefixes and tree.seed; of a recording also its sequences."""
