"""The number of prefixes of each length, counted without growing their tree."""

from functools import cache

import numpy as np

from geometry.processes.process import Process

MOST_NUMBERS = 1_000_000
"""The largest table of sets of states by token and state; of more sets, every token is counted as possible."""


def count_sequences(n_tokens: int, context: int, limit: int) -> tuple[int, ...]:
    """The number of sequences of each length from 1 to `context`, or `limit` if it is less."""
    counts = [1]
    for _ in range(context):
        counts.append(min(limit, counts[-1] * n_tokens))
    return tuple(counts[1:])


@cache
def count_prefixes(process: Process, context: int, limit: int) -> tuple[int, ...]:
    """The number of prefixes of positive probability of each length from 1 to `context`, or `limit` if it is less.

    Which tokens can follow a prefix depends on the set of states alone that are possible after it; prefixes with the
    same set are counted together. An upper bound where numbers are negative, or the sets are too many.
    """
    n_tokens, n_states, _ = process.transition_tensor.shape
    if min(process.transition_tensor.min(), process.initial_state.min()) < 0:
        return count_sequences(n_tokens, context, limit)
    leads_to = (process.transition_tensor > 0).transpose(1, 0, 2).reshape(n_states, -1).astype(float)
    sets, n_of_set, counts = process.initial_state[None] > 0, np.ones(1, np.int64), []
    while len(counts) < context and len(sets) * n_tokens * n_states <= MOST_NUMBERS:
        following = (sets @ leads_to > 0).reshape(-1, n_states)
        possible = following.any(axis=1)
        sets, place = np.unique(following[possible], axis=0, return_inverse=True)
        n_of_set = np.bincount(place.ravel(), np.repeat(n_of_set, n_tokens)[possible]).astype(np.int64)
        counts.append(min(limit, int(n_of_set.sum())))
        if counts[-1] == limit:
            return (*counts, *[limit] * (context - len(counts)))
    further = count_sequences(n_tokens, context - len(counts), limit)
    return (*counts, *(min(limit, counts[-1] * n) for n in further)) if counts else further
