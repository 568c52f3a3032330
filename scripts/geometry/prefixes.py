"""Prefix trees: every distinct prefix once, as the nodes of a tree.

A causal network, like a Bayesian observer, gives one answer per distinct prefix. So everything that
is computed per prefix (belief states, activations, losses) runs over the nodes of a `PrefixTree`,
and words enter only through how often each node is visited.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.process import TOLERANCE, Process, ProcessError

IMPOSSIBLE = 1e-12
"""A continuation less probable than this is rounding, not an event."""

NUMBERS_AT_ONCE = 10_000_000
"""Numbers of a temporary array over rows and tokens, at most: of many tokens, few rows are held at a time."""


def row_blocks(n_rows: int, n_columns: int) -> list[slice]:
    """The rows of a table in order, cut so that no block has more than `NUMBERS_AT_ONCE` numbers."""
    size = max(1, NUMBERS_AT_ONCE // max(1, n_columns))
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


@dataclass(frozen=True)
class PrefixTree:
    """Distinct prefixes in breadth-first order, lexicographic within a length.

    ``parent`` is the node of the prefix without its last token, -1 at length 1.
    """

    last_token: Integer[ndarray, " prefix"]
    parent: Integer[ndarray, " prefix"]
    length: Integer[ndarray, " prefix"]

    def __len__(self) -> int:
        return len(self.parent)

    @cached_property
    def levels(self) -> list[slice]:
        """The nodes of each length, from length 1."""
        ends = np.cumsum(np.bincount(self.length)[1:]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def continuation(
        self, node: Integer[ndarray, "*#place"], token: Integer[ndarray, "*#place"]
    ) -> Integer[ndarray, "*place"]:
        """The node of each prefix followed by a token; -1 where that is none. Node -1 is the empty prefix."""
        n_tokens = max(self.last_token.max(), token.max(initial=0)) + 1
        known, wanted = (self.parent + 1) * n_tokens + self.last_token, (node + 1) * n_tokens + token
        place = np.searchsorted(known, wanted).clip(max=len(self) - 1)
        return np.where(known[place] == wanted, place, -1)

    def network_input(
        self, bos_token: int | None
    ) -> tuple[Integer[ndarray, " node"], Integer[ndarray, " node"], Integer[ndarray, " node"]]:
        """Token, parent and position of each node; a beginning-of-sequence token is the root, at node 0."""
        if bos_token is None:
            return self.last_token.astype(np.int64), self.parent.astype(np.int64), self.length - 1
        below = (
            np.concatenate([[root], array]) for root, array in ((bos_token, self.last_token), (-1, self.parent + 1))
        )
        return *below, np.concatenate([[0], self.length])


def tree_of(truth: Mapping) -> PrefixTree:
    """The tree of the prefixes in a ground truth."""
    return PrefixTree(*(np.asarray(truth[name]).astype(np.int64) for name in ("last_token", "parent", "length")))


def asked(truth: Mapping) -> slice:
    """Where the prefixes stand at which a task asks for a prediction: those of positive weight, which come last."""
    return slice(int(np.argmax(np.asarray(truth["weight"]) > 0)), None)


def build_tree(levels: list[tuple[Integer[ndarray, " _"], Integer[ndarray, " _"]]]) -> PrefixTree:
    """The tree of per-length pairs (last token, parent's place within its own level)."""
    tokens, parents, start = [], [], -1
    for last_token, parent_in_level in levels:
        tokens.append(last_token)
        parents.append(np.full(len(last_token), -1) if start < 0 else start + parent_in_level)
        start = sum(len(t) for t in tokens[:-1])
    length = np.repeat(np.arange(1, len(tokens) + 1), [len(t) for t in tokens])
    return PrefixTree(np.concatenate(tokens), np.concatenate(parents), length)


def extend_beliefs(
    process: Process, belief: Float[ndarray, "node state"]
) -> tuple[
    Integer[ndarray, " child"], Integer[ndarray, " child"], Float[ndarray, " child"], Float[ndarray, "child state"]
]:
    """All continuations of positive probability by one token: parent, token, probability, belief.

    Raises `ProcessError` where a generalized process gives a negative probability.
    """
    images, probability = _images(process, belief)
    possible = np.flatnonzero(probability > IMPOSSIBLE)
    parent, token = np.divmod(possible, process.n_tokens)
    conditional = probability.ravel()[possible]
    return parent, token, conditional, images.reshape(-1, process.n_states)[possible] / conditional[:, None]


def _images(
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

    With the beliefs and probabilities that `belief_states` would give: growing the tree needs them anyway.
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


def two_token_words(
    tree: PrefixTree, probability: Float[ndarray, " prefix"], next_token_probability: Float[ndarray, "prefix token"]
) -> Float[ndarray, "token token"]:
    """The probability of each first token with each second one, given those of the prefixes and predictions."""
    first, n_tokens = tree.levels[0], next_token_probability.shape[1]
    words = np.zeros((n_tokens, n_tokens))
    words[tree.last_token[first]] = probability[first, None] * next_token_probability[first]
    return words


def complete_tree(process: Process, context: int, max_prefixes: int) -> PrefixTree | None:
    """The tree alone of `complete_tree_with_beliefs`."""
    found = complete_tree_with_beliefs(process, context, max_prefixes)
    return None if found is None else found[0]


def tree_of_words(words: Integer[ndarray, "word position"]) -> tuple[PrefixTree, Integer[ndarray, "word position"]]:
    """The tree of all prefixes of some words, and the node of each word at each position."""
    order = np.lexsort(words.T[::-1])
    ordered = words[order]
    # In sorted order, a prefix is new where it or a shorter one differs from the word before.
    new = np.ones(words.shape, dtype=bool)
    np.logical_or.accumulate(ordered[1:] != ordered[:-1], axis=1, out=new[1:])
    size = new.sum(axis=0)
    place = np.cumsum(new, axis=0) - 1 + np.concatenate([[0], np.cumsum(size)[:-1]])
    position, word = np.nonzero(new.T)
    parent = np.where(position > 0, place[word, position - 1], -1)
    nodes = np.empty_like(place)
    nodes[order] = place
    return PrefixTree(ordered[word, position].astype(np.int64), parent, position + 1), nodes


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
    """The belief state after each prefix, and the prefix's probability among words of its length."""
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


def words_below(tree: PrefixTree) -> Integer[ndarray, " prefix"]:
    """How many of the tree's longest prefixes continue each prefix.

    In a complete tree, this is the weight of a prefix when all words count alike at every position
    (Shai et al. 2024). A sampled tree lacks words, the improbable ones above all.
    """
    count = (tree.length == tree.length.max()).astype(np.int64)
    for level in reversed(tree.levels[1:]):
        np.add.at(count, tree.parent[level], count[level])
    return count


def sample_words(
    process: Process, n_words: int, length: int, rng: np.random.Generator
) -> Integer[ndarray, "word position"]:
    """Words drawn from the process, in its `token_dtype`."""
    draw = _tokens_by_belief if process.generalized else _tokens_by_state
    words = np.empty((n_words, length), dtype=process.token_dtype)
    for position, tokens in enumerate(draw(process, n_words, length, rng)):
        words[:, position] = tokens
    return words


def _tokens_by_state(
    process: Process, n_words: int, length: int, rng: np.random.Generator
) -> Iterator[Integer[ndarray, " word"]]:
    """The next token of every word, drawn with the next hidden state from the present one."""
    n_states, n_outcomes = process.n_states, process.n_tokens * process.n_states
    joint = process.transition_tensor.transpose(1, 0, 2).reshape(n_states, n_outcomes)
    state = _draw(process.initial_state[None], np.zeros(n_words, dtype=np.int64), rng)
    for _ in range(length):
        outcome = _draw(joint, state, rng)
        yield outcome // n_states
        state = outcome % n_states


def _draw(
    distributions: Float[ndarray, "row outcome"], row: Integer[ndarray, " draw"], rng: np.random.Generator
) -> Integer[ndarray, " draw"]:
    """An outcome for each draw by the distribution in its row: one search among the edges of all of them."""
    edges = np.cumsum(distributions, axis=1)
    edges /= edges[:, -1:]
    edges += np.arange(len(edges))[:, None]
    # Rounding must not take a draw out of its row, nor to an outcome of probability 0 at its end.
    value = np.minimum(row + rng.random(len(row)), np.nextafter(row + 1.0, 0))
    return np.searchsorted(edges.ravel(), value, side="right") - row * edges.shape[1]


def draw_by_weight(weight: Float[ndarray, "row outcome"], rng: np.random.Generator) -> Integer[ndarray, " row"]:
    """An outcome for each row, by its weights."""
    edges = np.cumsum(weight, axis=1)
    return (rng.random((len(weight), 1)) * edges[:, -1:] >= edges[:, :-1]).sum(axis=1)


def draw_tokens(
    process: Process, belief: Float[ndarray, "row state"], rng: np.random.Generator
) -> Integer[ndarray, " row"]:
    """A next token for each belief, by its probability."""
    blocks = row_blocks(len(belief), process.n_tokens)
    return np.concatenate([draw_by_weight(process.next_token_probability(belief[rows]), rng) for rows in blocks])


def _tokens_by_belief(
    process: Process, n_words: int, length: int, rng: np.random.Generator
) -> Iterator[Integer[ndarray, " word"]]:
    """The next token of every word, drawn from its belief state: a generalized process has no hidden ones."""
    emission, place = process.emission_matrix, np.arange(n_words)
    belief = np.broadcast_to(process.initial_state, (n_words, process.n_states))
    for _ in range(length):
        token = draw_by_weight(belief @ emission, rng)
        yield token
        images, probability = _images(process, belief)
        belief = images[place, token] / probability[place, token, None]


def sampled_tree(
    process: Process, context: int, max_prefixes: int, rng: np.random.Generator
) -> tuple[PrefixTree, Float[ndarray, " prefix"]]:
    """The tree of about as many sampled words as fit in `max_prefixes`, and each prefix's share of them.

    The shares sum to 1 at each length and estimate probability-weighted means without bias.
    """
    words = sample_words(process, max(1, max_prefixes // context), context, rng)
    tree, nodes = tree_of_words(words)
    return tree, np.bincount(nodes.ravel(), minlength=len(tree)) / len(words)
