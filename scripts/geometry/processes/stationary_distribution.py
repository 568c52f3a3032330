"""Long-run laws of Markov chains, from row-stochastic matrices, without subtractions.

States are eliminated one by one, and their transitions redistributed over the others: the elimination of Grassmann,
Taksar and Heyman (1985). It never forms ``1 - p``, so that every entry of the law has full relative accuracy, however
slowly the chain mixes and however many orders of magnitude the law spans.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def closed_classes(chain: Float[ndarray, "state state"]) -> list[ndarray]:
    """The closed communicating classes: sets of states that the chain can enter and never leave, each with one law."""
    leads = (chain > 0) | np.eye(len(chain), dtype=bool)
    for _ in range(len(chain).bit_length()):  # each time over paths of twice as many steps
        leads = leads.astype(np.float32) @ leads > 0
    mutual = leads & leads.T
    is_closed, is_first = (leads == mutual).all(axis=1), mutual.argmax(axis=1) == np.arange(len(chain))
    return [np.flatnonzero(mutual[k]) for k in np.flatnonzero(is_closed & is_first)]


def irreducible_law(chain: Float[ndarray, "state state"]) -> Float[ndarray, " state"]:
    """The stationary law of a chain in which every state leads to every other."""
    rates = np.array(chain)
    for k in range(len(rates) - 1, 0, -1):  # the chain watched on the states before k only
        rates[:k, k] /= rates[k, :k].sum()
        rates[:k, :k] += np.outer(rates[:k, k], rates[k, :k])
    law = np.ones(len(rates))
    for k in range(1, len(rates)):
        law[k] = law[:k] @ rates[:k, k]
        law[: k + 1] /= max(law[k], 1)  # or it might overflow
    return law / law.sum()


def long_run_law(
    chain: Float[ndarray, "state state"], start: Float[ndarray, " state"], classes: list[ndarray]
) -> Float[ndarray, " state"]:
    """The time average of the law from a start: each closed class's own law times the probability of absorption."""
    law = np.zeros(len(chain))
    for members, share in zip(classes, absorbed(chain, start, classes), strict=True):
        law[members] = share * irreducible_law(chain[np.ix_(members, members)])
    return law


def absorbed(
    chain: Float[ndarray, "state state"], start: Float[ndarray, " state"], classes: list[ndarray]
) -> Float[ndarray, " class"]:
    """The probability of absorption in each closed class from a start."""
    transient = np.setdiff1d(np.arange(len(chain)), np.concatenate(classes))
    sources, n = np.vstack([start, chain[transient]]), len(classes)
    flow = np.column_stack([*(sources[:, members].sum(axis=1) for members in classes), sources[:, transient]])
    for k in range(len(transient) - 1, -1, -1):
        onward = flow[k + 1, : n + k]
        flow[: k + 1, : n + k] += np.outer(flow[: k + 1, n + k] / onward.sum(), onward)
    return flow[0, :n] / flow[0, :n].sum()
