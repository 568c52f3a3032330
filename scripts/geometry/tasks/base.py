"""The task of an experiment, as every phase of the study asks for it.

A task has a `kind`. The functions for it stand where they are used, in one dictionary by kind each: `GROUND_TRUTHS` in
tasks/ground_truth.py, `FULL_BATCHES` in training/batches.py, `PROBES` in probing/design.py, `SIZES` in config/sizes.py,
`CLAIMS` in claims/by_kind.py, `SECTIONS` in claims/findings.py. So a change of one of them reruns no training. A new
task needs none of its own if it inherits a kind: from `MarkovTask`, or from `TabulatedTask` in tasks/tabulated.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

PROBABILITIES, COORDINATES = "probabilities", "coordinates"
"""Target kinds: rows that sum to 1 and lie in a simplex; any other coordinates."""


class TaskError(ValueError):
    """A setting that a task does not go with; the message is one sentence that begins with the key."""


@dataclass(frozen=True)
class Analyses:
    """Rules and figures, by name, that apply to the networks of a task besides those that apply to all networks."""

    of_task: tuple[str, ...] = ()  # rules of the task itself, behind its ground truth
    every_network: tuple[str, ...] = ()  # rules of each trained network and of the random networks
    runs: tuple[str, ...] = ()  # rules of each trained network
    first_run: tuple[str, ...] = ()  # rules of the first trained network, which only figures read
    over_training: tuple[str, ...] = ()  # rules of each network that the study itself trains
    on_demand: tuple[str, ...] = ()  # rules that nothing else waits for
    figures: tuple[str, ...] = ("r2_by_site", "loss", "controls")  # in the order of the report
    figures_over_training: frozenset[str] = frozenset({"loss"})  # of these, not of pretrained networks
    animations: tuple[str, ...] = ()  # of networks that the study itself trains
    with_attention: "Analyses | None" = None  # those of an experiment that asks for `attention`; None: it cannot

    @cached_property
    def rules(self) -> set[str]:
        """The names of all rules, those of figures included."""
        tables = {*self.of_task, *self.every_network, *self.runs, *self.first_run, *self.over_training, *self.on_demand}
        return tables | {f"plot_{name}" for name in self.figures} | {f"animate_{name}" for name in self.animations}


@dataclass(frozen=True, eq=False)
class Task(ABC):
    """Tokens, targets and optimal predictions of every prefix up to `context` tokens, on which a network is trained."""

    name: str
    context: int

    kind: ClassVar[str]
    predicts_every_token: ClassVar[bool] = True  # False: the last token is only read
    required_settings: ClassVar[Mapping[str, tuple[Any, str]]] = {}
    """Settings of an experiment, by key, that its analysis is made for: the value and the reason."""

    @classmethod
    @abstractmethod
    def from_parameters(cls, name: str, parameters: Mapping, context: int) -> "Task":
        """The task of that name; raises `ProcessError`."""

    @classmethod
    def builder(cls, name: str) -> Callable:
        """A callable whose signature has the parameters, in their order in paths: here, the fields of the class."""
        return partial(cls, name, 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the task that are shown before anything runs."""
        return ()

    @property
    @abstractmethod
    def n_tokens(self) -> int:
        """The number of different tokens."""

    @property
    @abstractmethod
    def n_components(self) -> int:
        """The number of components of a target."""

    @property
    def target_kind(self) -> str:
        return PROBABILITIES

    @property
    def analyses(self) -> Analyses:
        return Analyses()

    @property
    def is_explainable(self) -> bool:
        """True if the chaos game of the explainer can be drawn: three hidden states and three tokens."""
        return False

    @abstractmethod
    def check(self, fewest_prefixes: int, max_prefixes: int) -> None:
        """Raise `TaskError` or `ProcessError` for a task that cannot be probed, before anything runs."""

    def check_control_parameters(self, parameters: Mapping) -> None:
        """Raise `TaskError` for other parameters that give no control target: here, for any."""
        raise TaskError(
            f"probe.control_parameters is {dict(parameters)}; {self.name} needs null, as no observer mistakes it"
        )

    def has_every_prefix(self, max_prefixes: int) -> bool:
        """True if the ground truth is the complete tree of all prefixes, not a sample of them."""
        return True

    def n_prefixes_if_fewer(self, needed: int, max_prefixes: int) -> int | None:
        """The number of prefixes where it is less than `needed` and a longer context would increase it; or None."""
        return None
