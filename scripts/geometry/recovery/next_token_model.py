"""Languages: what a network, or anything else, says of the next token after each prefix of a complete tree."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.prefix_tree import PrefixTree


@dataclass(frozen=True)
class NextTokenModel:
    """What a network, or anything else, says of the next token after each prefix of a complete tree."""

    tree: PrefixTree
    next_token_probability: Float[ndarray, "prefix token"]

    @cached_property
    def first_token_probability(self) -> Float[ndarray, " token"]:
        """That of the first token, which no prediction tells: the one that predictions after one token leave as it is.

        So it is for a stationary process, in which every token is distributed as the first.
        """
        first, n_tokens = self.tree.levels[0], self.next_token_probability.shape[1]
        step = np.zeros((n_tokens, n_tokens))
        step[self.tree.last_token[first]] = self.next_token_probability[first]
        equations = np.vstack([step.T - np.eye(n_tokens), np.ones(n_tokens)])
        found = np.linalg.lstsq(equations, np.eye(n_tokens + 1)[-1], rcond=None)[0]
        return np.maximum(found, 0) / np.maximum(found, 0).sum()

    @cached_property
    def prefix_probability(self) -> Float[ndarray, " prefix"]:
        """The probability of each prefix among words of its length."""
        tree, probability = self.tree, np.empty(len(self.tree))
        for level in tree.levels:
            parent, token = tree.parent[level], tree.last_token[level]
            if level.start == 0:
                probability[level] = self.first_token_probability[token]
            else:
                probability[level] = probability[parent] * self.next_token_probability[parent, token]
        return probability

    def continuation_probabilities(self, n_tokens: int) -> Float[ndarray, "prefix future"]:
        """The probability of each word of so many tokens after each prefix that can be followed so far."""
        n_prefixes = self.tree.levels[len(self.tree.levels) - n_tokens].stop
        node, probability = np.arange(n_prefixes)[:, None], self.next_token_probability[:n_prefixes]
        every = np.arange(probability.shape[1])
        for _ in range(n_tokens - 1):
            child = self.tree.continuation(np.maximum(node, 0)[..., None], every)
            node = np.where(node[..., None] >= 0, child, -1).reshape(n_prefixes, -1)
            following = np.where(node[..., None] >= 0, self.next_token_probability[node], 0)
            probability = (probability[..., None] * following).reshape(n_prefixes, -1)
        return probability


def complete_part(tree: PrefixTree, complete_length: int) -> PrefixTree:
    """The prefixes up to the length up to which a tree has all that occur; of no such length, those of one token."""
    stop = tree.levels[max(complete_length, 1) - 1].stop
    return PrefixTree(tree.last_token[:stop], tree.parent[:stop], tree.length[:stop])


def counted_model(language: NextTokenModel, n_sequences: int, rng: np.random.Generator) -> NextTokenModel:
    """What a sample of so many words says of the next token: how often each followed; nothing where none was seen."""
    longest = language.tree.levels[-1]
    cells = language.prefix_probability[longest, None] * language.next_token_probability[longest]
    count = np.zeros(language.next_token_probability.shape)
    count[longest] = rng.multinomial(n_sequences, cells.ravel() / cells.sum()).reshape(cells.shape)
    seen = count.sum(axis=1)
    for level in reversed(language.tree.levels[1:]):
        np.add.at(count, (language.tree.parent[level], language.tree.last_token[level]), seen[level])
        parents = np.unique(language.tree.parent[level])
        seen[parents] = count[parents].sum(axis=1)
    return NextTokenModel(language.tree, count / np.maximum(seen, 1)[:, None])
