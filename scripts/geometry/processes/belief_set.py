"""A sample of a process's belief states as a set of points: its dimensions scale by scale, as rows of a table.

Scales are in units of the root mean square distance of two true beliefs. All sets that are compared are of the same
prefixes: of the greatest length, drawn by their probability.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.processes.fractal_dimension import (
    belief_set_dimension,
    box_counts,
    correlation_integral,
    exponents_of_sequences,
    local_slopes,
    lyapunov_exponents,
    slope_between,
)
from geometry.processes.process import Process

SCALES = np.logspace(-3, 0.3, 34)

RANGE = 0.01, 0.3
"""The scales between which a slope is called a dimension."""


SAME = 1e-9
"""A distance of beliefs that is rounding."""


class DimensionRow(NamedTuple):
    """One value of a set of beliefs, at a scale where it has one; a Lyapunov exponent has its place as index."""

    scale: float
    measure: str
    index: int | None
    value: float


def draw_prefixes(
    truth: Mapping, n_points: int, rng: np.random.Generator
) -> tuple[Integer[ndarray, " drawn"], Float[ndarray, " drawn"]]:
    """Prefixes of the greatest length, drawn by their probability, each once; and how often each was drawn."""
    length, weight = (np.asarray(truth[name]) for name in ("length", "weight"))
    longest = np.flatnonzero(length == length.max())
    share = weight[longest] / weight[longest].sum()
    drawn, count = np.unique(rng.choice(longest, size=n_points, p=share), return_counts=True)
    return drawn, count.astype(np.float64)


def set_rows(points: Float[ndarray, "point component"], weight: Float[ndarray, " point"]) -> Iterator[DimensionRow]:
    """The measures of one set, in units in which `SCALES` are, each point weighted by how often it was drawn."""

    def at_scales(measure: str, scales: ndarray, values: ndarray) -> Iterator[DimensionRow]:
        return (DimensionRow(scale, measure, None, value) for scale, value in zip(scales, values, strict=True))

    integral = correlation_integral(points, weight, SCALES)
    counts, effective = box_counts(points, weight, SCALES)
    yield from at_scales("correlation_integral", SCALES, integral)
    yield from at_scales("local_slope", *local_slopes(SCALES, integral))
    yield from at_scales("box_count", SCALES, counts)
    yield from at_scales("effective_box_count", SCALES, effective)
    yield DimensionRow(np.nan, "correlation_dimension", None, slope_between(SCALES, integral, *RANGE))
    yield DimensionRow(np.nan, "information_dimension", None, -slope_between(SCALES, effective, *RANGE))
    yield DimensionRow(np.nan, "box_dimension", None, -slope_between(SCALES, counts.astype(np.float64), *RANGE))


def process_rows(process: Process, rng: np.random.Generator) -> Iterator[DimensionRow]:
    """Lyapunov exponents in nats per token, and the Kaplan-Yorke dimension that they give.

    Both from sampled sequences and, as `..._of_sequences`, from expectations over all sequences of some tokens.
    """
    estimates = {"": lyapunov_exponents(process, rng), "_of_sequences": exponents_of_sequences(process)}
    for name, exponents in estimates.items():
        yield DimensionRow(np.nan, f"kaplan_yorke{name}", None, belief_set_dimension(process, exponents))
        for place, exponent in enumerate(exponents, 1):
            yield DimensionRow(np.nan, f"lyapunov_exponent{name}_nats", place, exponent)
