"""How often the rule for verdicts errs, by the measure of the gain, on errors that scatter over seeds as planted.

With E the share that a score leaves unexplained, four measures of the gain of a network over a baseline are compared.
Each planted case is tried with the very interval of the rule. At the margin, the place of the scatter is such that the
mean of the measure is its bound exactly; elsewhere, the typical (median) network leaves a given multiple of what the
baseline leaves.
"""

import sys
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.stats import beta, binom, norm

from geometry.claims.verdicts import RESOLUTION, half_width, relative_gain
from timing import report

MARGIN, LEVEL = 0.1, 0.05
TRIES, GRID = 20_000, 100_000
SEEDS, BASELINES = (3, 5, 10, 20), (0.2, 0.9, 0.999)

MEASURES: dict[str, tuple[Callable, float]] = {
    "share of the baseline": (lambda baseline, network: (baseline - network) / baseline, MARGIN),
    "bounded": (lambda baseline, network: relative_gain(1 - network, 1 - baseline, "more"), MARGIN),
    "log ratio": (
        lambda baseline, network: np.log(np.maximum(baseline, RESOLUTION) / np.maximum(network, RESOLUTION)),
        -np.log1p(-MARGIN),
    ),
    "linear contrast": (lambda baseline, network: (1 - MARGIN) * baseline - network, 0.0),
}
"""Of the errors of baseline and network, by seed; and the bound of the mean: the margin where seeds are alike."""

PLANTED = {"far worse": 100.0, "no better": 1.0, "half as much": 0.5, "a hundredth": 0.01}
"""What the typical network leaves, as a multiple of what the baseline leaves."""

Errors = tuple[np.ndarray, np.ndarray]


def lognormal(u: np.ndarray, v: np.ndarray, left: float, ratio: float, sd: float, sd_of_baseline: float) -> Errors:
    """Errors whose logarithms are normal."""
    return left * np.exp(sd_of_baseline * norm.ppf(v)), left * ratio * np.exp(sd * norm.ppf(u))


def bounded_errors(u: np.ndarray, v: np.ndarray, left: float, ratio: float, relative_sd: float) -> Errors:
    """Errors between 0 and 1 that follow a beta distribution with that mean and relative standard deviation."""
    mean = left * ratio
    concentration = (1 - mean) / (mean * relative_sd**2) - 1
    return np.full_like(u, left), beta.ppf(u, mean * concentration, (1 - mean) * concentration)


def counted(u: np.ndarray, v: np.ndarray, left: float, ratio: float, n: int) -> Errors:
    """Errors in so many answers, each with that probability."""
    return np.full_like(u, left), binom.ppf(u, n, left * ratio) / n


def two_groups(u: np.ndarray, v: np.ndarray, left: float, ratio: float, error: float) -> Errors:
    """Errors of which some are small and all others those of the baseline; the share of these is the ratio."""
    return np.full_like(u, left), left * np.where(u > ratio, error, 1) * np.exp(0.05 * norm.ppf(v))


SCATTERS: dict[str, tuple[Callable, dict[str, float], tuple[float, float]]] = {
    "lognormal, sd 0.2": (lognormal, {"sd": 0.2, "sd_of_baseline": 0.0}, (1e-4, 1e3)),
    "lognormal, sd 1": (lognormal, {"sd": 1.0, "sd_of_baseline": 0.0}, (1e-4, 1e3)),
    "lognormal, sd 0.5, of the baseline too": (lognormal, {"sd": 0.5, "sd_of_baseline": 0.5}, (1e-4, 1e3)),
    "lognormal, sd 2": (lognormal, {"sd": 2.0, "sd_of_baseline": 0.0}, (1e-6, 1e3)),
    "beta, relative sd 0.3": (bounded_errors, {"relative_sd": 0.3}, (1e-3, 1.05)),
    "errors in 1,000 answers": (counted, {"n": 1000}, (1e-3, 1.05)),
    "two groups": (two_groups, {"error": 0.05}, (0.01, 0.9999)),
}
"""A function of two uniform numbers, its parameters, and the ratios that it admits."""


def decided(values: np.ndarray, bound: float, expected: float) -> dict[str, float]:
    """The shares of tries (rows of seeds) with either verdict, and with the mean inside of the interval."""
    mean, n = values.mean(axis=1), values.shape[1]
    half = half_width(values.var(axis=1, ddof=1) / n, 0.0, n, 1, LEVEL)
    shares = {"supported": mean - half > bound, "not_supported": mean + half < bound}
    return {name: found.mean() for name, found in (shares | {"covered": abs(mean - expected) <= half}).items()}


def measure(scatter: str, baseline: float) -> list[dict]:
    """The rows of one kind of scatter and one baseline."""
    errors, parameters, (least, most) = SCATTERS[scatter]
    rng = np.random.default_rng(0)
    grid = (np.arange(GRID) + 0.5) / GRID
    whole = grid, rng.permutation(grid)
    uniform = rng.uniform(size=(2, TRIES, max(SEEDS)))
    rows = []
    for name, (gain, bound) in MEASURES.items():

        def mean_at(ratio: float, gain: Callable = gain) -> float:
            return float(gain(*errors(*whole, 1 - baseline, ratio, **parameters)).mean())

        planted = {place: ratio for place, ratio in PLANTED.items() if least < ratio < most}
        if mean_at(most) < bound < mean_at(least):  # that of the logarithm may be out of reach, where counts are 0
            planted["at the margin"] = brentq(lambda ratio, f=mean_at, bound=bound: f(ratio) - bound, least, most)
        for place, ratio in planted.items():
            values, expected = gain(*errors(*uniform, 1 - baseline, ratio, **parameters)), mean_at(ratio)
            network = np.median(errors(*whole, 1 - baseline, ratio, **parameters)[1]) / (1 - baseline)
            row = {"scatter": scatter, "baseline": baseline, "measure": name, "planted": place}
            row["typical_gain"] = (1 - network) / max(1.0, network)
            for n in SEEDS:
                row |= {f"{what}_{n}": share for what, share in decided(values[:, :n], bound, expected).items()}
            rows.append(row)
    return rows


if __name__ == "__main__":
    report([row for scatter in SCATTERS for baseline in BASELINES for row in measure(scatter, baseline)], sys.argv[1])
