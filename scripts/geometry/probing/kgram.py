"""k-gram baselines: the mean of a target given the last k tokens, with back-off to fewer where these are new."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

from geometry.probing.regression import ErrorSums
from geometry.processes.prefix_tree import PrefixTree

LONGEST_KGRAM = 6
"""The largest k of the k-gram baselines."""

NEGLIGIBLE = 1e-12
"""A share of the weight that is rounding."""


def kgram_ids(tree: PrefixTree, longest: int) -> list[Integer[ndarray, " prefix"]]:
    """For k = 0, ..., `longest`, an integer id of the last k tokens of each prefix; a shorter prefix has its own id."""
    ids = [np.zeros(len(tree), dtype=np.int64)]
    for k in range(longest):
        empty = ids[-1].max() + (k > 0)  # the id of the empty prefix
        above = np.where(tree.parent < 0, empty, ids[-1][tree.parent])
        _, one = np.unique(above * (tree.last_token.max() + 1) + tree.last_token, return_inverse=True)
        ids.append(one)
    return ids


def group_sums(
    target: Float[ndarray, "row component"], weight: Float[ndarray, " row"], group: Integer[ndarray, " row"], n: int
) -> tuple[Float[ndarray, "group component"], Float[ndarray, " group"]]:
    """The weighted sum of the targets over the rows of each of `n` groups, and the sum of their weights."""
    sums = [np.bincount(group, weight * column, minlength=n) for column in target.T]
    return np.stack(sums, axis=1), np.bincount(group, weight, minlength=n)


def leave_fold_out_mean(
    target: Float[ndarray, "row component"],
    weight: Float[ndarray, " row"],
    group: Integer[ndarray, " row"],
    fold: Integer[ndarray, " row"],
) -> tuple[Float[ndarray, "row component"], Bool[ndarray, " row"]]:
    """The weighted mean of the target over the rows of each row's group that are in other folds than the row.

    Second, in which rows that mean is defined: those of a fold (not -1) with such other rows of positive weight.
    """
    mean, is_defined = np.zeros_like(target), np.zeros(len(target), dtype=bool)
    n_groups = int(group.max()) + 1
    sums, weights = group_sums(target, weight, group, n_groups)
    for k in range(fold.max() + 1):
        rows = np.flatnonzero(fold == k)
        own_sums, own_weights = group_sums(target[rows], weight[rows], group[rows], n_groups)
        left = weights - own_weights
        has_others = left > NEGLIGIBLE * weights
        others = (sums - own_sums) / np.where(has_others, left, 1)[:, None]
        mean[rows], is_defined[rows] = others[group[rows]], has_others[group[rows]]
    return mean, is_defined


def kgram_predictions(
    target: Float[ndarray, "row component"],
    weight: Float[ndarray, " row"],
    ids: list[Integer[ndarray, " row"]],
    fold: Integer[ndarray, " row"] | None = None,
) -> Iterator[Float[ndarray, "row component"]]:
    """For each k in turn, the weighted mean of the target over the rows with the same last k tokens.

    With folds, over those in other folds than the row; where there are none, the prediction from one token less
    (back-off). A row of fold -1 is held out by no fold and predicted as 0.
    """
    predicted = np.zeros_like(target)
    for group in ids:
        if fold is None:
            sums, weights = group_sums(target, weight, group, int(group.max()) + 1)
            predicted = (sums / weights[:, None])[group]
        else:
            mean, is_defined = leave_fold_out_mean(target, weight, group, fold)
            predicted = np.where(is_defined[:, None], mean, predicted)
        yield predicted


def kgram_errors(
    target: Float[ndarray, "row component"],
    weight: Float[ndarray, " row"],
    ids: list[Integer[ndarray, " row"]],
    fold: Integer[ndarray, " row"] | None,
) -> Iterator[ErrorSums]:
    """The error of the k-gram baseline for each k, relative to that of k = 0: the mean of all rows."""
    scored = slice(None) if fold is None else fold >= 0
    reference = None
    for predicted in kgram_predictions(target, weight, ids, fold):
        error = weight[scored] @ (target - predicted)[scored] ** 2
        reference = error if reference is None else reference
        yield ErrorSums(error, reference, float(weight[scored].sum()))
