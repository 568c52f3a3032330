"""A third task, as its one file would stand in geometry/tasks: copy the token that was shown some steps ago."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from geometry.processes.prefix_tree import build_tree
from geometry.processes.process import ProcessError
from geometry.tasks.base import COORDINATES
from geometry.tasks.tabulated import Table, TabulatedTask


@dataclass(frozen=True, eq=False)
class CopyTask(TabulatedTask):
    """Fair tokens, of which the one shown `lag` steps ago is predicted; the target is its one-hot vector."""

    n_symbols: int
    lag: int = 1

    target_name: ClassVar[str] = "copied_token"

    def __post_init__(self):
        if not 0 <= self.lag < self.context:
            raise ProcessError(f"{self.name}: lag is {self.lag}; it must be less than the context, and at least 0")

    @property
    def n_tokens(self) -> int:
        return self.n_symbols

    @property
    def n_components(self) -> int:
        return self.n_symbols

    @property
    def target_kind(self) -> str:
        return COORDINATES

    @cached_property
    def table(self) -> Table:
        n = self.n_tokens
        sizes = [n**length for length in range(1, self.context + 1)]
        tree = build_tree([(np.arange(size) % n, np.arange(size) // n) for size in sizes])
        probability = float(n) ** -tree.length
        is_scored, shown = tree.length > self.lag, np.arange(len(tree))
        for _ in range(self.lag):
            shown = np.where(is_scored, tree.parent[shown], shown)
        target = is_scored[:, None] * np.eye(n)[tree.last_token[shown]]
        return Table(tree, probability, is_scored * probability, target, np.where(is_scored[:, None], target, 1 / n))
