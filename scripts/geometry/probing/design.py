"""Probe designs: the targets and control targets of a task, the weights of its prefixes, and the splits."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.baselines import token_coordinates
from geometry.probing.control_targets import control_targets, true_targets
from geometry.probing.cross_validation import (
    CELLS_AT_ONCE,
    Split,
    by_block,
    by_first,
    by_length,
    by_membership,
    by_prefix,
    by_sequence,
    by_stem,
    passes,
)
from geometry.processes.prefix_tree import scored_positions, tree_of
from geometry.processes.process import Process
from geometry.tasks.base import Task
from geometry.tasks.modular_arithmetic import ModularArithmetic, circles, frequencies
from geometry.tasks.task import task_of


@dataclass(frozen=True)
class ProbeDesign:
    """The targets of a probe, the weights of its rows, and the splits on which regressions are scored.

    `true` and `control` hold targets by name; the first true target is the main one, of which `parts` (by name and
    index) are scored too. The first of the `weights` is the probability of the prefix; the others are used with the
    splits of the first pass alone. Each pass is a list of splits whose cells are shared; splits of one name are draws
    of the same folds. Verdicts rest on the `estimator`: ridge, or least squares where rows are far more than features.
    Weightings other than by probability are held out on the first draw of folds alone, or, if not `weighs_otherwise`,
    not at all: then they are fitted in sample.
    """

    length: Integer[ndarray, " row"]
    true: Mapping[str, Float[ndarray, "row _"]]
    control: Mapping[str, Float[ndarray, "row _"]]
    weights: Mapping[str, Float[ndarray, " row"]]
    passes: list[list[Split]]
    parts: Mapping[tuple[str, int], slice] = field(default_factory=dict)
    estimator: str = "ridge"
    weighs_otherwise: bool = True

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

    def held_out(self, number: int, weighting: str) -> Iterator[tuple[str, Integer[ndarray, "draw cell"]]]:
        """By the name of each split of a pass, the fold of each cell in the draws that are scored with a weighting."""
        for split in self.passes[number]:
            if weighting == self.by_probability:
                yield split.name, split.fold_of_cell
            elif self.weighs_otherwise:
                yield split.name, split.fold_of_cell[:1]

    def without_controls(self) -> "ProbeDesign":
        """The design for networks that are never trained, of which only the true targets are of interest."""
        return replace(self, control={})

    def brief(self) -> "ProbeDesign":
        """The design for snapshots before the last, which figures over training show: true targets, primary split."""
        passes = [[self.primary]] if self.estimator == "ridge" else self.passes
        return replace(self, control={}, passes=passes, weighs_otherwise=False)


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
    rng, tree, where = np.random.default_rng(probe["seed"]), tree_of(truth), scored_positions(truth)
    belief, weights, length = truth["target"].values, weightings(truth.isel(prefix=where)), tree.length[where]
    some_weight = np.maximum(truth["weight"].values, np.finfo(float).tiny)  # where nothing is scored, it is 0
    control = control_targets(process, tree, belief, some_weight, other, rng)
    control = {name: target[where] for name, target in control.items()}
    draws = probe["folds"], probe["repeats"], rng
    first = passes({"held_out_prefix": by_prefix(len(length), *draws)})
    by_position = {"held_out_length": by_length(tree)} if len(tree.levels) < CELLS_AT_ONCE else {}
    splits = by_position | {"held_out_subtree": by_stem(tree, *draws)}
    if "n_sequences" in truth.attrs and not truth.attrs["complete"]:
        splits["held_out_sequence"] = by_sequence(tree, *draws)
        splits["held_out_block"] = by_block(tree, int(length.min()), probe["folds"])
    others = passes({name: fold[:, where] for name, fold in splits.items()})
    return ProbeDesign(length, true_targets(process, belief[where]), control, weights, [*first, *others])


def modular_design(task: ModularArithmetic, probe: Mapping) -> ProbeDesign:
    """The design for modular arithmetic, every pair with the same weight: the circles of the answer, all and each.

    Control targets are the circles of each operand, of the answer to another operation, and of another pair's answer.
    """
    rng, p, (first, second) = np.random.default_rng(probe["seed"]), task.modulus, task.pairs
    true = task.places(task.answer)
    other = (first + second if task.operation == "subtraction" else first - second) % p
    control = {
        "shuffled_answer_circles": true[rng.permutation(len(true))],
        "first_number_circles": task.places(first),
        "second_number_circles": task.places(second),
        "other_operation_circles": circles(other, p),
    }
    draws = probe["folds"], probe["repeats"], rng
    prefix = passes({"held_out_prefix": by_prefix(len(true), *draws)})
    unseen = {"held_out_from_training": by_membership(task.is_trained), "held_out_subtree": by_first(first, *draws)}
    splits = [*prefix, *passes(unseen)]
    parts = {("circle", int(k)): slice(2 * k - 2, min(2 * k, task.period - 1)) for k in frequencies(task.period)}
    weights = {"probability": np.full(len(true), 1 / len(true))}
    true = {"answer_circles": true}
    return ProbeDesign(np.full(p**2, 3), true, control, weights, splits, parts=parts, estimator="least_squares")


class TaskProbe(NamedTuple):
    """The probe design of a kind of task, and the columns [token, column] that stand for its tokens in baselines."""

    design: Callable[[Task, xr.Dataset, Mapping], ProbeDesign]
    token_coordinates: Callable[[Task], ndarray]


def _design_of_markov(task: Task, truth: xr.Dataset, probe: Mapping) -> ProbeDesign:
    return markov_design(truth, task.process, task.with_parameters(probe["control_parameters"] or {}), probe)


def _design_of_tabulated(task: Task, truth: xr.Dataset, probe: Mapping) -> ProbeDesign:
    """The target of the scored prefixes, with that of another prefix as a control target."""
    rng, scored = np.random.default_rng(probe["seed"]), truth.isel(prefix=scored_positions(truth))
    target, length, name = scored["target"].values, scored["length"].values, task.target_name
    splits = [*passes({"held_out_prefix": by_prefix(len(target), probe["folds"], probe["repeats"], rng)})]
    control = {f"shuffled_{name}": target[rng.permutation(len(target))]}
    return ProbeDesign(length, {name: target}, control, weightings(scored), splits)


PROBES = {
    "markov": TaskProbe(_design_of_markov, lambda task: token_coordinates(task.process, task.context)),
    "modular": TaskProbe(
        lambda task, _, probe: modular_design(task.arithmetic, probe), lambda task: np.eye(task.n_tokens)
    ),
    "tabulated": TaskProbe(_design_of_tabulated, lambda task: np.eye(task.n_tokens)),
}
"""By the kind of task."""


def probe_design(truth: xr.Dataset, task: Mapping, settings: Mapping) -> ProbeDesign:
    """The probe design of a task section, by the settings of its probe section."""
    known = task_of(task)
    return PROBES[known.kind].design(known, truth, settings)


def coordinates_of(task: Mapping) -> Float[ndarray, "token column"]:
    """The columns that stand for each token of a task section in the baselines."""
    known = task_of(task)
    return PROBES[known.kind].token_coordinates(known)
