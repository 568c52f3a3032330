"""Causal states, their entropy and the excess entropy, of processes whose beliefs are finitely many.

Two prefixes have the same causal state if they have the same probabilities of all continuations: the same belief of the
minimal realization. From the stationary distribution, prefixes lead to finitely or infinitely many of these; where
they are finitely many (to twelve decimals), they form a unifilar chain (Crutchfield and Young 1989).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.belief_states import extend_beliefs
from geometry.processes.entropy import CONVERGED, next_token_entropy_nats
from geometry.processes.minimal_realization import minimal_process
from geometry.processes.process import Process
from geometry.processes.stationary_distribution import closed_classes, long_run_law

MOST_STATES = 500
"""The number of causal states, transient ones included, above which they count as infinitely many."""

SAME_DECIMALS = 12
"""The number of decimals to which equal beliefs agree: as many as a continuation's least probability has."""

MOST_STEPS = 100_000
"""The largest number of tokens over which the excess entropy is summed."""


@dataclass(frozen=True, eq=False)
class CausalStates:
    """The beliefs that prefixes lead to, from the stationary one on, as a unifilar chain; the first is that one."""

    belief: Float[ndarray, "state dimension"]
    chain: Float[ndarray, "state state"]
    entropy_nats: Float[ndarray, " state"]  # of the next token
    law: Float[ndarray, " state"]  # in the long run; 0 of transient states

    @property
    def statistical_complexity_nats(self) -> float:
        """The entropy of the causal state in the long run."""
        return float(next_token_entropy_nats(self.law[None])[0])

    @property
    def entropy_rate_nats(self) -> float:
        return float(self.law @ self.entropy_nats)

    @property
    def excess_entropy_nats(self) -> float:
        """The mutual information of past and future: the sum of the myopic entropies above the entropy rate.

        It is the information that tokens from the stationary distribution on give on all later ones.
        """
        now, total = np.eye(len(self.law))[0], 0.0
        for _ in range(MOST_STEPS):
            excess = now @ self.entropy_nats - self.entropy_rate_nats
            if excess < CONVERGED:
                break
            total, now = total + excess, now @ self.chain
        return float(total)


def causal_states(process: Process) -> CausalStates | None:
    """The causal states of the stationary process; None if more than `MOST_STATES` are reached."""
    minimal = minimal_process(process)
    minimal = replace(minimal, initial_state=minimal.stationary_distribution)
    belief, edges, n_known = minimal.initial_state[None], [], 0
    number = {_key(belief)[0]: 0}
    while n_known < len(belief):
        parent, _, conditional, child = extend_beliefs(minimal, belief[n_known:])
        added: list[int] = []
        for row, key in enumerate(_key(child)):
            if key not in number:
                number[key] = len(number)
                added.append(row)
        edges.append((parent + n_known, [number[key] for key in _key(child)], conditional))
        n_known, belief = len(belief), np.vstack([belief, child[added]])
        if len(belief) > MOST_STATES:
            return None
    chain = np.zeros((len(belief), len(belief)))
    for source, target, conditional in edges:
        np.add.at(chain, (source, target), conditional)
    chain /= chain.sum(axis=1, keepdims=True)
    entropy = next_token_entropy_nats(minimal.next_token_probability(belief))
    law = long_run_law(chain, np.eye(len(belief))[0], closed_classes(chain))
    return CausalStates(belief, chain, entropy, law)


def _key(belief: Float[ndarray, "row dimension"]) -> list[bytes]:
    return [row.tobytes() for row in belief.round(SAME_DECIMALS) + 0.0]


def forbidden_sequences(process: Process, longest: int = 6, most: int = 20_000) -> list[tuple[int, ...]]:
    """Sequences that never occur in the long run, though all that is shorter within them does, up to a length.

    No longer ones are looked for than of `longest` tokens, nor where there are more than `most` to look at.
    """
    stationary = replace(process, initial_state=process.stationary_distribution)
    belief, possible = stationary.initial_state[None], [()]
    found: list[tuple[int, ...]] = []
    for _ in range(longest):
        if len(possible) * process.n_tokens > most:
            break
        parent, token, _, belief = extend_beliefs(stationary, belief)
        shorter = set(possible)
        longer = [(*possible[k], int(x)) for k, x in zip(parent, token, strict=True)]
        known = set(longer)
        found += [
            word
            for start in possible
            for word in ((*start, x) for x in range(process.n_tokens))
            if word not in known and word[1:] in shorter
        ]
        possible = longer
    return found
