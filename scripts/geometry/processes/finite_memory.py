"""Finite-memory observers: beliefs from the last k tokens, and their convergence to the true belief as k grows.

The belief of the observer of k tokens is the stationary distribution, updated by the last k tokens. Without
observations, information on the past decays by the second eigenvalue of the summed transition tensor with each token.
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
    """The beliefs of the observers of the last 1, 2, ... tokens after each prefix, up to the longest prefix.

    After a prefix of at most so many tokens this is `belief`, the true one. Where the last tokens are impossible from
    the stationary distribution, as after a transient beginning, the last one does not change the belief.
    """
    stationary = np.broadcast_to(process.stationary_distribution, belief.shape)
    fewer = stationary
    has_parent = tree.parent >= 0
    for n_last in range(1, int(tree.length.max()) + 1):
        before = np.where(has_parent[:, None], fewer[tree.parent], stationary)
        image = images_after(process, before, tree.last_token)
        total = (image @ process.readout)[:, None]
        possible = total > IMPOSSIBLE
        after = np.where(possible, image / np.where(possible, total, 1), before)
        fewer = np.where((tree.length <= n_last)[:, None], belief, after)
        yield fewer


def rms_errors(
    tree: PrefixTree,
    weight: Float[ndarray, " prefix"],
    belief: Float[ndarray, "prefix state"],
    other: Float[ndarray, "prefix state"],
) -> Float[ndarray, " length"]:
    """The root mean square distance of two beliefs by length of the prefix, weighted among prefixes of each length.

    It is nan where nothing has weight.
    """
    squared = ((other.astype(np.float64) - belief) ** 2).sum(axis=1)
    return np.sqrt([weight[level] @ squared[level] / (weight[level].sum() or np.nan) for level in tree.levels])


def mixing_rate(process: Process) -> float:
    """The second largest modulus of the eigenvalues of the summed transition tensor; 0 for a single state."""
    modulus = np.sort(np.abs(np.linalg.eigvals(process.transition_tensor.sum(axis=0))))[::-1]
    return float(modulus[1]) if len(modulus) > 1 else 0.0


def memory_reached(error: float, observers: Float[ndarray, " n_last"]) -> float:
    """The number of tokens k whose finite-memory observer has the same error, given those of observers of 0, 1, ...

    Between whole numbers the logarithm of the error is interpolated; for errors below the last one above 0, the
    result is a lower bound.
    """
    nearest = np.minimum.accumulate(observers)
    nearest = nearest[nearest > 1e-12]
    if len(nearest) == 0 or error >= nearest[0]:
        return 0.0
    return float(np.interp(-np.log(max(error, 1e-300)), -np.log(nearest), np.arange(len(nearest))))
