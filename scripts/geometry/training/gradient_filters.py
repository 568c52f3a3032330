"""Filters of the gradient before the optimiser: the slow part amplified, or the part along the weights removed."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

ROUNDING = 1e-6
"""The share of a gradient's norm below which what is left of it is rounding, and no direction."""


def amplified(
    gradient: Float[Tensor, " parameter"], slow: Float[Tensor, " parameter"] | None, grokfast: Mapping[str, float]
) -> tuple[Float[Tensor, " parameter"], Float[Tensor, " parameter"]]:
    """The gradient plus ``amplitude`` times its moving average, and this average, `slow` before the step.

    The average decays by ``alpha`` a step and begins with the first gradient (Grokfast, Lee et al. 2024, arXiv
    2405.20233, the variant EMA).
    """
    slow = gradient if slow is None else torch.lerp(slow, gradient, 1 - grokfast["alpha"])
    return gradient + grokfast["amplitude"] * slow, slow


def orthogonal(gradient: Float[Tensor, " *tensor"], weights: Float[Tensor, " *tensor"]) -> Float[Tensor, " *tensor"]:
    """The gradient without its component along the weights, with the norm that it had (Prieto et al. 2025, arXiv
    2501.04697); 0 where it has no other component, as in a tensor of one number.
    """
    along = (gradient * weights).sum() / weights.square().sum().clamp(min=torch.finfo(weights.dtype).tiny)
    rest = gradient - along * weights
    before, after = gradient.norm(), rest.norm()
    return torch.where(after > ROUNDING * before, rest * (before / after), 0)
