"""Verdicts: an estimate, its interval over seeds, the best floor, and a rule fixed beforehand."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import bootstrap, norm
from scipy.stats import t as student_t

FEWEST_FOR_BOOTSTRAP = 5
"""Seeds below which resampling them cannot tell how far other seeds would be."""

RESAMPLES = 9_999

NOTHING_LEFT = 1e-6
"""What a floor may leave unexplained and count as explaining all."""


def interval(values: Float[ndarray, " seed"], confidence: float) -> tuple[float, float]:
    """The interval of the mean over seeds: by bootstrap from five seeds on, by Student's t below, unbounded for one
    seed, or where one has no value.

    The bootstrap is the percentile interval with its tails widened for few values (Hesterberg 2015).
    """
    n = len(values)
    if n < 2 or not np.isfinite(values).all():
        return -np.inf, np.inf
    quantile = student_t.ppf((1 + confidence) / 2, n - 1)
    if n < FEWEST_FOR_BOOTSTRAP or np.ptp(values) == 0:
        half = quantile * np.std(values, ddof=1) / np.sqrt(n)
        return float(np.mean(values) - half), float(np.mean(values) + half)
    widened = 1 - 2 * norm.cdf(-np.sqrt(n / (n - 1)) * quantile)
    settings = {"n_resamples": RESAMPLES, "method": "percentile", "rng": np.random.default_rng(0)}
    found = bootstrap((values,), np.mean, confidence_level=widened, **settings).confidence_interval
    return float(found.low), float(found.high)


def relative_gain(estimate: Float[ndarray, " seed"], floor: Float[ndarray, " seed"]) -> Float[ndarray, " seed"]:
    """The share of what the floor leaves unexplained that the estimate explains; nan if it leaves nothing."""
    left = 1 - floor
    return np.where(left > NOTHING_LEFT, (estimate - floor) / np.maximum(left, NOTHING_LEFT), np.nan)


def verdict(gain: Float[ndarray, " seed"], margin: float, confidence: float, kind: str = "more") -> str:
    """Whether a gain over the floor, paired by seed, is on the claimed side of a bound with that confidence.

    ``more`` claims that it exceeds the margin, ``no less`` that it does not fall short of nothing by the
    margin, ``no more`` that it does not exceed the margin.
    """
    low, high = interval(gain, confidence)
    bound = -margin if kind == "no less" else margin
    above, below = low > bound, high < bound
    if kind == "no more":
        above, below = below, above
    return "supported" if above else "not supported" if below else "undecided"
