"""Tasks that state the arrays of their ground truth themselves: the base class of a task that is no Markov process."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from numpy import ndarray

from geometry.processes.catalog import check_parameters
from geometry.processes.prefix_tree import PrefixTree
from geometry.tasks.base import Analyses, Task, TaskError


@dataclass(frozen=True)
class Table:
    """Every prefix of a task, with its probability, its target and the optimal prediction after it.

    ``weight`` sums to 1 over the prefixes of each length whose prediction is scored. It is 0 at all shorter lengths.
    """

    tree: PrefixTree
    probability: Float[ndarray, " prefix"]
    weight: Float[ndarray, " prefix"]
    target: Float[ndarray, "prefix component"]
    next_token_probability: Float[ndarray, "prefix token"]


@dataclass(frozen=True, eq=False)
class TabulatedTask(Task):
    """A task with a table of all its prefixes; the fields of a subclass are its parameters.

    A network is trained on the full distribution, and probed for the target.
    """

    kind: ClassVar[str] = "tabulated"
    target_name: ClassVar[str]
    required_settings: ClassVar[Mapping] = {
        "training.labels": ("full_distribution", "every prefix that is scored, at each step"),
    }

    @classmethod
    def from_parameters(cls, name: str, parameters: Mapping, context: int) -> "Task":
        check_parameters(name, cls.builder(name), parameters)
        return cls(name, context, **parameters)

    @property
    @abstractmethod
    def table(self) -> Table:
        """The table of the task."""

    @property
    def token_names(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.n_tokens)))

    @property
    def component_names(self) -> tuple[str, ...]:
        return tuple(map(str, range(self.n_components)))

    @property
    def n_prefixes(self) -> int:
        """The number of prefixes: by default, of all sequences of tokens."""
        return sum(self.n_tokens**length for length in range(1, self.context + 1))

    @property
    def analyses(self) -> Analyses:
        return ANALYSES

    def check(self, fewest_prefixes: int, max_prefixes: int) -> None:
        if not fewest_prefixes <= self.n_prefixes <= max_prefixes:
            raise TaskError(
                f"task.context is {self.context}, up to which {self.name} has {self.n_prefixes} prefixes; "
                f"it needs at least {fewest_prefixes}, and tree.max_prefixes allows {max_prefixes}"
            )


ANALYSES = Analyses(figures=("loss",))
"""The figure that needs no target by name."""
