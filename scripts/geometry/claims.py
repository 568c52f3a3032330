"""Verdicts: an estimate, its interval over seeds, the best floor, and a rule fixed beforehand."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import t as student_t


def interval(values: Float[ndarray, " seed"], confidence: float) -> tuple[float, float]:
    """Student's t interval of the mean over seeds; unbounded for a single seed."""
    n = len(values)
    if n < 2:
        return -np.inf, np.inf
    half = student_t.ppf((1 + confidence) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def verdict(gain: Float[ndarray, " seed"], margin: float, confidence: float) -> str:
    """Whether the gain over the floor, paired by seed, exceeds a margin with that confidence."""
    low, high = interval(gain, confidence)
    if low > margin:
        return "supported"
    return "not supported" if high < margin else "undecided"
