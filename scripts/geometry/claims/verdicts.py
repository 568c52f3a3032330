"""Verdicts: intervals over seeds, the gain over a baseline, and a rule fixed beforehand (`verdict`)."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import bootstrap, norm
from scipy.stats import t as student_t

FEWEST_FOR_BOOTSTRAP = 5
"""Seeds below which there is no bootstrap interval."""

RESAMPLES = 9_999

NOTHING_LEFT = 1e-6
"""The share that a baseline may leave unexplained and count as explaining all."""


def interval(values: Float[ndarray, "seed draw"], confidence: float) -> tuple[float, float]:
    """Student's t interval of the mean over seeds and draws of folds; unbounded for one seed, or without a value.

    All seeds share the draws, so that these are a source of error of their own: the variance of the mean is that of
    the means of seeds over their number, plus that of the means of draws over theirs. Its quantile is the mean of
    their quantiles by variance (Cochran and Cox 1950), that of draws no less than that of seeds: a second source of
    error narrows no interval.
    """
    n, n_draws = values.shape
    if n < 2 or not np.isfinite(values).all():
        return -np.inf, np.inf
    mean, of_seeds = values.mean(), values.mean(axis=1).var(ddof=1) / n
    of_draws = values.mean(axis=0).var(ddof=1) / n_draws if n_draws > 1 else 0.0
    variance = of_seeds + of_draws
    if variance == 0:
        return float(mean), float(mean)
    by_seeds, by_draws = student_t.ppf((1 + confidence) / 2, [n - 1, min(n, max(n_draws, 2)) - 1])
    half = (of_seeds * by_seeds + of_draws * by_draws) / np.sqrt(variance)
    return float(mean - half), float(mean + half)


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
    quantile = student_t.ppf((1 + confidence) / 2, n - 1)
    widened = 1 - 2 * norm.cdf(-np.sqrt(n / (n - 1)) * quantile)
    settings = {"n_resamples": RESAMPLES, "method": "percentile", "rng": np.random.default_rng(0)}
    found = bootstrap((values,), np.mean, confidence_level=widened, **settings).confidence_interval
    return float(found.low), float(found.high)


def relative_gain(
    estimate: Float[ndarray, "*seed"], baseline: Float[ndarray, "*seed"], kind: str
) -> Float[ndarray, "*seed"]:
    """The share of what the baseline leaves unexplained that the estimate explains; nan if it leaves nothing.

    For what must be ``no less``, the gain or loss as a share of what the baseline explains; nan if it explains nothing.
    """
    scale = baseline if kind == "no less" else 1 - baseline
    return np.where(scale > NOTHING_LEFT, (estimate - baseline) / np.maximum(scale, NOTHING_LEFT), np.nan)


def verdict(gain: Float[ndarray, "seed draw"], margin: float, confidence: float, kind: str) -> str:
    """The verdict on a gain over the baseline, paired by seed and draw, by the side of a bound that its interval is on.

    ``more`` claims that it exceeds the margin, ``no less`` that it does not fall short of nothing by the
    margin, ``no more`` that it does not exceed the margin.
    """
    if np.isnan(gain).all():
        return "not testable"
    low, high = interval(gain, confidence)
    bound = -margin if kind == "no less" else margin
    above, below = low > bound, high < bound
    if kind == "no more":
        above, below = below, above
    return "supported" if above else "not supported" if below else "undecided"
