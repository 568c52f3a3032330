"""Constrained belief updates: the evidence of each token, added to what is known without any, token by token.

Attention adds up what it reads of each token, which does not depend on the others. So after tokens z_1 to z_d it can
compute ``pi + sum_s (pi T|z_s M^(d-s) - pi)``, where ``pi T|z = pi T[z] / (pi T[z] readout)`` is the belief after one
token and ``M = sum_x T[x]`` carries it forward (Piotrowski, Riechers, Filan and Shai 2025, arXiv 2502.01954).

So it is for a process that starts from its stationary law pi. From any other start, the state without evidence depends
on the position: ``m_s = initial M^s`` takes the place of pi, and the evidence of token z_s is ``m_(s-1) T|z_s - m_s``.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.belief_states import IMPOSSIBLE, images_of_all_tokens
from geometry.processes.prefix_tree import PrefixTree
from geometry.processes.process import TOLERANCE, Process


def states_without_evidence(process: Process, context: int) -> Float[ndarray, "context_and_1 state"]:
    """The state after 0, 1, ... tokens that were not observed."""
    chain, states = process.transition_tensor.sum(axis=0), [process.initial_state]
    for _ in range(context):
        states.append(states[-1] @ chain)
    return np.stack(states)


def single_token_evidence(process: Process, context: int) -> Float[ndarray, "position token state"]:
    """The change of the state at each position by its token alone; 0 for a token that is impossible there.

    Weighted by the probabilities of the tokens, it is 0 in the mean.
    """
    without = states_without_evidence(process, context)
    images, probability = images_of_all_tokens(process, without[:-1])
    possible = (probability > IMPOSSIBLE)[:, :, None]
    after_token = np.divide(images, probability[:, :, None], out=np.zeros_like(images), where=possible)
    return np.where(possible, after_token - without[1:, None], 0)


def constrained_updates(process: Process, tree: PrefixTree) -> Float[ndarray, "prefix state"]:
    """The constrained update after each prefix, from that of its parent: its evidence is carried forward one token."""
    context, chain = int(tree.length.max()), process.transition_tensor.sum(axis=0)
    evidence, without = single_token_evidence(process, context), states_without_evidence(process, context)
    gathered = np.empty((len(tree), process.n_states))
    for place, level in enumerate(tree.levels):
        gathered[level] = evidence[place, tree.last_token[level]]
        if place:
            gathered[level] += gathered[tree.parent[level]] @ chain
    return without[tree.length] + gathered


def decay_of_evidence(chain: Float[ndarray, "state state"]) -> float:
    """The eigenvalue zeta of M next to 1, by whose powers evidence decays; nan if it is no real one.

    Several equal ones count as one, as the two of mess3 do.
    """
    values = np.linalg.eigvals(chain)
    others = np.delete(values, np.abs(values - 1).argmin())
    leading = others[np.abs(others) > np.abs(others).max(initial=0) - TOLERANCE**0.75]
    is_one_real = len(leading) > 0 and np.ptp(leading.real) < TOLERANCE**0.75 > np.abs(leading.imag).max()
    return float(leading[0].real) if is_one_real else float("nan")
