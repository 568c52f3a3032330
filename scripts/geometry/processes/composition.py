"""The parts that a process is made of, and the belief about each of them that one about the whole implies.

``belief @ part.marginal`` is the part's own belief in a product or chain and, in a mixture, its own belief times the
posterior probability that the sequence is from this component (the *source posterior*).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

if TYPE_CHECKING:
    from geometry.processes.process import Process

MIXTURE, PRODUCT = "mixture", "product"
"""The kinds of compositions: one component for a whole sequence; all factors at once, each with a token of its own."""


@dataclass(frozen=True, eq=False)
class Part:
    """A component of a mixture, or a factor of a product or chain."""

    name: str
    marginal: Float[ndarray, "state own_state"]
    token: Integer[ndarray, " token"] | None  # the part's own token in each joint token; None in a mixture
    readout: Float[ndarray, " own_state"]
    initial_state: Float[ndarray, " own_state"]


@dataclass(frozen=True, eq=False)
class Composition:
    """The parts of a process; `kind` is ``mixture`` or ``product``, which a chain is too."""

    kind: str
    parts: tuple[Part, ...]
    independent: bool = False
    """True if the belief is the product of the factors' beliefs: not of a chain, with noise, or of a mixture."""

    of_rate: "tuple[tuple[float, Process], ...]" = ()
    """Weights and processes whose entropy rates add up to that of the whole: not of a chain or with noise."""


def source_posterior(composition: Composition, belief: Float[ndarray, "row state"]) -> Float[ndarray, "row part"]:
    """The posterior probability of each component of a mixture; 1 for every factor of a product."""
    return np.column_stack([belief @ (part.marginal @ part.readout) for part in composition.parts])


def part_beliefs(
    composition: Composition, belief: Float[ndarray, "row state"]
) -> list[Float[ndarray, "row own_state"]]:
    """Each part's own belief, normalised; where its source posterior is 0, its initial state."""
    beliefs = []
    for part, posterior in zip(composition.parts, source_posterior(composition, belief).T, strict=True):
        is_possible = posterior > 0
        own = (belief @ part.marginal) / np.where(is_possible, posterior, 1)[:, None]
        beliefs.append(np.where(is_possible[:, None], own, part.initial_state))
    return beliefs
