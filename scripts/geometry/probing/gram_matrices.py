"""Weighted second moments of rows, by cell of a partition: sufficient statistics of all linear regressions on them.

All regressions on some features, on any part of them, and for any split come from one table: a Gram
matrix of each cell of a partition of the rows, over the columns features, targets and 1. The matrix of
a test set is the sum over its cells; that of the training set is what is left of the whole. So no
choice of features, penalty or targets reads the rows again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray


@dataclass(frozen=True)
class GramMatrix:
    """Gram matrices of weighted rows, whose columns are the features less a shift, the targets, and 1.

    The shift is near the features' mean, so that nothing is lost when the mean is taken out.
    """

    gram: Float[ndarray, "part column column"]
    shift: Float[ndarray, " feature"]

    def of_features(self, features: slice) -> "GramMatrix":
        """The moments of some of the features."""
        if features == slice(None):
            return self
        n_features = len(self.shift)
        columns = np.r_[np.arange(n_features)[features], n_features : self.gram.shape[1]]
        return GramMatrix(self.gram[:, columns[:, None], columns], self.shift[features])

    def of_targets(self, targets: slice) -> "GramMatrix":
        """The moments of all features and some of the targets."""
        n_features, n_columns = len(self.shift), self.gram.shape[1]
        columns = np.r_[:n_features, np.arange(n_features, n_columns - 1)[targets], n_columns - 1]
        return GramMatrix(self.gram[:, columns[:, None], columns], self.shift)

    def total(self) -> "GramMatrix":
        """The moments of all parts as one."""
        return GramMatrix(self.gram.sum(axis=0, keepdims=True), self.shift)

    def splits(self, fold_of_part: Integer[ndarray, " part"]) -> Iterator[tuple["GramMatrix", "GramMatrix"]]:
        """For each fold the moments of what is outside of it, and of the fold; a part in fold -1 is in no fold."""
        whole = self.gram.sum(axis=0, keepdims=True)
        for fold in range(fold_of_part.max() + 1):
            test = self.gram[fold_of_part == fold].sum(axis=0, keepdims=True)
            yield GramMatrix(whole - test, self.shift), GramMatrix(test, self.shift)


def cell_gram_matrices(
    x: Float[ndarray, "row feature"],
    y: Float[ndarray, "row component"],
    weights: Float[ndarray, "weighting row"],
    cell: Integer[ndarray, " row"],
) -> list[GramMatrix]:
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
    return [GramMatrix(gram, shift) for gram in grams]
