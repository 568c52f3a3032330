"""Pairs of numbers whose answer modulo p is predicted; the target is its place on the circle of each frequency.

The analysis of its networks is that of the published one: a transformer of one layer without LayerNorm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from geometry.processes.catalog import check_parameters
from geometry.tasks.base import COORDINATES, Analyses, Task, TaskError
from geometry.tasks.modular_arithmetic import CONTEXT, ModularArithmetic

CIRCUIT = "whose circuit the analysis is of"


@dataclass(frozen=True, eq=False)
class ModularTask(Task):
    """Modular arithmetic; the equals sign, its last token, is only read."""

    arithmetic: ModularArithmetic

    kind: ClassVar[str] = "modular"
    predicts_every_token: ClassVar[bool] = False
    required_settings: ClassVar[Mapping] = {
        "task.context": (CONTEXT, "the tokens a, b and ="),
        "model.architecture": ("transformer", CIRCUIT),
        "model.n_layers": (1, CIRCUIT),
        "model.normalization": ("none", CIRCUIT),
        "model.activation": ("relu", CIRCUIT),
        "model.bos": (False, "as sequences begin with a number"),
        "training.labels": ("full_distribution", "every pair that is trained on, at each step"),
    }

    @classmethod
    def from_parameters(cls, name: str, parameters: Mapping, context: int) -> "Task":
        check_parameters(name, ModularArithmetic, parameters)
        return cls(name, context, ModularArithmetic(**parameters))

    @classmethod
    def builder(cls, name: str) -> Callable:
        return ModularArithmetic

    @property
    def n_tokens(self) -> int:
        return self.arithmetic.n_tokens

    @property
    def n_components(self) -> int:
        return self.arithmetic.modulus - 1

    @property
    def target_kind(self) -> str:
        return COORDINATES

    @property
    def analyses(self) -> Analyses:
        return POLYNOMIAL if self.arithmetic.sign is None else ANALYSES

    def check(self, fewest_prefixes: int, max_prefixes: int) -> None:
        if self.arithmetic.n_prefixes > max_prefixes:
            raise TaskError(
                f"task.parameters.modulus is {self.arithmetic.modulus}, which gives {self.arithmetic.n_prefixes} "
                f"prefixes; tree.max_prefixes allows {max_prefixes}"
            )


ANALYSES = Analyses(
    every_network=("measure_circuit", "compare_bases", "find_shift_symmetry"),
    runs=("measure_surgery",),
    on_demand=("export_surgery",),
    figures=("progress", "spectrum", "circles", "bases", "shift_symmetry", "surgery"),
    figures_over_training=frozenset({"progress"}),
)

POLYNOMIAL = replace(ANALYSES, runs=(), on_demand=(), figures=("progress", "spectrum", "bases", "shift_symmetry"))
"""Without surgery, which needs an answer that is a sum or a difference."""
