"""The tokens of a hidden Markov model, whose target is the belief state of the optimal observer."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import numpy as np

from geometry.processes.belief_states import complete_tree, extend_beliefs
from geometry.processes.catalog import PROCESSES, process_from_config
from geometry.processes.composition import MIXTURE, PRODUCT
from geometry.processes.prefix_counts import count_sequences
from geometry.processes.process import ParameterError, Process, ProcessError
from geometry.tasks.base import COORDINATES, PROBABILITIES, Analyses, Task, TaskError

PREFIXES_LOOKED_AT = 1_000
"""How far a task's tree is grown while its configuration is checked."""

CONSTANT = 1e-9
"""Belief states closer than this are the same."""


@dataclass(frozen=True, eq=False)
class MarkovTask(Task):
    """A hidden Markov model whose tokens are predicted; of a generalized one, beliefs are coordinates."""

    parameters: Mapping
    process: Process

    kind: ClassVar[str] = "markov"

    @classmethod
    def from_parameters(cls, name: str, parameters: Mapping, context: int) -> "Task":
        return cls(name, context, parameters, _process(name, json.dumps(parameters, sort_keys=True)))

    @classmethod
    def builder(cls, name: str) -> Callable:
        return PROCESSES[name]

    @property
    def notes(self) -> tuple[str, ...]:
        return self.process.notes

    @property
    def n_tokens(self) -> int:
        return self.process.n_tokens

    @property
    def n_components(self) -> int:
        return self.process.n_states

    @property
    def target_kind(self) -> str:
        return COORDINATES if self.process.generalized else PROBABILITIES

    @property
    def analyses(self) -> Analyses:
        composition = self.process.composition
        return ANALYSES if composition is None else OF_COMPOSED[composition.kind]

    @property
    def is_explainable(self) -> bool:
        return self.n_components == self.n_tokens == 3 and not self.process.generalized

    def check(self, fewest_prefixes: int, max_prefixes: int) -> None:
        n_prefixes, spread = look_at_prefixes(self.process, self.context)
        if spread < CONSTANT:
            raise TaskError(f"task.process: {self.name}: every prefix leads to the same belief state")
        if n_prefixes < fewest_prefixes:
            raise TaskError(
                f"task.context is {self.context}, up to which {self.name} has {n_prefixes} prefixes; "
                f"holding them out needs at least {fewest_prefixes}, so it must be greater"
            )

    def with_parameters(self, parameters: Mapping) -> Process | None:
        """The process with some parameters replaced; None if none are given. Raises `ProcessError`."""
        if not parameters:
            return None
        return process_of({"process": self.name, "parameters": {**self.parameters, **parameters}})

    def check_control_parameters(self, parameters: Mapping) -> None:
        own, key = self.process, "probe.control_parameters"
        try:
            other = self.with_parameters(parameters)
        except ProcessError as error:
            at = "." if isinstance(error, ParameterError) else ": "
            raise TaskError(f"{key}{at}{error}; set it to null where it was meant for another process") from None
        pairs = [(getattr(own, name), getattr(other, name)) for name in ("transition_tensor", "initial_state")]
        if any(found.shape != mine.shape or ((mine != 0) & (found == 0)).any() for mine, found in pairs):
            raise TaskError(
                f"{key} is {dict(parameters)}; they must give a process with the same states, tokens and possible "
                "transitions"
            )
        if all(np.allclose(found, mine) for mine, found in pairs):
            raise TaskError(
                f"{key} is {dict(parameters)}, which gives the task's own process; it must give another, or be null"
            )

    def has_every_prefix(self, max_prefixes: int) -> bool:
        """The tree is grown only where the number of token sequences leaves it open."""
        few_sequences = sum(count_sequences(self.n_tokens, self.context, max_prefixes)) < max_prefixes
        return few_sequences or complete_tree(self.process, self.context, max_prefixes) is not None

    def n_prefixes_if_fewer(self, needed: int, max_prefixes: int) -> int | None:
        tree = complete_tree(self.process, self.context, needed)
        n_prefixes = min(len(tree) if tree is not None else needed, max_prefixes)
        return n_prefixes if n_prefixes < needed else None


WITHOUT_ATTENTION = Analyses(
    of_task=("measure_process", "describe_process"),
    every_network=("recover_process", "score_recovery", "find_symmetries"),
    runs=("steer_network", "measure_convergence", "measure_distances"),
    first_run=("measure_components",),
    over_training=("measure_dimension",),
    figures=(
        *("belief_simplex", "sites", "r2_by_site", "emergence", "loss", "controls", "components"),
        *("distances", "steering", "recovery", "symmetry", "dimension", "convergence", "process"),
    ),
    figures_over_training=frozenset({"emergence", "loss", "dimension"}),
    animations=("emergence",),
)


def with_attention(analyses: Analyses) -> Analyses:
    """The analyses, with what is added to them where the first attention of transformers is measured."""
    every_network, figures = (*analyses.every_network, "measure_attention"), (*analyses.figures, "attention")
    return replace(analyses, with_attention=replace(analyses, every_network=every_network, figures=figures))


def with_parts(analyses: Analyses, *figures: str) -> Analyses:
    """The analyses of a process that is made of others, with further figures."""
    every_network = (*analyses.every_network, "measure_subspaces")
    return replace(analyses, every_network=every_network, figures=(*figures, *analyses.figures, "subspaces"))


ANALYSES = with_attention(WITHOUT_ATTENTION)

OF_COMPOSED = {
    MIXTURE: with_attention(with_parts(WITHOUT_ATTENTION, "telescoping")),
    PRODUCT: with_attention(with_parts(WITHOUT_ATTENTION)),
}
"""Of processes that are made of others, by kind."""


@cache
def _process(name: str, parameters: str) -> Process:
    return process_from_config(name, json.loads(parameters))


def process_of(section: Mapping) -> Process:
    """The hidden Markov model of a task section; raises `ProcessError`."""
    return _process(section["process"], json.dumps(section.get("parameters", {}), sort_keys=True))


@cache
def look_at_prefixes(process: Process, context: int) -> tuple[int | float, float]:
    """The number of prefixes, infinity if thousands, and the largest range of a component of their beliefs.

    Raises `ProcessError` where these show a negative probability.
    """
    belief, n_prefixes = process.initial_state[None], 0
    lowest, highest = np.full(process.n_states, np.inf), np.full(process.n_states, -np.inf)
    for _ in range(context):
        _, _, _, belief = extend_beliefs(process, belief)
        lowest, highest = np.minimum(lowest, belief.min(axis=0)), np.maximum(highest, belief.max(axis=0))
        n_prefixes += len(belief)
        if n_prefixes > PREFIXES_LOOKED_AT or len(belief) * process.n_tokens > 20 * PREFIXES_LOOKED_AT:
            n_prefixes = math.inf
            break
    return n_prefixes, float((highest - lowest).max())
