"""What can be known of a target without a network: from the tokens themselves, and from the optimal predictions."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.principal_components import principal_scores
from geometry.probing.regression import NOISE
from geometry.processes.prefix_tree import PrefixTree
from geometry.processes.process import Process

LONGEST_KGRAM = 6

LEAST_PROBABILITY = 1e-9
"""What stands for an impossible token where its logarithm is taken."""


def log_probability(probability: Float[ndarray, "prefix token"]) -> Float[ndarray, "prefix token"]:
    return np.log(np.maximum(probability, LEAST_PROBABILITY))


MOST_TOKEN_FEATURES = 512
"""Columns that say which token stands at each lag, at most; where they would be more, tokens have coordinates."""

MOST_PREDICTION_COLUMNS = 128
"""Columns of predictions that are features; predictions of more tokens are known by so many principal components."""


def token_coordinates(process: Process, n_lags: int) -> Float[ndarray, "token coordinate"]:
    """What stands for each token in a regression on so many lags: a column of its own, if these are few enough.

    If not, the coordinates of its operator, divided by its probability, on the leading principal axes of these: as
    many as there are entries of the operator, or as `MOST_TOKEN_FEATURES` leave for each lag. If none is left out, the
    mean belief after a token is linear in them. That there is no token is told by all of them being 0.
    """
    if process.n_tokens * n_lags <= MOST_TOKEN_FEATURES:
        return np.eye(process.n_tokens, dtype=np.float32)
    probability = process.stationary_distribution @ process.emission_matrix
    scale = np.divide(1, probability, out=np.zeros_like(probability), where=probability > LEAST_PROBABILITY)
    operators = process.transition_tensor.reshape(process.n_tokens, -1) * scale[:, None]
    root = np.sqrt(np.maximum(probability, 0))[:, None]
    _, size, axes = np.linalg.svd(root * operators, full_matrices=False)
    kept = (size > NOISE * size[0]) & (np.arange(len(size)) < max(1, MOST_TOKEN_FEATURES // n_lags))
    return (operators @ axes[kept].T).astype(np.float32)


def prediction_features(
    predictions: Float[ndarray, "prefix token"], weight: Float[ndarray, " prefix"]
) -> Float[ndarray, "prefix column"]:
    """Predictions as the columns of a regression: of many tokens, their leading principal components.

    These lose nothing as long as the predictions have no more dimensions than that, but for rounding.
    """
    if predictions.shape[1] <= MOST_PREDICTION_COLUMNS:
        return predictions
    scores = principal_scores(predictions, weight, MOST_PREDICTION_COLUMNS)
    size = np.sqrt(weight @ scores**2)
    return scores[:, size > NOISE * size.max()]


def token_features(
    tree: PrefixTree, coordinates: Float[ndarray, "token coordinate"]
) -> Float[ndarray, "prefix lag_coordinate"]:
    """The coordinates of the token at each lag, the last one first; 0 where the prefix is shorter."""
    features = np.zeros((len(tree), len(tree.levels), coordinates.shape[1]), dtype=np.float32)
    node, row = np.arange(len(tree)), np.arange(len(tree))
    for lag in range(len(tree.levels)):
        features[row, lag] = coordinates[tree.last_token[node]]
        node = tree.parent[node]
        row, node = row[node >= 0], node[node >= 0]
    return features.reshape(len(tree), -1)


def kgram_ids(tree: PrefixTree, longest: int) -> list[Integer[ndarray, " prefix"]]:
    """For 0 to `longest` tokens, a number for the last so many tokens of each prefix; a shorter prefix is its own."""
    numbers = [np.zeros(len(tree), dtype=np.int64)]
    for k in range(longest):
        nothing = numbers[-1].max() + (k > 0)  # the gram of the empty prefix
        above = np.where(tree.parent < 0, nothing, numbers[-1][tree.parent])
        _, number = np.unique(above * (tree.last_token.max() + 1) + tree.last_token, return_inverse=True)
        numbers.append(number)
    return numbers


def kgram_predictions(
    target: Float[ndarray, "row component"],
    weight: Float[ndarray, " row"],
    numbers: list[Integer[ndarray, " row"]],
    fold: Integer[ndarray, " row"] | None = None,
) -> Iterator[Float[ndarray, "row component"]]:
    """For each numbering in turn, the weighted mean of the target over the rows of the same number.

    With folds, over those of them that are not in the row's fold; where there is none, what the numbering
    before says. A row of fold -1 is in none, and is left at 0.
    """
    predicted = np.zeros_like(target)
    for number in numbers:
        sums, weights = _sums(target, weight, number, int(number.max()) + 1)
        if fold is None:
            predicted = (sums / weights[:, None])[number]
        else:
            predicted = predicted.copy()
            for k in range(fold.max() + 1):
                rows = np.flatnonzero(fold == k)
                own_sums, own_weights = _sums(target[rows], weight[rows], number[rows], len(weights))
                left = np.where(weights - own_weights > NEGLIGIBLE * weights, weights - own_weights, np.inf)
                rows = rows[np.isfinite(left)[number[rows]]]
                predicted[rows] = ((sums - own_sums) / left[:, None])[number[rows]]
        yield predicted


NEGLIGIBLE = 1e-12
"""A share of the weight that is rounding."""


def _sums(target, weight, number, n) -> tuple[Float[ndarray, "number component"], Float[ndarray, " number"]]:
    """The weighted sum of the targets over the rows of each number, and the sum of their weights."""
    sums = [np.bincount(number, weight * column, minlength=n) for column in target.T]
    return np.stack(sums, axis=1), np.bincount(number, weight, minlength=n)
