"""Affine regression from activations to a target geometry, in sample and on prefixes held out.

All regressions on one set of features come from weighted second moments, collected once per cell of
the finest partition of the rows: the moments of a training set are the sum over its cells, and an
error on a test set is a quadratic form in that set's moments. So no split reads the features again.

Rank. Activations are float32. A direction in which the features' standard deviation is less than
`NOISE` of the largest, or less than float32's resolution of their mean, holds rounding noise, not
signal, and is left out; how many directions stay is reported as the effective rank.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

NOISE = 1e-6


@dataclass(frozen=True)
class Moments:
    """Weighted moments about each cell's own mean; the first axis of each array is the cell."""

    weight: Float[ndarray, " cell"]
    mean_x: Float[ndarray, "cell feature"]
    mean_y: Float[ndarray, "cell component"]
    xx: Float[ndarray, "cell feature feature"]
    xy: Float[ndarray, "cell feature component"]
    yy: Float[ndarray, "cell component"]


@dataclass(frozen=True)
class AffineMap:
    """``x @ matrix + offset``, and how many directions of the features it uses."""

    matrix: Float[ndarray, "feature component"]
    offset: Float[ndarray, " component"]
    effective_rank: int

    def __call__(self, x: Float[ndarray, "*row feature"]) -> Float[ndarray, "*row component"]:
        return x @ self.matrix + self.offset


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
    weight: Float[ndarray, " row"],
    cell: Integer[ndarray, " row"],
) -> Moments:
    """Moments of each cell of rows, in float64; weights need not sum to 1, and cells may be empty."""
    order = np.argsort(cell, kind="stable")
    ends = np.cumsum(np.bincount(cell))
    parts = [_moments(x[rows], y[rows], weight[rows]) for rows in np.split(order, ends[:-1])]
    return Moments(*(np.array(column) for column in zip(*parts, strict=True)))


def _moments(x, y, weight):
    total = weight.sum()
    share = weight / total if total > 0 else weight
    x = x.astype(np.float64)
    mean_x, mean_y = share @ x, share @ y
    root = np.sqrt(weight)[:, None]
    x -= mean_x
    x *= root
    y = (y - mean_y) * root
    return total, mean_x, mean_y, x.T @ x, x.T @ y, (y**2).sum(0)


def pooled(moments: Moments, chosen: Bool[ndarray, " cell"] | None = None) -> Moments:
    """The moments of the union of some cells, by default of all, as a single cell."""
    w = moments.weight * (1.0 if chosen is None else chosen)
    total, used = w.sum(), (w > 0).astype(np.float64)
    mean_x, mean_y = w @ moments.mean_x / total, w @ moments.mean_y / total
    dx, dy = moments.mean_x - mean_x, moments.mean_y - mean_y
    # Sums over cells as products with a vector: an index would copy every chosen matrix first.
    xx, xy = (np.tensordot(used, matrix, 1) for matrix in (moments.xx, moments.xy))
    return Moments(
        total[None],
        mean_x[None],
        mean_y[None],
        (xx + (w[:, None] * dx).T @ dx)[None],
        (xy + (w[:, None] * dx).T @ dy)[None],
        (used @ moments.yy + w @ dy**2)[None],
    )


def fit(whole: Moments) -> AffineMap:
    """Least squares from pooled moments, restricted to directions above the noise."""
    variance, directions = np.linalg.eigh(whole.xx[0])
    resolution = np.finfo(np.float32).eps * np.abs(whole.mean_x[0]).max()
    kept = variance > max(NOISE**2 * variance[-1], resolution**2 * whole.weight[0])
    directions = directions[:, kept]
    matrix = directions @ ((directions.T @ whole.xy[0]) / variance[kept, None])
    return AffineMap(matrix, whole.mean_y[0] - whole.mean_x[0] @ matrix, int(kept.sum()))


def squared_error(affine: AffineMap, test: Moments) -> Float[ndarray, " component"]:
    """The weighted sum of squared errors of a map on the rows behind some pooled moments."""
    b = affine.matrix
    spread = test.yy[0] - 2 * (b * test.xy[0]).sum(0) + (b * (test.xx[0] @ b)).sum(0)
    return np.maximum(spread, 0) + test.weight[0] * (affine(test.mean_x[0]) - test.mean_y[0]) ** 2


def score_in_sample(moments: Moments) -> tuple[AffineMap, Score]:
    """The map fitted on all rows, and its error on them."""
    whole = pooled(moments)
    affine = fit(whole)
    error = squared_error(affine, whole)
    return affine, Score(error, whole.yy[0], float(whole.weight[0]), float(affine.effective_rank))


def fit_folds(moments: Moments, fold_of_cell: Integer[ndarray, " cell"]) -> list[AffineMap]:
    """For each fold, the map fitted on all the others."""
    return [fit(pooled(moments, fold_of_cell != fold)) for fold in range(fold_of_cell.max() + 1)]


def score_held_out(moments: Moments, fold_of_cell: Integer[ndarray, " cell"], maps: list[AffineMap]) -> Score:
    """The error on each fold of the map fitted on the others, against the others' mean as a guess."""
    error, guess = 0.0, 0.0
    for fold, affine in enumerate(maps):
        test = pooled(moments, fold_of_cell == fold)
        train_weight = moments.weight * (fold_of_cell != fold)
        guessed = train_weight @ moments.mean_y / train_weight.sum()
        error = error + squared_error(affine, test)
        guess = guess + test.yy[0] + test.weight[0] * (test.mean_y[0] - guessed) ** 2
    rank = float(np.mean([affine.effective_rank for affine in maps]))
    return Score(error, guess, float(moments.weight.sum()), rank)


def decode_held_out(
    x: Float[ndarray, "row feature"], fold: Integer[ndarray, " row"], maps: list[AffineMap]
) -> Float[ndarray, "row component"]:
    """Each row decoded by the map that never saw it."""
    decoded = np.empty((len(x), maps[0].matrix.shape[1]))
    for k, affine in enumerate(maps):
        decoded[fold == k] = affine(x[fold == k].astype(np.float64))
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
