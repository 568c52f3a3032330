"""Training sequences and sampled prefix trees drawn from a process."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.processes.belief_states import images_of_all_tokens
from geometry.processes.prefix_tree import PrefixTree, row_blocks, tree_of_sequences
from geometry.processes.process import Process


def sample_process(
    process: Process, n_sequences: int, length: int, rng: np.random.Generator
) -> Integer[ndarray, "sequence position"]:
    """Sequences drawn from the process, in its `token_dtype`."""
    draw = _tokens_by_belief if process.generalized else _tokens_by_state
    sequences = np.empty((n_sequences, length), dtype=process.token_dtype)
    for position, tokens in enumerate(draw(process, n_sequences, length, rng)):
        sequences[:, position] = tokens
    return sequences


def _tokens_by_state(
    process: Process, n_sequences: int, length: int, rng: np.random.Generator
) -> Iterator[Integer[ndarray, " sequence"]]:
    """The next token of every sequence, drawn jointly with the next hidden state given the present one."""
    n_states, n_outcomes = process.n_states, process.n_tokens * process.n_states
    joint = process.transition_tensor.transpose(1, 0, 2).reshape(n_states, n_outcomes)
    state = _draw(process.initial_state[None], np.zeros(n_sequences, dtype=np.int64), rng)
    for _ in range(length):
        outcome = _draw(joint, state, rng)
        yield outcome // n_states
        state = outcome % n_states


def _draw(
    distributions: Float[ndarray, "row outcome"], row: Integer[ndarray, " draw"], rng: np.random.Generator
) -> Integer[ndarray, " draw"]:
    """An outcome for each draw from the distribution in its row, by one search in all cumulative distributions."""
    edges = np.cumsum(distributions, axis=1)
    edges /= edges[:, -1:]
    edges += np.arange(len(edges))[:, None]
    # Rounding must not move a draw out of its row, nor to an outcome of probability 0 at its end.
    value = np.minimum(row + rng.random(len(row)), np.nextafter(row + 1.0, 0))
    return np.searchsorted(edges.ravel(), value, side="right") - row * edges.shape[1]


def draw_by_weight(weight: Float[ndarray, "row outcome"], rng: np.random.Generator) -> Integer[ndarray, " row"]:
    """A random outcome for each row, with probabilities proportional to its weights."""
    edges = np.cumsum(weight, axis=1)
    return (rng.random((len(weight), 1)) * edges[:, -1:] >= edges[:, :-1]).sum(axis=1)


def draw_tokens(
    process: Process, belief: Float[ndarray, "row state"], rng: np.random.Generator
) -> Integer[ndarray, " row"]:
    """A random next token for each belief, from its optimal prediction."""
    blocks = row_blocks(len(belief), process.n_tokens)
    return np.concatenate([draw_by_weight(process.next_token_probability(belief[rows]), rng) for rows in blocks])


def _tokens_by_belief(
    process: Process, n_sequences: int, length: int, rng: np.random.Generator
) -> Iterator[Integer[ndarray, " sequence"]]:
    """The next token of every sequence, drawn given its belief state, for generalized processes."""
    emission, place = process.emission_matrix, np.arange(n_sequences)
    belief = np.broadcast_to(process.initial_state, (n_sequences, process.n_states))
    for _ in range(length):
        token = draw_by_weight(belief @ emission, rng)
        yield token
        images, probability = images_of_all_tokens(process, belief)
        belief = images[place, token] / probability[place, token, None]


def sampled_tree(
    process: Process, context: int, max_prefixes: int, rng: np.random.Generator
) -> tuple[PrefixTree, Float[ndarray, " prefix"]]:
    """The tree of about as many sampled sequences as fit in `max_prefixes`, and each prefix's share of them.

    The shares sum to 1 at each length and estimate probability-weighted means without bias.
    """
    sequences = sample_process(process, max(1, max_prefixes // context), context, rng)
    tree, nodes = tree_of_sequences(sequences)
    return tree, np.bincount(nodes.ravel(), minlength=len(tree)) / len(sequences)
