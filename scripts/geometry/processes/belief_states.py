"""The belief state of an optimal observer after each prefix of a tree, and the prefix's probability."""

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.processes.prefix_tree import PrefixTree, build_tree
from geometry.processes.process import TOLERANCE, Process, ProcessError

IMPOSSIBLE = 1e-12
"""The probability below which a continuation is a rounding error."""


def extend_beliefs(
    process: Process, belief: Float[ndarray, "node state"]
) -> tuple[
    Integer[ndarray, " child"], Integer[ndarray, " child"], Float[ndarray, " child"], Float[ndarray, "child state"]
]:
    """All continuations of positive probability by one token: parent, token, conditional probability, belief.

    Raises `ProcessError` where a generalized process gives a negative probability.
    """
    images, probability = images_of_all_tokens(process, belief)
    possible = np.flatnonzero(probability > IMPOSSIBLE)
    parent, token = np.divmod(possible, process.n_tokens)
    conditional = probability.ravel()[possible]
    return parent, token, conditional, images.reshape(-1, process.n_states)[possible] / conditional[:, None]


def images_of_all_tokens(
    process: Process, belief: Float[ndarray, "node state"]
) -> tuple[Float[ndarray, "node token state"], Float[ndarray, "node token"]]:
    """The unnormalised belief after each token, and each token's probability."""
    n_tokens, n_states, _ = process.transition_tensor.shape
    maps = process.transition_tensor.transpose(1, 0, 2).reshape(n_states, n_tokens * n_states)
    images = (belief @ maps).reshape(len(belief), n_tokens, n_states)
    probability = images @ process.readout
    if probability.min() < -TOLERANCE:
        token = process.token_names[int(probability.argmin()) % n_tokens]
        raise ProcessError(
            f"{process.name}: token {token} has probability {probability.min():.3g} after some prefix; "
            "every probability along the prefix tree must be at least 0"
        )
    return images, probability


def complete_tree_with_beliefs(
    process: Process, context: int, max_prefixes: int
) -> tuple[PrefixTree, Float[ndarray, "prefix state"], Float[ndarray, " prefix"]] | None:
    """All prefixes of positive probability up to `context` tokens, or None if more than `max_prefixes`.

    Also returns the beliefs and probabilities of `belief_states`, which the construction computes anyway.
    """
    belief, probability, n_nodes = process.initial_state[None], np.ones(1), 0
    levels, beliefs, probabilities = [], [], []
    for _ in range(context):
        if len(belief) * process.n_tokens > 20 * max_prefixes:  # do not even allocate the next level
            return None
        parent, token, conditional, belief = extend_beliefs(process, belief)
        probability = probability[parent] * conditional
        n_nodes += len(parent)
        if n_nodes > max_prefixes:
            return None
        levels.append((token, parent))
        beliefs.append(belief)
        probabilities.append(probability)
    return build_tree(levels), np.concatenate(beliefs), np.concatenate(probabilities)


def complete_tree(process: Process, context: int, max_prefixes: int) -> PrefixTree | None:
    """The tree of `complete_tree_with_beliefs` without the beliefs."""
    found = complete_tree_with_beliefs(process, context, max_prefixes)
    return None if found is None else found[0]


def images_after(
    process: Process, belief: Float[ndarray, "row state"], token: Integer[ndarray, " row"]
) -> Float[ndarray, "row state"]:
    """Each row's unnormalised belief after its token."""
    image, order = np.empty(belief.shape), np.argsort(token, kind="stable")
    symbols, first = np.unique(token[order], return_index=True)
    for symbol, rows in zip(symbols, np.split(order, first[1:]), strict=False):
        image[rows] = belief[rows] @ process.transition_tensor[symbol]
    return image


def belief_states(
    process: Process, tree: PrefixTree
) -> tuple[Float[ndarray, "prefix state"], Float[ndarray, " prefix"]]:
    """The belief state after each prefix, and the prefix's probability among sequences of its length."""
    belief = np.empty((len(tree), process.n_states))
    probability = np.empty(len(tree))
    for level in tree.levels:
        parent, token = tree.parent[level], tree.last_token[level]
        first = level.start == 0
        source = np.broadcast_to(process.initial_state, (len(token), process.n_states)) if first else belief[parent]
        image = images_after(process, source, token)
        conditional = image @ process.readout
        belief[level] = image / conditional[:, None]
        probability[level] = conditional if first else probability[parent] * conditional
    return belief, probability
