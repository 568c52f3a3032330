"""Probe designs: the targets and control targets of a task, the weights of its prefixes, and the splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.control_targets import control_targets, true_targets
from geometry.probing.cross_validation import Split, by_first, by_length, by_membership, by_prefix, by_stem, passes
from geometry.processes.prefix_tree import tree_of
from geometry.processes.process import Process
from geometry.tasks.modular_arithmetic import ModularArithmetic, circles, frequencies
from geometry.tasks.task import is_modular, other_process, process_of


@dataclass(frozen=True)
class ProbeDesign:
    """The targets of a probe, the weights of its rows, and the splits on which regressions are scored.

    `true` and `control` hold targets by name; the first true target is the main one, of which `parts` (by name and
    index) are scored too. The first of the `weights` is the probability of the prefix; the others are used with the
    splits of the first pass alone. Each pass is a list of splits whose cells are shared; splits of one name are draws
    of the same folds. Verdicts rest on the `estimator`: ridge, or least squares where rows are far more than features.
    """

    length: Integer[ndarray, " row"]
    true: Mapping[str, Float[ndarray, "row _"]]
    control: Mapping[str, Float[ndarray, "row _"]]
    weights: Mapping[str, Float[ndarray, " row"]]
    passes: list[list[Split]]
    parts: Mapping[tuple[str, int], slice] = field(default_factory=dict)
    estimator: str = "ridge"

    @property
    def main(self) -> str:
        return next(iter(self.true))

    @property
    def primary(self) -> Split:
        """The split on which verdicts rest; its first draw of folds holds out what is decoded."""
        return self.passes[0][0]

    @property
    def by_probability(self) -> str:
        """The weighting on which verdicts rest."""
        return next(iter(self.weights))

    @property
    def published(self) -> str:
        """The weighting of the published protocol, uniform over sequences; by probability where that is unknown."""
        return "uniform" if "uniform" in self.weights else self.by_probability

    @property
    def folds(self) -> dict[str, Integer[ndarray, "draw row"]]:
        """The fold of each row in every draw, by the name of the split."""
        names = dict.fromkeys(split.name for splits in self.passes for split in splits)
        return {
            name: np.concatenate([one.fold for splits in self.passes for one in splits if one.name == name])
            for name in names
        }

    def weightings_of_pass(self, number: int) -> list[str]:
        """All weightings in the first pass, numbered 0; in later passes by probability alone."""
        return list(self.weights) if number == 0 else [self.by_probability]


def weightings(truth: xr.Dataset) -> dict[str, Float[ndarray, " prefix"]]:
    """Weights of the prefixes by name: their probability, uniform over full-length sequences, and each prefix once.

    `uniform` counts the full-length sequences that continue a prefix (Shai et al. 2024). Of a sampled tree only the
    probability is defined: its sequences were drawn by it.
    """
    weights = {"probability": truth["weight"].values}
    if truth.attrs["complete"]:
        weights["uniform"] = truth["n_sequences_below"].values.astype(np.float64)
        weights["distinct_prefix"] = np.ones(truth.sizes["prefix"])
    return weights


def markov_design(truth: xr.Dataset, process: Process, other: Process | None, probe: Mapping) -> ProbeDesign:
    """The design for a hidden Markov model: its belief states, with those of `other` parameters as a control target."""
    rng, tree = np.random.default_rng(probe["seed"]), tree_of(truth)
    belief, weights = truth["target"].values, weightings(truth)
    control = control_targets(process, tree, belief, weights["probability"], other, rng)
    draws = probe["folds"], probe["repeats"], rng
    first = passes({"held_out_prefix": by_prefix(len(tree), *draws)})
    others = passes({"held_out_length": by_length(tree), "held_out_subtree": by_stem(tree, *draws)})
    return ProbeDesign(tree.length, true_targets(process, belief), control, weights, [*first, *others])


def modular_design(task: ModularArithmetic, probe: Mapping) -> ProbeDesign:
    """The design for modular arithmetic, every pair with the same weight: the circles of the answer, all and each.

    Control targets are the circles of each operand, of the answer to another operation, and of another pair's answer.
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
    parts = {("circle", int(k)): slice(2 * k - 2, min(2 * k, p - 1)) for k in frequencies(p)}
    weights = {"probability": np.full(len(true), 1 / len(true))}
    true = {"answer_circles": true}
    return ProbeDesign(np.full(p**2, 3), true, control, weights, splits, parts=parts, estimator="least_squares")


def probe_design(truth: xr.Dataset, task: Mapping, settings: Mapping) -> ProbeDesign:
    """The probe design of a task section, by the settings of its probe section."""
    if is_modular(task):
        return modular_design(process_of(task), settings)
    other = other_process(task, settings["control_parameters"] or {})
    return markov_design(truth, process_of(task), other, settings)
