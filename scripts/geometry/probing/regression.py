"""Affine regression from features to a target geometry: least squares, a ridge path, and what features add to others.

Everything is computed from Gram matrices (`gram_matrices`), and an error on a test set is a quadratic form in that of
the set. `ridge` chooses the penalty.

Rank. Activations are float32. A direction in which the features' standard deviation is less than
`NOISE` of the largest, or less than float32's resolution of their mean, holds rounding noise, not
signal, and is left out; how many directions stay is reported as the effective rank. A score agrees with
that of a direct solver to float64's resolution over the square of that ratio, where the targets hang on
such a direction: to 1e-8 down to a ratio of 1e-4.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.gram_matrices import GramMatrix

NOISE = 1e-6

NOTHING = 1e-15
"""A mean squared error of beliefs that is rounding."""

EXPLAINED = 1e-9
"""A share of a target's variance that counts as none."""

STRENGTHS = np.logspace(-8, 1, 10)
"""Penalties of the ridge path, in units of the features' mean variance."""

ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class AffineMap:
    """``x @ matrix + offset``, and how many directions of the features it uses."""

    matrix: Float[ndarray, "feature component"]
    offset: Float[ndarray, " component"]
    effective_rank: int

    def to(self, components: slice) -> "AffineMap":
        """The map to some of the components."""
        return AffineMap(self.matrix[:, components], self.offset[components], self.effective_rank)


@dataclass(frozen=True)
class Regression:
    """The principal directions of some features above the noise, and how the targets vary along each.

    ``variance`` and ``covariance`` are sums over weighted rows, the largest direction last.
    """

    total_weight: float
    feature_mean: Float[ndarray, " feature"]
    target_mean: Float[ndarray, " component"]
    variance: Float[ndarray, " direction"]
    total_variance: float
    directions: Float[ndarray, "feature direction"]
    covariance: Float[ndarray, "direction component"]
    target_covariance: Float[ndarray, "component component"]

    def affine_map(
        self, strength: float | Float[ndarray, " component"] = 0.0, targets: slice = slice(None)
    ) -> AffineMap:
        """Least squares, with a penalty on the squared coefficients of so many mean variances, one or by component."""
        penalty = np.asarray(strength) * self.total_variance / max(len(self.feature_mean), 1)
        matrix = self.directions @ (self.covariance[:, targets] / (self.variance[:, None] + penalty))
        return AffineMap(matrix, self.target_mean[targets] - self.feature_mean @ matrix, len(self.variance))


def regress(whole: GramMatrix) -> Regression:
    """The regression behind the moments of one part, restricted to directions above the noise."""
    gram, n = whole.gram[0], len(whole.shift)
    total_weight, mean = float(gram[-1, -1]), gram[-1, :-1] / gram[-1, -1]
    centred = gram[:-1, :-1] - np.outer(gram[:-1, -1], mean)
    variance, directions = np.linalg.eigh(centred[:n, :n])
    feature_mean = mean[:n] + whole.shift
    resolution = np.finfo(np.float32).eps * np.abs(feature_mean).max(initial=0)
    resolved = variance > max(NOISE**2 * variance.max(initial=0), resolution**2 * total_weight)
    directions = directions[:, resolved]
    return Regression(
        total_weight=total_weight,
        feature_mean=feature_mean,
        target_mean=mean[n:],
        variance=variance[resolved],
        total_variance=float(np.trace(centred[:n, :n])),
        directions=directions,
        covariance=directions.T @ centred[:n, n:],
        target_covariance=centred[n:, n:],
    )


def fit(whole: GramMatrix) -> AffineMap:
    """Least squares from the moments of one part."""
    return regress(whole).affine_map()


def residual(affine: AffineMap, shift: Float[ndarray, " feature"]) -> Float[ndarray, "column component"]:
    """The residuals of a map to the targets behind some moments, as linear combinations of the moments' columns."""
    return np.vstack([-affine.matrix, np.eye(len(affine.offset)), -(affine.offset + shift @ affine.matrix)])


def squared_error(left: Float[ndarray, "column component"], test: GramMatrix) -> Float[ndarray, " component"]:
    """The weighted sum over rows of the squares of some combinations of the columns."""
    return np.maximum((left * (test.gram[0] @ left)).sum(axis=0), 0)


def partial_out(
    left: Float[ndarray, "column component"], train: GramMatrix, known: slice, wanted: slice
) -> Float[ndarray, "column wanted"]:
    """The residuals of the wanted components with the known ones as further regressors (Frisch, Waugh and Lovell)."""
    moments, n = left.T @ (train.gram[0] @ left), left.shape[1]
    scale = np.sqrt(np.maximum(np.diag(train.gram[0])[-1 - n : -1][known], np.finfo(float).tiny))
    variance, directions = np.linalg.eigh(moments[known, known] / np.outer(scale, scale))
    resolved = variance > NOISE**1.5  # of what the features determine, only rounding is left
    directions = directions[:, resolved] / scale[:, None]
    gain = directions @ ((directions.T @ moments[known, wanted]) / variance[resolved, None])
    return left[:, wanted] - left[:, known] @ gain


@dataclass(frozen=True)
class ErrorSums:
    """Squared errors, weighted and summed over rows, beside those of a reference prediction."""

    error: Float[ndarray, " component"]
    reference: Float[ndarray, " component"]
    weight: float

    def __add__(self, other: "ErrorSums") -> "ErrorSums":
        return ErrorSums(self.error + other.error, self.reference + other.reference, self.weight + other.weight)

    def r2(self, components: slice = slice(None)) -> float:
        """One minus the ratio of the errors, pooled over some components; nan where the reference makes none."""
        reference = self.reference[components].sum()
        some = reference > NOTHING * self.weight
        return float(1 - self.error[components].sum() / reference) if some else float("nan")

    def mse(self, components: slice = slice(None)) -> float:
        """The mean squared error over rows and components."""
        return float(self.error[components].mean() / self.weight)


@dataclass(frozen=True)
class Fold:
    """The moments of a training and a test set; in sample, they are the same."""

    train: GramMatrix
    test: GramMatrix

    @cached_property
    def regression(self) -> Regression:
        return regress(self.train)

    @cached_property
    def mean_target(self) -> tuple[Float[ndarray, "column component"], "Fold"]:
        """The residuals of predicting the training mean, and both sets without their features."""
        bare = Fold(self.train.of_features(slice(0)), self.test.of_features(slice(0)))
        return residual(bare.regression.affine_map(), bare.train.shift), bare


def score_of(affine: AffineMap, fold: Fold) -> ErrorSums:
    """The error of a map to all targets on a fold's test set, relative to predicting the mean of its training set."""
    mean_target, bare = fold.mean_target
    left, weight = residual(affine, fold.train.shift), float(fold.test.gram[0, -1, -1])
    return ErrorSums(squared_error(left, fold.test), squared_error(mean_target, bare.test), weight)


def score(
    fold: Fold, beyond: Mapping[str, slice] | None = None, partial: slice = slice(None)
) -> tuple[AffineMap, dict[str, ErrorSums]]:
    """The map fitted on the training set and its error on the test set, relative to predicting the training mean.

    ``beyond`` names some of the targets as covariate regressors: for each, there is a score of features and
    covariate together against the covariate alone, on the components that ``partial`` chooses.
    """
    affine = fold.regression.affine_map()
    left, (mean_target, bare) = residual(affine, fold.train.shift), fold.mean_target
    scores = {"": score_of(affine, fold)}
    for name, covariate in (beyond or {}).items():
        both = partial_out(left, fold.train, covariate, partial)
        alone = partial_out(mean_target, bare.train, covariate, partial)
        reference = squared_error(alone, bare.test)
        explained = reference < EXPLAINED * scores[""].reference[partial]  # what is left is rounding
        scores[name] = ErrorSums(squared_error(both, fold.test), np.where(explained, 0, reference), scores[""].weight)
    return affine, scores


def total(scores: Iterable[dict[str, ErrorSums]]) -> dict[str, ErrorSums]:
    """The sum over folds."""
    first, *others = scores
    for other in others:
        first = {name: first[name] + other[name] for name in first}
    return first


@dataclass(frozen=True)
class Ridge:
    """A ridge regression on held-out folds: its score, the map of each fold, and the strength for each component."""

    score: ErrorSums
    maps: list[AffineMap]
    strength: Float[ndarray, "fold component"]


def ridge(folds: list[Fold], targets: Mapping[str, slice]) -> Ridge:
    """The ridge regression of some targets, side by side from the first column on, each with strengths of its own.

    The strength for a fold is the one with the least error when each other fold in turn is held out of
    what is left (nested cross-validation): the fold's own score has no part in it.
    """
    columns = slice(max(part.stop for part in targets.values()))
    bare = [Fold(fold.train.of_targets(columns), fold.test.of_targets(columns)) for fold in folds]
    inner = np.zeros((len(folds), len(STRENGTHS), columns.stop))
    for one, fold in enumerate(bare):
        for other, another in enumerate(bare[:one]):
            without_both = GramMatrix(fold.train.gram - another.test.gram, fold.train.shift)
            inner[[one, other]] += _path(without_both, [another.test, fold.test])
    strength = np.empty((len(folds), columns.stop))
    for part in targets.values():
        strength[:, part] = STRENGTHS[inner[:, :, part].sum(axis=2).argmin(axis=1), None]
    maps = [fold.regression.affine_map(own, columns) for fold, own in zip(folds, strength, strict=True)]
    scores = [score_of(affine, fold) for affine, fold in zip(maps, bare, strict=True)]
    return Ridge(sum(scores[1:], scores[0]), maps, strength)


def _path(train: GramMatrix, tests: list[GramMatrix]) -> Float[ndarray, "test strength component"]:
    """The error on some test sets with each strength of the penalty."""
    regression, n_targets = regress(train), train.gram.shape[1] - len(train.shift) - 1
    lefts = np.hstack([residual(regression.affine_map(strength), train.shift) for strength in STRENGTHS])
    return np.array([squared_error(lefts, test).reshape(-1, n_targets) for test in tests])


def decode(
    x: Float[ndarray, "row feature"], maps: list[AffineMap], chosen: Integer[ndarray, "choice row"]
) -> Float[ndarray, "choice row component"]:
    """Each row decoded by the map that each choice names for it; some rows at a time, which stay in the cache."""
    matrix = np.stack([affine.matrix for affine in maps], axis=1).reshape(x.shape[1], -1)
    offset = np.stack([affine.offset for affine in maps])
    decoded = np.empty((*chosen.shape, offset.shape[1]))
    for start in range(0, len(x), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        by_all = (x[rows].astype(np.float64) @ matrix).reshape(-1, *offset.shape) + offset
        decoded[:, rows] = by_all[np.arange(len(by_all)), chosen[:, rows]]
    return decoded
