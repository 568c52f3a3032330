"""Entropies of processes, in nats."""

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.belief_states import extend_beliefs
from geometry.processes.prefix_tree import PrefixTree
from geometry.processes.process import TOLERANCE, Process, ProcessError

CONVERGED = 1e-12
"""The width in nats at which a pair of bounds counts as the exact value."""

MOST_TOKENS = 200
"""The largest number of tokens by which bounds are narrowed."""


MOST_BELIEFS = 250_000
"""The largest number of distinct beliefs, after sequences of one length, with which bounds are narrowed."""

MOST_CHILDREN = 20
"""The largest number of continuations that are computed for each distinct belief."""


def next_token_entropy_nats(distribution: Float[ndarray, "prefix token"]) -> Float[ndarray, " prefix"]:
    """The entropy of each next-token distribution: the optimal loss after that prefix."""
    from scipy.special import entr  # planning needs this module's limits alone

    return entr(distribution).sum(axis=1)


def check_descent(what: str, nats: Float[ndarray, " step"], n_tokens: int, may_rise: bool = False) -> None:
    """Raise `ProcessError` for entropies of one of `n_tokens` tokens outside 0 to ln `n_tokens`, or that rise."""
    if not (nats.min() >= -TOLERANCE and nats.max() <= math.log(n_tokens) + TOLERANCE):
        raise ProcessError(
            f"{what} is {nats.min():.9g} to {nats.max():.9g} nats; with {n_tokens} tokens it must be between 0 and "
            f"{math.log(n_tokens):.9g}"
        )
    if not may_rise and np.diff(nats).max(initial=0) > TOLERANCE:
        raise ProcessError(f"{what} rises by {np.diff(nats).max():.3g} nats, impossible with more observations")


def optimal_loss_nats(
    process: Process,
    tree: PrefixTree,
    weight: Float[ndarray, " prefix"],
    next_token_probability: Float[ndarray, "prefix token"],
    is_sampled: bool = False,
) -> Float[ndarray, " position"]:
    """The loss of an optimal predictor after 0, 1, ... observed tokens (the myopic entropies).

    `weight` sums to 1 over the prefixes of each length. From the stationary distribution the loss never rises, unless
    the weights are those of a sample; from another start it may. Raises `ProcessError` for impossible values.
    """
    root = next_token_entropy_nats(process.next_token_probability(process.initial_state[None]))
    entropy = next_token_entropy_nats(next_token_probability)
    loss = np.array([root[0], *(weight[level] @ entropy[level] for level in tree.levels)])
    moved = not np.allclose(process.initial_state, process.stationary_distribution, rtol=0, atol=TOLERANCE)
    check_descent(f"{process.name}: the optimal loss", loss, process.n_tokens, may_rise=is_sampled or moved)
    return loss


def entropy_rate_bounds_nats(process: Process, max_beliefs: int = MOST_BELIEFS) -> tuple[float, float]:
    """Lower and upper bound of the entropy rate of the stationary process.

    The upper bound is the entropy of the next token given L tokens, the lower one given the hidden
    state before them as well (Cover and Thomas, theorem 4.5.1). L grows until the bounds meet, as
    they do where the belief states are finitely many, or until `MOST_TOKENS` or `max_beliefs` distinct
    beliefs are exceeded, or `MOST_CHILDREN` times as many continuations of them. A generalized process
    has no hidden states: its lower bound is nan. Of a mixture, and of a product of independent factors, the rate is
    the weighted sum of those of its parts, and so are the bounds.
    """
    if process.composition and process.composition.of_rate:
        bounds = [(w, entropy_rate_bounds_nats(part, max_beliefs)) for w, part in process.composition.of_rate]
        return sum(w * lower for w, (lower, _) in bounds), sum(w * upper for w, (_, upper) in bounds)
    starts = [process.stationary_distribution[None]]
    if not process.generalized:
        starts.append(np.eye(process.n_states))
    weights = [np.ones(1), process.stationary_distribution]
    levels = [(belief[w > 0], w[w > 0]) for belief, w in zip(starts, weights, strict=False)]
    for _ in range(MOST_TOKENS):
        bounds = [float(w @ next_token_entropy_nats(process.next_token_probability(b))) for b, w in levels]
        if len(bounds) == 2 and bounds[0] - bounds[1] < CONVERGED:
            break
        if sum(len(belief) for belief, _ in levels) * process.n_tokens > MOST_CHILDREN * max_beliefs:
            break
        levels = [_next_beliefs(process, *level) for level in levels]
        if sum(len(belief) for belief, _ in levels) > max_beliefs:
            break
    check_descent(f"{process.name}: the entropy rate, from upper to lower bound,", np.array(bounds), process.n_tokens)
    return (bounds[1], max(bounds)) if len(bounds) == 2 else (math.nan, bounds[0])


def _next_beliefs(
    process: Process, belief: Float[ndarray, "node state"], weight: Float[ndarray, " node"]
) -> tuple[Float[ndarray, "next state"], Float[ndarray, " next"]]:
    """The distribution over belief states one token later, equal beliefs merged."""
    parent, _, conditional, children = extend_beliefs(process, belief)
    weight = weight[parent] * conditional
    # A hash of the rounded belief: sorting integers is some twenty times faster than sorting rows.
    multipliers = np.random.default_rng(0).integers(1, 2**62, belief.shape[1]) | 1
    keys = (np.round(children, 12) * 2**40).astype(np.int64) @ multipliers
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return children[first], np.bincount(place, weights=weight)
