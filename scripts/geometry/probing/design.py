"""The probe design of each kind of task: its targets, control targets, weights of the prefixes and splits."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from geometry.probing.baselines import token_coordinates
from geometry.probing.control_targets import control_targets, true_targets
from geometry.probing.cross_validation import by_first, by_length, by_membership, by_prefix, by_stem, passes
from geometry.probing.scores import ProbeDesign
from geometry.processes.prefix_tree import tree_of
from geometry.processes.process import Process
from geometry.tasks.base import Task
from geometry.tasks.modular_arithmetic import ModularArithmetic, circles, frequencies


def weightings(truth: xr.Dataset) -> dict[str, Float[ndarray, " prefix"]]:
    """Prefix probability, every length alike; all words alike at every position, as published; each prefix once.

    Of a sampled tree only the first is known: its words were drawn by their probability.
    """
    weights = {"probability": truth["weight"].values}
    if truth.attrs["complete"]:
        weights["uniform"] = truth["n_sequences_below"].values.astype(np.float64)
        weights["distinct_prefix"] = np.ones(truth.sizes["prefix"])
    return weights


def markov_design(truth: xr.Dataset, process: Process, other: Process | None, probe: Mapping) -> ProbeDesign:
    """What is asked of a hidden Markov model's task: its belief states."""
    rng, tree = np.random.default_rng(probe["seed"]), tree_of(truth)
    belief, weights = truth["target"].values, weightings(truth)
    control = control_targets(process, tree, belief, weights["probability"], other, rng)
    draws = probe["folds"], probe["repeats"], rng
    first = passes({"held_out_prefix": by_prefix(len(tree), *draws)})
    others = passes({"held_out_length": by_length(tree), "held_out_subtree": by_stem(tree, *draws)})
    return ProbeDesign(tree.length, true_targets(process, belief), control, weights, [*first, *others])


def modular_design(task: ModularArithmetic, probe: Mapping) -> ProbeDesign:
    """What is asked of modular arithmetic, of every pair alike: the circles of the answer, all and one by one.

    Wrong are those of each operand, of the answer to another operation, and of another pair's answer.
    """
    rng, p, (first, second) = np.random.default_rng(probe["seed"]), task.modulus, task.pairs
    true = circles(task.answer, p)
    other = (first + second if task.operation == "subtraction" else first - second) % p
    control = {
        "shuffled_answer_circles": true[rng.permutation(len(true))],
        "first_number_circles": circles(first, p),
        "second_number_circles": circles(second, p),
        "other_operation_circles": circles(other, p),
    }
    draws = probe["folds"], probe["repeats"], rng
    prefix = passes({"held_out_prefix": by_prefix(len(true), *draws)})
    unseen = {"held_out_from_training": by_membership(task.is_trained), "held_out_subtree": by_first(first, *draws)}
    splits = [*prefix, *passes(unseen)]
    parts = {f"circle_{k}": slice(2 * k - 2, min(2 * k, p - 1)) for k in frequencies(p)}
    weights = {"probability": np.full(len(true), 1 / len(true))}
    true = {"answer_circles": true}
    return ProbeDesign(np.full(p**2, 3), true, control, weights, splits, parts=parts, estimator="least_squares")


class TaskProbe(NamedTuple):
    """The probe design of a kind of task, and the columns [token, column] that stand for its tokens in baselines."""

    design: Callable[[Task, xr.Dataset, Mapping], ProbeDesign]
    token_coordinates: Callable[[Task], ndarray]


def _design_of_markov(task: Task, truth: xr.Dataset, probe: Mapping) -> ProbeDesign:
    return markov_design(truth, task.process, task.with_parameters(probe["control_parameters"] or {}), probe)


def _design_of_modular(task: Task, truth: xr.Dataset, probe: Mapping) -> ProbeDesign:
    return modular_design(task.arithmetic, probe)


PROBES = {
    "markov": TaskProbe(_design_of_markov, lambda task: token_coordinates(task.process, task.context)),
    "modular": TaskProbe(_design_of_modular, lambda task: np.eye(task.n_tokens)),
}
"""By the kind of task."""
