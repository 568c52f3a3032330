"""Affine regression from activations to a target geometry, in sample and on prefixes held out.

All regressions on some features, on any part of them, and for any split come from one table of weighted
second moments: a Gram matrix of each cell of the finest partition of the rows, over the columns features,
targets and 1. The matrix of a test set is the sum over its cells; that of the training set is what is
left of the whole; an error on a test set is a quadratic form in its matrix. So no split and no choice of
features reads the rows again.

Rank. Activations are float32. A direction in which the features' standard deviation is less than
`NOISE` of the largest, or less than float32's resolution of their mean, holds rounding noise, not
signal, and is left out; how many directions stay is reported as the effective rank. A score agrees with
that of a direct solver to float64's resolution over the square of that ratio, where the targets hang on
such a direction: to 1e-8 down to a ratio of 1e-4.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

NOISE = 1e-6

ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Moments:
    """Gram matrices of weighted rows, whose columns are the features less a shift, the targets, and 1.

    The shift is near the features' mean, so that nothing is lost when the mean is taken out.
    """

    gram: Float[ndarray, "part column column"]
    shift: Float[ndarray, " feature"]

    def of_features(self, features: slice) -> "Moments":
        """The moments of some of the features."""
        if features == slice(None):
            return self
        n_features = len(self.shift)
        columns = np.r_[np.arange(n_features)[features], n_features : self.gram.shape[1]]
        return Moments(self.gram[:, columns[:, None], columns], self.shift[features])

    def of_unions(self, chosen: Bool[ndarray, "union part"]) -> "Moments":
        """The moments of unions of parts."""
        return Moments(np.tensordot(chosen.astype(np.float64), self.gram, 1), self.shift)

    def without(self, part: int) -> "Moments":
        """The moments of all parts but one, as a single part."""
        return Moments((self.gram.sum(axis=0) - self.gram[part])[None], self.shift)

    def __getitem__(self, part: int) -> "Moments":
        return Moments(self.gram[part][None], self.shift)


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
class Score:
    """Squared errors of decoding, weighted and summed over rows, beside those of guessing the mean."""

    error: Float[ndarray, " component"]
    guess: Float[ndarray, " component"]
    weight: float
    effective_rank: float

    def r2(self, components: slice = slice(None)) -> float:
        """One minus the ratio of the errors, pooled over some components."""
        guess = self.guess[components].sum()
        return float(1 - self.error[components].sum() / guess) if guess > 0 else float("nan")

    def mse(self, components: slice = slice(None)) -> float:
        """The mean squared error over rows and components."""
        return float(self.error[components].mean() / self.weight)


def cell_moments(
    x: Float[ndarray, "row feature"],
    y: Float[ndarray, "row component"],
    weights: Float[ndarray, "weighting row"],
    cell: Integer[ndarray, " row"],
) -> list[Moments]:
    """For each weighting, the moments of each cell of rows, in float64; a cell may be empty."""
    shift = x.mean(axis=0, dtype=np.float64)
    order, sizes = np.argsort(cell, kind="stable"), np.bincount(cell)
    n_columns = x.shape[1] + y.shape[1] + 1
    grams = np.empty((len(weights), len(sizes), n_columns, n_columns))
    whole, weighted = np.empty((2, sizes.max(), n_columns))
    for place, rows in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
        columns, scaled = whole[: len(rows)], weighted[: len(rows)]
        np.subtract(x[rows], shift, out=columns[:, : x.shape[1]])
        columns[:, x.shape[1] : -1] = y[rows]
        columns[:, -1] = 1
        for weight, gram in zip(weights, grams, strict=True):
            np.multiply(columns, np.sqrt(weight[rows, None]), out=scaled)
            np.matmul(scaled.T, scaled, out=gram[place])
    return [Moments(gram, shift) for gram in grams]


def fit(whole: Moments) -> AffineMap:
    """Least squares from the moments of one part, restricted to directions above the noise."""
    gram, n = whole.gram[0], len(whole.shift)
    mean = gram[-1, :-1] / gram[-1, -1]
    centred = gram[:-1, :n] - np.outer(gram[:-1, -1], mean[:n])
    variance, directions = np.linalg.eigh(centred[:n])
    resolution = np.finfo(np.float32).eps * np.abs(mean[:n] + whole.shift).max()
    kept = variance > max(NOISE**2 * variance[-1], resolution**2 * gram[-1, -1])
    directions = directions[:, kept]
    matrix = directions @ ((directions.T @ centred[n:].T) / variance[kept, None])
    return AffineMap(matrix, mean[n:] - (mean[:n] + whole.shift) @ matrix, int(kept.sum()))


def squared_error(affine: AffineMap, test: Moments) -> Float[ndarray, " component"]:
    """The weighted sum of squared errors of a map on the rows behind the moments of one part."""
    offset = affine.offset + test.shift @ affine.matrix
    residual = np.vstack([-affine.matrix, np.eye(len(offset)), -offset])
    return np.maximum((residual * (test.gram[0] @ residual)).sum(axis=0), 0)


def mean_map(train: Moments) -> AffineMap:
    """The map from anything to the mean of the targets."""
    mean = train.gram[0, len(train.shift) : -1, -1] / train.gram[0, -1, -1]
    return AffineMap(np.zeros((len(train.shift), len(mean))), mean, 0)


def score_in_sample(moments: Moments) -> tuple[AffineMap, Score]:
    """The map fitted on all rows, and its error on them."""
    whole = moments.of_unions(np.ones((1, len(moments.gram)), dtype=bool))
    affine = fit(whole)
    errors = (squared_error(decoder, whole) for decoder in (affine, mean_map(whole)))
    return affine, Score(*errors, float(whole.gram[0, -1, -1]), float(affine.effective_rank))


def score_held_out(moments: Moments, fold_of_cell: Integer[ndarray, " cell"]) -> tuple[list[AffineMap], Score]:
    """For each fold the map fitted on the others; and their errors on it, against the others' mean as a guess."""
    tests = moments.of_unions(fold_of_cell == np.arange(fold_of_cell.max() + 1)[:, None])
    maps, errors = [], 0.0
    for fold in range(len(tests.gram)):
        train = tests.without(fold)
        maps.append(fit(train))
        errors = errors + np.array([squared_error(decoder, tests[fold]) for decoder in (maps[-1], mean_map(train))])
    rank = float(np.mean([affine.effective_rank for affine in maps]))
    return maps, Score(*errors, float(moments.gram[:, -1, -1].sum()), rank)


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


@dataclass(frozen=True)
class Folds:
    """Repeated splits of the rows into folds, and the cells in which no two rows are ever parted."""

    fold: Integer[ndarray, "repeat row"]
    cell: Integer[ndarray, " row"]
    fold_of_cell: Integer[ndarray, "repeat cell"]


def draw_folds(n_rows: int, n_folds: int, n_repeats: int, rng: np.random.Generator) -> Folds:
    """Folds of equal size, at random, anew for each repeat."""
    fold = np.stack([rng.permutation(np.arange(n_rows) % n_folds) for _ in range(n_repeats)])
    fold_of_cell, cell = np.unique(fold, axis=1, return_inverse=True)
    return Folds(fold, cell.ravel(), fold_of_cell)
