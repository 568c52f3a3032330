"""Verdicts: intervals over seeds, the gain over a baseline, and a rule fixed beforehand (`verdict`)."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr, stdtrit

FEWEST_FOR_BOOTSTRAP = 5
"""Seeds below which there is no bootstrap interval."""

RESAMPLES = 9_999

RESOLUTION = 1e-6
"""The smallest share that gains are relative to. A baseline that leaves less counts as explaining everything.

Rounding leaves up to 2e-9 where theory leaves nothing, which moves a gain by a fiftieth of the margin.
"""

LEAST_P = 1e-100
"""A smaller p-value is 0; quantiles of Student's t so far out are no longer computed exactly."""


def half_width(
    of_seeds: float | ndarray, of_draws: float | ndarray, n: int, n_draws: int, level: float
) -> float | ndarray:
    """Half of the interval of a mean over seeds and draws of folds, by the two parts of its variance.

    The level is one minus the confidence. The quantile is the mean of theirs by variance (Cochran and Cox 1950), that
    of draws no less than that of seeds: a second source of error narrows no interval.
    """
    by_seeds, by_draws = -stdtrit([n - 1, min(n, max(n_draws, 2)) - 1], level / 2)
    variance = of_seeds + of_draws
    return (of_seeds * by_seeds + of_draws * by_draws) / np.sqrt(np.where(variance > 0, variance, 1))


def variance_of_mean(values: Float[ndarray, "seed draw"]) -> tuple[float, float]:
    """The variance of the mean over seeds and draws of folds in two parts: by the scatter of seeds, and of draws.

    All seeds share the draws, so that these are a source of error of their own: the variance is that of the means of
    seeds over their number, plus that of the means of draws over theirs.
    """
    n, n_draws = values.shape
    of_draws = values.mean(axis=0).var(ddof=1) / n_draws if n_draws > 1 else 0.0
    return values.mean(axis=1).var(ddof=1) / n, of_draws


def has_interval(values: Float[ndarray, "seed draw"]) -> bool:
    """True of two seeds or more, with a value each."""
    return len(values) > 1 and bool(np.isfinite(values).all())


def interval(values: Float[ndarray, "seed draw"], confidence: float) -> tuple[float, float]:
    """Student's t interval of the mean over seeds and draws of folds; unbounded for one seed, or without a value."""
    if not has_interval(values):
        return -np.inf, np.inf
    mean, half = values.mean(), half_width(*variance_of_mean(values), *values.shape, 1 - confidence)
    return float(mean - half), float(mean + half)


def p_value(values: Float[ndarray, "seed draw"], bound: float) -> float:
    """The smallest level at which the interval of the mean excludes a bound, two-sided; nan if there is no interval.

    It is 0 if no two values differ, and none is at the bound: their interval has no width.
    """
    if not has_interval(values):
        return np.nan
    from scipy.optimize import brentq  # figures and pages import this module too, and would wait for it

    distance, variance = abs(values.mean() - bound), variance_of_mean(values)

    def excess(log_p: float) -> float:
        return float(half_width(*variance, *values.shape, 10**log_p)) - distance

    if distance == 0:
        return 1.0
    return 0.0 if excess(np.log10(LEAST_P)) < 0 else 10 ** brentq(excess, np.log10(LEAST_P), 0, xtol=1e-13)


def bootstrap_interval(values: Float[ndarray, " seed"], confidence: float) -> tuple[float, float]:
    """The percentile interval of the mean over resampled seeds, its tails widened for few (Hesterberg 2015); or nan.

    It supposes no normal distribution, but cannot leave the range of the values: of five seeds, it covers
    the mean at most 15 times in 16. So no verdict rests on it.
    """
    n = len(values)
    if n < FEWEST_FOR_BOOTSTRAP or not np.isfinite(values).all():
        return np.nan, np.nan
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    from scipy.stats import bootstrap  # its import takes longer than all else here, and few networks need none

    quantile = stdtrit(n - 1, (1 + confidence) / 2)
    widened = 1 - 2 * ndtr(-np.sqrt(n / (n - 1)) * quantile)
    settings = {"n_resamples": RESAMPLES, "method": "percentile", "rng": np.random.default_rng(0)}
    found = bootstrap((values,), np.mean, confidence_level=widened, **settings).confidence_interval
    return float(found.low), float(found.high)


def relative_gain(
    estimate: Float[ndarray, "*seed"], baseline: Float[ndarray, "*seed"], kind: str
) -> Float[ndarray, "*seed"]:
    """The gain over a baseline, from -1 to 1: the smaller share left unexplained is so much less than the larger one.

    It is positive where the estimate leaves less: the share of what the baseline leaves that the estimate explains.
    It is negative where the baseline leaves less, and changes its sign alone when the two are exchanged.
    For what must be ``no less``, shares that are explained are compared in the same way, negative scores as 0.
    It is nan if the baseline leaves (or, for ``no less``, explains) nothing in the mean.
    """
    own, others = (np.maximum(score if kind == "no less" else 1 - score, 0) for score in (estimate, baseline))
    if not others.mean() > RESOLUTION:
        return np.full_like(own, np.nan)
    gain = (others - own) / np.maximum(np.maximum(own, others), RESOLUTION)
    return -gain if kind == "no less" else gain


def bound_of(margin: float, kind: str) -> float:
    """The gain that a verdict compares with: for what must be ``no less``, one short of nothing by the margin."""
    return -margin if kind == "no less" else margin


def verdict_of(low: float, high: float, bound: float, kind: str) -> str:
    """The verdict by the side of a bound that an interval of the gain is on."""
    above, below = low > bound, high < bound
    if kind == "no more":
        above, below = below, above
    return "supported" if above else "not supported" if below else "undecided"


def verdict(gain: Float[ndarray, "seed draw"], margin: float, confidence: float, kind: str) -> str:
    """The verdict on a gain over the baseline, paired by seed and draw.

    ``more`` claims that it exceeds the margin, ``no less`` that it does not fall short of nothing by the
    margin, ``no more`` that it does not exceed the margin.
    """
    if np.isnan(gain).all():
        return "not testable"
    return verdict_of(*interval(gain, confidence), bound_of(margin, kind), kind)
