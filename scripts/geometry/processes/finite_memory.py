"""Finite-memory observers: beliefs from the last tokens alone, and the rates at which they approach the true ones.

The belief of who recalls k tokens is that from the stationary distribution after these k. It comes nearer the
belief of who recalls all the more is recalled; were tokens not seen, what is known of the past would fade with
the second eigenvalue of the summed transition tensor, token by token.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.belief_states import IMPOSSIBLE, images_after
from geometry.processes.prefix_tree import PrefixTree
from geometry.processes.process import Process


def observer_beliefs(
    process: Process, tree: PrefixTree, belief: Float[ndarray, "prefix state"]
) -> Iterator[Float[ndarray, "prefix state"]]:
    """The belief after each prefix of an observer who recalls the last 1, 2, ... tokens, up to the longest prefix.

    Of a prefix that is no longer, that is `belief`, the true one. Where the last tokens are impossible from the
    stationary distribution, as after a beginning that never recurs, the belief of one token less is kept.
    """
    stationary = np.broadcast_to(process.stationary_distribution, belief.shape)
    fewer = stationary
    has_parent = tree.parent >= 0
    for recalled in range(1, int(tree.length.max()) + 1):
        before = np.where(has_parent[:, None], fewer[tree.parent], stationary)
        image = images_after(process, before, tree.last_token)
        total = (image @ process.readout)[:, None]
        possible = total > IMPOSSIBLE
        after = np.where(possible, image / np.where(possible, total, 1), before)
        fewer = np.where((tree.length <= recalled)[:, None], belief, after)
        yield fewer


def rms_errors(
    tree: PrefixTree,
    weight: Float[ndarray, " prefix"],
    belief: Float[ndarray, "prefix state"],
    other: Float[ndarray, "prefix state"],
) -> Float[ndarray, " length"]:
    """The root mean square distance of two beliefs by length of the prefix, weighted among prefixes of each length."""
    squared = ((other.astype(np.float64) - belief) ** 2).sum(axis=1)
    return np.sqrt([weight[level] @ squared[level] / weight[level].sum() for level in tree.levels])


def mixing_rate(process: Process) -> float:
    """The modulus of the second largest eigenvalue of the summed transition tensor; of a single state, 0."""
    modulus = np.sort(np.abs(np.linalg.eigvals(process.transition_tensor.sum(axis=0))))[::-1]
    return float(modulus[1]) if len(modulus) > 1 else 0.0


def memory_reached(error: float, observers: Float[ndarray, " recalled"]) -> float:
    """The memory, in tokens, of an observer with this error, given the errors of observers that use 0, 1, ... tokens.

    Between whole numbers the logarithm of the distance is interpolated; beyond the last distance that is above
    0 this says no more than that it is reached.
    """
    nearest = np.minimum.accumulate(observers)
    nearest = nearest[nearest > 1e-12]
    if len(nearest) == 0 or error >= nearest[0]:
        return 0.0
    return float(np.interp(-np.log(max(error, 1e-300)), -np.log(nearest), np.arange(len(nearest))))
