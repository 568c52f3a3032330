"""Symmetries that a network has found: permutations of the tokens that act linearly on its activations.

A permutation g of the tokens turns each prefix w into another, g w. Where a linear map R_g takes the activation
after w to that after g w, whatever w, the network's geometry has that symmetry. Neither the process nor its hidden
states are looked at, but to choose which permutations of many tokens to try: the activations are those on their own
leading principal components. Maps act on columns,
``z(g w) = R_g z(w)``, so that R_g R_h = R_gh where g h is first h, then g.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

from geometry.processes.prefix_tree import PrefixTree, row_blocks

Permutation = tuple[int, ...]
"""The image of each token."""

ALL_PERMUTATIONS = 4
"""Tokens up to which all permutations are tried; of more, those that swap two."""

MOST_SWAPS = 66
"""Swaps that are tried: all of up to 12 tokens; of more, those that change the distribution of token pairs least."""

COVERED = 1 - 1e-9
"""The share of the prefixes' weight whose images are prefixes too, for a permutation to count as a symmetry."""

ROUNDING = 1e-9
"""An error or a change that is none."""

COLUMNS = ["experiment", "seed", "step", "origin", "site", "n_dimensions"]
COLUMNS += ["permutation", "then", "measure", "index", "value"]
"""The columns of the tables of symmetries, of tokens and of pairs of numbers."""


def token_permutations(joint: Float[ndarray, "token token"]) -> list[Permutation]:
    """The permutations that are tried, the identity first, given the true probabilities of pairs of tokens in a row.

    These matter where there are more than `MOST_SWAPS` pairs of tokens. A swap is a symmetry of the process only if it
    preserves the probabilities of all sequences; the swaps that come nearest to this for sequences of two tokens are
    tried, on every network the same. A token that occurs in none of them is not swapped.
    """
    identity = tuple(range(len(joint)))
    if len(joint) <= ALL_PERMUTATIONS:
        return list(permutations(identity))
    pairs = np.stack(np.triu_indices(len(joint), 1), axis=1)
    if len(pairs) > MOST_SWAPS:
        occurs = (joint.sum(axis=0) + joint.sum(axis=1)) > 0
        change = np.where(occurs[pairs].all(axis=1), swap_changes(joint).round(9), np.inf)
        chosen = np.sort(np.argsort(change, kind="stable")[:MOST_SWAPS])
        pairs = pairs[chosen[np.isfinite(change[chosen])]]
    return [identity, *(_swapped(identity, pair) for pair in pairs.tolist())]


def swap_changes(joint: Float[ndarray, "token token"]) -> Float[ndarray, " pair"]:
    """The change of the distribution of token pairs by each swap of two tokens, relative to the pairs changed; 0 to 1.

    The total variation distance as a share of the probability of the pairs with either token; 1 where none occurs. For
    the swaps (0 1), (0 2), ..., (1 2), ... in this order.
    """
    own, (a, b) = np.diagonal(joint), np.triu_indices(len(joint), 1)
    there, back = joint[a, b], joint[b, a]
    to_each_other = sum(np.abs(of - other) for of in (own[a], own[b]) for other in (there, back))
    between = np.abs(own[a] - own[b]) + np.abs(there - back)
    beside = np.hstack([joint, joint.T])
    apart = np.concatenate([np.abs(beside[place + 1 :] - row).sum(axis=1) for place, row in enumerate(beside)])
    distance = apart - to_each_other + between
    with_either = joint.sum(axis=0) + joint.sum(axis=1)
    with_either = with_either[a] + with_either[b] - own[a] - own[b] - there - back
    return np.divide(distance, with_either, out=np.ones_like(distance), where=with_either > 0)


def _swapped(permutation: Permutation, pair: list[int]) -> Permutation:
    other = dict(zip(pair, pair[::-1], strict=True))
    return tuple(other.get(token, token) for token in permutation)


def composed(g: Permutation, h: Permutation) -> Permutation:
    """First h, then g."""
    return tuple(g[token] for token in h)


def inverse(g: Permutation) -> Permutation:
    return tuple(sorted(range(len(g)), key=g.__getitem__))


def cycles(g: Permutation) -> str:
    """A permutation as its cycles, tokens by their number; the identity is ``()``."""
    left, text = {token for token, image in enumerate(g) if token != image}, ""
    while left:
        token, cycle = min(left), []
        while token in left:
            left.remove(token)
            cycle.append(token)
            token = g[token]
        text += f"({' '.join(map(str, cycle))})"
    return text or "()"


def is_group(accepted: Collection[Permutation], tried: Collection[Permutation]) -> bool:
    """True if some permutations are closed under composition and conjugation.

    Permutations that were not tried do not count as missing. The swaps that are tried of many
    tokens are closed if the tokens fall into sets within which all, and between which none, may be swapped.
    """
    made = {composed(g, h) for g in accepted for h in accepted}
    made |= {composed(composed(g, h), inverse(g)) for g in accepted for h in accepted}
    return made & set(tried) <= set(accepted)


def image_of_prefixes(tree: PrefixTree, g: Permutation) -> Integer[ndarray, " prefix"]:
    """The node of each prefix with its tokens permuted; -1 where that is no node."""
    mapped, image = np.array(g)[tree.last_token], np.full(len(tree), -1)
    for level in tree.levels:
        parent = image[tree.parent[level]] if level.start else np.full(level.stop, -1)
        child = tree.continuation(parent, mapped[level])
        image[level] = np.where((parent < 0) & (level.start > 0), -1, child)
    return image


@dataclass(frozen=True)
class Equivariance:
    """The linear map of a permutation, the share of the variance that it leaves, and of the prefixes it covers."""

    matrix: Float[ndarray, "dimension dimension"]
    error: float
    coverage: float

    @property
    def eigenvalues(self) -> ndarray:
        """The eigenvalues of the map, by their angle."""
        found = np.linalg.eigvals(self.matrix).astype(complex)
        return found[np.lexsort((found.real, np.angle(found).round(9)))]

    @property
    def measures(self) -> Iterator[tuple[str, int | None, float]]:
        """Measure, index and value of its rows in a table."""
        yield "error", None, self.error
        for place, value in enumerate(self.eigenvalues, 1):
            yield "eigenvalue_real", place, value.real
            yield "eigenvalue_imaginary", place, value.imag


def equivariances(
    scores: Float[ndarray, "prefix dimension"], weight: Float[ndarray, " prefix"], image: Integer[ndarray, " prefix"]
) -> list[Equivariance]:
    """The maps of a permutation on the leading 1, 2, ... components: least squares over prefixes whose image is one.

    The map is linear about the mean of all prefixes. It is fitted and judged on the same prefixes, which are far
    more than its entries. Without a prefix whose image is one, nothing is known, and the error is nan.
    """
    covered = image >= 0
    share = weight[covered] / weight.sum()
    both = np.hstack([scores[covered], scores[image[covered]]])
    gram, n, maps = both.T @ (share[:, None] * both), scores.shape[1], []
    for d in range(1, n + 1):
        source, cross, target = gram[:d, :d], gram[:d, n : n + d], gram[n : n + d, n : n + d]
        solution = np.linalg.pinv(source, rcond=1e-10, hermitian=True) @ cross
        left = np.trace(target) - 2 * (solution * cross).sum() + (solution * (source @ solution)).sum()
        variance = np.trace(target)
        error = max(left, 0) / variance if variance > 0 else float("nan")
        maps.append(Equivariance(solution.T, float(error), float(share.sum())))
    return maps


def composition_error(g: Equivariance, h: Equivariance, both: Equivariance) -> float:
    """The distance of the product of two maps from the map of both, relative to the latter (Frobenius norm)."""
    size = np.linalg.norm(both.matrix)
    return float(np.linalg.norm(g.matrix @ h.matrix - both.matrix) / size) if size > 0 else float("nan")


def prediction_change(
    probability: Float[ndarray, "prefix token"],
    weight: Float[ndarray, " prefix"],
    image: Integer[ndarray, " prefix"],
    g: Permutation,
) -> float:
    """The mean total variation distance, 0 to 1, of predictions before and after a permutation.

    Between the distribution of the token g y after g w, and that of y after w, over the prefixes w whose image is one.
    """
    covered: Bool[ndarray, " prefix"] = image >= 0
    if not covered.any():
        return float("nan")
    is_changed, order = covered & (image != np.arange(len(image))), np.array(g)
    moved = np.flatnonzero(order != np.arange(len(g)))  # of a prefix that stays, only these predictions are compared
    distance = np.abs(probability[:, order[moved]] - probability[:, moved]).sum(axis=1) / 2
    rows = np.flatnonzero(is_changed)
    for block in row_blocks(len(rows), len(g)):
        some = rows[block]
        distance[some] = np.abs(probability[image[some]][:, order] - probability[some]).sum(axis=1) / 2
    return float(weight[covered] @ distance[covered] / weight[covered].sum())


def changed_shares(
    probability: Float[ndarray, "prefix token"],
    weight: Float[ndarray, " prefix"],
    image: Integer[ndarray, " prefix"],
    g: Permutation,
) -> tuple[float, float]:
    """The shares, by weight, of the prefixes that a permutation changes, and of these with the token after them."""
    is_changed = image != np.arange(len(image))
    moved = np.flatnonzero(np.array(g) != np.arange(len(g)))
    with_token = np.where(is_changed, 1, probability[:, moved].sum(axis=1))
    return float(weight[is_changed].sum() / weight.sum()), float(weight @ with_token / weight.sum())


def symmetries_of_predictions(
    tree: PrefixTree,
    probability: Float[ndarray, "prefix token"],
    weight: Float[ndarray, " prefix"],
    tried: list[Permutation],
) -> list[Permutation]:
    """The permutations, of those that are tried, that are symmetries of exact predictions along a complete tree."""
    images = {g: image_of_prefixes(tree, g) for g in tried}
    return [
        g
        for g, image in images.items()
        if (image >= 0).all() and prediction_change(probability, weight, image, g) < 1 - COVERED
    ]


def is_symmetry(found: Equivariance, change: float, shares: tuple[float, float], limits: tuple[float, float]) -> bool:
    """True if a permutation counts as a symmetry: of the geometry and, by the `prediction_change`, of the predictions.

    The `limits` of its error and of the change (`analysis.symmetry` of the configuration) are shares of what the
    permutation changes (`changed_shares`), most of the prefixes where tokens are few; a swap of two of many tokens
    leaves nearly all as they are. The identity, which changes nothing, is one. Behind the first attention, networks
    trained on processes with the symmetry change predictions by .002 to .007 and leave an error of .0005 to .03 where
    the belief has two dimensions, of .048 or more where it has more; random networks leave at least .10 and change
    predictions by at least .065; trained networks without the symmetry leave at least .07. Before the first attention,
    random networks leave as little as .02, as any permutation of a few vectors is nearly linear. Of a process that
    nearly has the symmetry, the error may be .02, but predictions change by .03.
    """
    most = (max(limit * share, ROUNDING) for limit, share in zip(limits, shares, strict=True))
    return found.error < next(most) and change < next(most) and found.coverage > COVERED
