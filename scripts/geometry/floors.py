"""What can be known of a target without a network: from the tokens themselves, and from the optimal predictions."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.prefixes import PrefixTree

LONGEST_GRAM = 6

LEAST_PROBABILITY = 1e-9
"""What stands for an impossible token where its logarithm is taken."""


def log_probability(probability: Float[ndarray, "prefix token"]) -> Float[ndarray, "prefix token"]:
    return np.log(np.maximum(probability, LEAST_PROBABILITY))


def token_features(tree: PrefixTree, n_tokens: int) -> Float[ndarray, "prefix lag_token"]:
    """Which token stands at each lag, the last one first; none where the prefix is shorter."""
    features = np.zeros((len(tree), len(tree.levels), n_tokens), dtype=np.float32)
    node, row = np.arange(len(tree)), np.arange(len(tree))
    for lag in range(len(tree.levels)):
        features[row, lag, tree.last_token[node]] = 1
        node = tree.parent[node]
        row, node = row[node >= 0], node[node >= 0]
    return features.reshape(len(tree), -1)


def grams(tree: PrefixTree, longest: int) -> list[Integer[ndarray, " prefix"]]:
    """For 0 to `longest` tokens, a number for the last so many tokens of each prefix; a shorter prefix is its own."""
    numbers = [np.zeros(len(tree), dtype=np.int64)]
    for k in range(longest):
        nothing = numbers[-1].max() + (k > 0)  # the gram of the empty prefix
        above = np.where(tree.parent < 0, nothing, numbers[-1][tree.parent])
        _, number = np.unique(above * (tree.last_token.max() + 1) + tree.last_token, return_inverse=True)
        numbers.append(number)
    return numbers


def table_predictions(
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
