"""Features of baselines that need no network: the tokens of a prefix, and next-token predictions after it."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.principal_components import principal_scores
from geometry.probing.regression import NOISE
from geometry.processes.prefix_tree import PrefixTree, scored_positions
from geometry.processes.process import Process

LEAST_PROBABILITY = 1e-9
"""Probability that replaces 0 in logarithms."""


def log_probability(probability: Float[ndarray, "prefix token"]) -> Float[ndarray, "prefix token"]:
    return np.log(np.maximum(probability, LEAST_PROBABILITY))


MOST_TOKEN_FEATURES = 512
"""One-hot columns of the tokens at all lags, at most; where there would be more, tokens have `token_coordinates`."""

BIGRAM_SUFFIX = 3
"""Last tokens of a prefix that stand beside the frequencies of its bigrams."""

MOST_PREDICTION_COLUMNS = 128
"""Columns of predictions used as features, at most; of more tokens, this many principal components are used."""


def token_coordinates(process: Process, n_lags: int) -> Float[ndarray, "token coordinate"]:
    """Features that represent each token in a regression on `n_lags` lags: one-hot, if these columns are few enough.

    If not, the coordinates of the token's operator, divided by its probability, on the leading principal axes of the
    operators: as many as an operator has entries, or as `MOST_TOKEN_FEATURES` leave for each lag. If none is left out,
    the mean belief after a token is linear in them. All of them are 0 where there is no token.
    """
    if process.n_tokens * n_lags <= MOST_TOKEN_FEATURES:
        return np.eye(process.n_tokens, dtype=np.float32)
    probability = process.stationary_distribution @ process.emission_matrix
    scale = np.divide(1, probability, out=np.zeros_like(probability), where=probability > LEAST_PROBABILITY)
    operators = process.transition_tensor.reshape(process.n_tokens, -1) * scale[:, None]
    root = np.sqrt(np.maximum(probability, 0))[:, None]
    _, size, axes = np.linalg.svd(root * operators, full_matrices=False)
    chosen = (size > NOISE * size[0]) & (np.arange(len(size)) < max(1, MOST_TOKEN_FEATURES // n_lags))
    return (operators @ axes[chosen].T).astype(np.float32)


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


def optimal_prediction_features(truth: Mapping) -> dict[str, Float[ndarray, "prefix _"]]:
    """The optimal next-token probabilities and their logarithms after each scored prefix, as features by name."""
    where = scored_positions(truth)
    optimum, weight = (np.asarray(truth[name])[where] for name in ("next_token_probability", "weight"))
    forms = {"next_token_probability": optimum, "next_token_log_probability": log_probability(optimum)}
    return {name: prediction_features(of, weight) for name, of in forms.items()}


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


def in_context_bigrams(
    tree: PrefixTree, ids: list[Integer[ndarray, " prefix"]]
) -> Float[ndarray, "prefix column"] | None:
    """The frequency of each pair of neighbouring tokens in a prefix, beside its last tokens, one-hot.

    The last token, the last two and the last three, whose `ids` are from `kgram_ids`: a new combination then has what
    is known of a shorter one. What distinguishes the sources of a mixture shows in these frequencies, of the whole
    prefix, where a k-gram of its last tokens has little of it. None where there would be more than
    `MOST_TOKEN_FEATURES` columns.
    """
    n_tokens, kgrams = int(tree.last_token.max()) + 1, ids[1 : BIGRAM_SUFFIX + 1]
    n_pairs, n_kgrams = n_tokens**2, [int(one.max()) + 1 for one in kgrams]
    if n_pairs + sum(n_kgrams) > MOST_TOKEN_FEATURES:
        return None
    count = np.zeros((len(tree), n_pairs), dtype=np.float32)
    for level in tree.levels[1:]:
        parent = tree.parent[level]
        pair = tree.last_token[parent] * n_tokens + tree.last_token[level]
        count[level] = count[parent]
        count[level][np.arange(len(pair)), pair] += 1
    frequency = count / np.maximum(tree.length - 1, 1)[:, None].astype(np.float32)
    last = [np.eye(n, dtype=np.float32)[one] for n, one in zip(n_kgrams, kgrams, strict=True)]
    return np.concatenate([frequency, *last], axis=1)
