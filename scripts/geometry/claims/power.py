"""Power: how probably a claim is decided by so many seeds, if its gain and the scatter of it are as estimated."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import gammaincinv, ndtr

from geometry.claims.verdicts import half_width, has_interval

ENOUGH = 0.9
"""The probability with which enough seeds decide a claim."""

MOST_SEEDS = 1000
"""A claim that this many seeds do not decide is one that no reachable number does."""

QUANTILES = (np.arange(200) + 0.5) / 200
"""Probabilities at which the distribution of an estimated variance is evaluated."""


def relative_variances(freedom: int) -> Float[ndarray, " quantile"]:
    """Quantiles of an estimated variance relative to the true one, which follow a scaled chi-squared distribution."""
    return 2 * gammaincinv(freedom / 2, QUANTILES) / freedom


@dataclass(frozen=True)
class Scatter:
    """Standard deviations of a gain: of its means over draws by seed, of its means over seeds by draw, of the rest.

    All are nan of one seed. Of one draw, the last two are.
    """

    over_seeds: float
    over_draws: float
    rest: float


def scatter_of(values: Float[ndarray, "seed draw"]) -> Scatter:
    """The standard deviations of gains by seed and draw, as a two-way analysis of variance has them."""
    n, n_draws = values.shape
    if not has_interval(values):
        return Scatter(math.nan, math.nan, math.nan)
    by_seed, by_draw = values.mean(axis=1), values.mean(axis=0)
    if n_draws == 1:
        return Scatter(float(by_seed.std(ddof=1)), math.nan, math.nan)
    rest = values - by_seed[:, None] - by_draw + values.mean()
    freedom = (n - 1) * (n_draws - 1)
    return Scatter(float(by_seed.std(ddof=1)), float(by_draw.std(ddof=1)), math.sqrt((rest**2).sum() / freedom))


@dataclass(frozen=True)
class Plan:
    """A claim's distance and scatter, on which its power depends besides the number of seeds.

    `distance` is that of the gain from the bound; `scatter` was estimated from `n_seeds` seeds and `n_draws` draws,
    and other seeds are scored on the same draws.
    """

    distance: float
    scatter: Scatter
    n_seeds: int
    n_draws: int
    confidence: float

    def power(self, n: int) -> float:
        """The probability that the interval from `n` seeds is on the side of the bound that the gain is on.

        The mean is normal, and estimated variances follow scaled chi-squared distributions: averaged over these, it is
        what the noncentral t distribution gives for one draw. More seeds do not reduce the scatter of the draws.
        """
        of_seed = self.scatter.over_seeds**2
        over_draws, rest = (np.nan_to_num([self.scatter.over_draws, self.scatter.rest]) ** 2).tolist()
        of_draw = max(over_draws - rest / self.n_seeds, 0)
        estimated = of_seed / n, (of_draw + rest / n) / self.n_draws
        by_seeds = estimated[0] * relative_variances(n - 1)[:, None]
        by_draws = estimated[1] * (relative_variances(self.n_draws - 1) if estimated[1] else 1)
        half = half_width(by_seeds, by_draws, n, self.n_draws, 1 - self.confidence)
        error = math.sqrt(of_seed / n + of_draw / self.n_draws)
        return float(ndtr((self.distance - half) / max(error, np.finfo(float).tiny)).mean())

    def seeds_to_decide(self) -> float:
        """The least number of seeds that decides the claim with enough probability; infinite where none does.

        It is nan where the scatter is not known.
        """
        if math.isnan(self.scatter.over_seeds):
            return math.nan
        if self.distance == 0 or self.power(MOST_SEEDS) < ENOUGH:
            return math.inf
        too_few, enough = 1, MOST_SEEDS
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            too_few, enough = (too_few, middle) if self.power(middle) >= ENOUGH else (middle, enough)
        return float(enough)
