"""Prefix trees: every distinct prefix once, as the nodes of a tree.

The output of a causal network, like the belief of a Bayesian observer, is a function of the prefix. All quantities per
prefix (belief states, activations, losses) are therefore computed over the nodes of a `PrefixTree`, and sequences enter
only through the number of times that each node occurs in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

NUMBERS_AT_ONCE = 10_000_000
"""The largest size of a temporary array over rows and tokens: with many tokens, few rows are in memory at a time."""


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
        """The node of each prefix followed by a token, -1 if it is not in the tree. Node -1 is the empty prefix."""
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


def scored_positions(truth: Mapping) -> slice:
    """The slice of the prefixes at which a task scores the prediction: those of positive weight, which come last."""
    return slice(int(np.argmax(np.asarray(truth["weight"]) > 0)), None)


def scored_part(truth):
    """The scored prefixes of a ground truth, the rows of what is decoded from activations."""
    return truth.isel(prefix=scored_positions(truth))


def build_tree(levels: list[tuple[Integer[ndarray, " _"], Integer[ndarray, " _"]]]) -> PrefixTree:
    """The tree of per-length pairs (last token, parent's place within its own level)."""
    tokens, parents, start = [], [], -1
    for last_token, parent_in_level in levels:
        tokens.append(last_token)
        parents.append(np.full(len(last_token), -1) if start < 0 else start + parent_in_level)
        start = sum(len(t) for t in tokens[:-1])
    length = np.repeat(np.arange(1, len(tokens) + 1), [len(t) for t in tokens])
    return PrefixTree(np.concatenate(tokens), np.concatenate(parents), length)


def two_token_probabilities(
    tree: PrefixTree, probability: Float[ndarray, " prefix"], next_token_probability: Float[ndarray, "prefix token"]
) -> Float[ndarray, "token token"]:
    """The joint probability of the first and the second token, from those of the prefixes and the predictions."""
    first, n_tokens = tree.levels[0], next_token_probability.shape[1]
    joint = np.zeros((n_tokens, n_tokens))
    joint[tree.last_token[first]] = probability[first, None] * next_token_probability[first]
    return joint


def tree_of_sequences(
    sequences: Integer[ndarray, "sequence position"],
) -> tuple[PrefixTree, Integer[ndarray, "sequence position"]]:
    """The tree of all prefixes of some sequences, and the node of each sequence at each position."""
    order = np.lexsort(sequences.T[::-1])
    ordered = sequences[order]
    # In sorted order, a prefix is new where it or a shorter one differs from that of the previous sequence.
    new = np.ones(sequences.shape, dtype=bool)
    np.logical_or.accumulate(ordered[1:] != ordered[:-1], axis=1, out=new[1:])
    size = new.sum(axis=0)
    place = np.cumsum(new, axis=0) - 1 + np.concatenate([[0], np.cumsum(size)[:-1]])
    position, row = np.nonzero(new.T)
    parent = np.where(position > 0, place[row, position - 1], -1)
    nodes = np.empty_like(place)
    nodes[order] = place
    return PrefixTree(ordered[row, position].astype(np.int64), parent, position + 1), nodes


def n_sequences_below(tree: PrefixTree) -> Integer[ndarray, " prefix"]:
    """The number of the tree's longest prefixes that continue each prefix.

    In a complete tree, this is the weight of a prefix that is uniform over sequences, as published (Shai et al. 2024).
    A sampled tree lacks sequences, mostly improbable ones.
    """
    count = (tree.length == tree.length.max()).astype(np.int64)
    for level in reversed(tree.levels[1:]):
        np.add.at(count, tree.parent[level], count[level])
    return count
