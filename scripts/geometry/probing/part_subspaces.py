"""The subspaces in which activations vary with each part of a composed process, and the dimensions they take up.

A part is a component of a mixture or a factor of a product. Its subspace has one dimension less than it has states.
There are two estimates of it, both weighted by the probability of the prefixes:

- `encoding`: the directions W_i - W_j of the regression of the activations on the beliefs of all parts, where W_i is
  the row of a state i of the part (of a mixture, its belief times the posterior of the part);
- `vary_one`, of products: the leading principal components of the activations while only the factor's own tokens
  vary, centred within each sequence of the others' tokens (Shai et al. 2026, arXiv 2602.02385).

The overlap of two subspaces is the mean squared cosine of their principal angles: 0 where they are orthogonal, 1 where
one contains the other.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import regress
from geometry.processes.composition import Composition
from geometry.processes.prefix_tree import PrefixTree

BELIEF_STATE, PART_BELIEFS = "belief_state", "part_beliefs"
"""Values of the column `site` for features that are no activations: the joint belief, and the parts' side by side."""

RESOLVED = 1e-9
"""A share of a variance below which a direction is rounding."""

RANDOM_DRAWS = 200
"""Draws of random subspaces, of which the mean overlap is taken."""

Basis = Float[ndarray, "_ feature"]
"""Orthonormal rows."""


def leading(rows: Float[ndarray, "row feature"], n: int) -> Basis:
    """The n leading right singular vectors of some rows; fewer where fewer are above rounding."""
    _, values, directions = np.linalg.svd(rows, full_matrices=False)
    return directions[:n][values[:n] > RESOLVED * values.max(initial=np.finfo(float).tiny)]


class Encoding(NamedTuple):
    """The subspace of each part, the share of the activations' variance that all explain, and their covariance."""

    bases: list[Basis]
    explained: float
    covariance: Float[ndarray, "feature feature"]  # of the activations


def encoding(
    x: Float[ndarray, "prefix feature"],
    parts: Sequence[Float[ndarray, "prefix _"]],
    weight: Float[ndarray, " prefix"],
) -> Encoding:
    """The regression of x on the beliefs of all parts; weights sum to 1."""
    (moments,) = cell_gram_matrices(np.hstack(parts), x, weight[None], np.zeros(len(x), dtype=int))
    regression = regress(moments)
    of_part = np.split(regression.affine_map().matrix, np.cumsum([part.shape[1] for part in parts])[:-1])
    bases = [leading(rows - rows.mean(axis=0), len(rows) - 1) for rows in of_part]
    explained = (regression.covariance**2 / regression.variance[:, None]).sum()
    return Encoding(bases, float(explained / np.trace(regression.target_covariance)), regression.target_covariance)


def sequence_ids(tree: PrefixTree, token: Integer[ndarray, " token"]) -> Integer[ndarray, " prefix"]:
    """Equal numbers for prefixes of one length that are equal once their tokens are replaced by `token`."""
    own, ids, start = token[tree.last_token], np.empty(len(tree), np.int64), 0
    for level in tree.levels:
        before = ids[tree.parent[level]] if level.start else np.zeros(level.stop, np.int64)
        number = np.unique(before * (token.max() + 1) + own[level], return_inverse=True)[1]
        ids[level] = start + number
        start += number.max() + 1
    return ids


def frozen_sequences(tree: PrefixTree, composition: Composition) -> list[Integer[ndarray, " prefix"]]:
    """For each factor of a product, equal numbers for prefixes in which the tokens of all others are equal."""
    tokens = np.stack([part.token for part in composition.parts])
    others = (np.delete(tokens, place, axis=0) for place in range(len(tokens)))
    return [sequence_ids(tree, np.unique(own, axis=1, return_inverse=True)[1].ravel()) for own in others]


def vary_one(
    x: Float[ndarray, "prefix feature"],
    frozen: Sequence[Integer[ndarray, " prefix"]],
    sizes: Sequence[int],
    weight: Float[ndarray, " prefix"],
) -> list[Basis]:
    """The subspace of each factor, of that many dimensions, while the tokens of all others are frozen."""
    bases = []
    for group, size in zip(frozen, sizes, strict=True):
        order = np.argsort(group, kind="stable")
        first = np.searchsorted(group[order], np.arange(group.max() + 1))
        mean = np.add.reduceat((weight[:, None] * x)[order], first) / np.bincount(group, weight)[:, None]
        centred = np.sqrt(weight)[:, None] * (x - mean[group])
        bases.append(np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :size].T)
    return bases


def overlap(bases: Sequence[Basis]) -> float:
    """The mean over pairs of the mean squared cosine of the principal angles between two subspaces."""
    pairs = itertools.combinations(bases, 2)
    return float(np.mean([((a @ b.T) ** 2).sum() / max(min(len(a), len(b)), 1) for a, b in pairs]))


def random_overlap(spread: Float[ndarray, "feature feature"], sizes: Sequence[int], rng: np.random.Generator) -> float:
    """The mean overlap of subspaces of random directions with the covariance of the activations."""
    values, directions = np.linalg.eigh(spread)
    root = np.sqrt(np.maximum(values, 0))[:, None] * directions.T
    drawn = ([leading(rng.standard_normal((n, len(root))) @ root, n) for n in sizes] for _ in range(RANDOM_DRAWS))
    return float(np.mean([overlap(bases) for bases in drawn]))


def variance_shares(spread: Float[ndarray, "feature feature"]) -> Float[ndarray, " component"]:
    """The cumulative shares of the variance that the leading principal components hold, from a covariance."""
    values = np.maximum(np.linalg.eigvalsh(spread)[::-1], 0)
    return np.cumsum(values) / values.sum()
