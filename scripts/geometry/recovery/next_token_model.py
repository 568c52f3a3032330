"""Next-token models: the next-token distribution of a predictor after each prefix of a complete tree."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.prefix_tree import PrefixTree, tree_of


@dataclass(frozen=True)
class NextTokenModel:
    """The next-token distribution of a network, or of any other predictor, after each prefix of a complete tree."""

    tree: PrefixTree
    next_token_probability: Float[ndarray, "prefix token"]

    @cached_property
    def first_token_probability(self) -> Float[ndarray, " token"]:
        """The distribution of the first token, which no prediction gives: that which one-token predictions preserve.

        In a stationary process, every token is distributed as the first.
        """
        first, n_tokens = self.tree.levels[0], self.next_token_probability.shape[1]
        step = np.zeros((n_tokens, n_tokens))
        step[self.tree.last_token[first]] = self.next_token_probability[first]
        equations = np.vstack([step.T - np.eye(n_tokens), np.ones(n_tokens)])
        found = np.linalg.lstsq(equations, np.eye(n_tokens + 1)[-1], rcond=None)[0]
        return np.maximum(found, 0) / np.maximum(found, 0).sum()

    @cached_property
    def prefix_probability(self) -> Float[ndarray, " prefix"]:
        """The probability of each prefix among the sequences of its length."""
        tree, probability = self.tree, np.empty(len(self.tree))
        for level in tree.levels:
            parent, token = tree.parent[level], tree.last_token[level]
            if level.start == 0:
                probability[level] = self.first_token_probability[token]
            else:
                probability[level] = probability[parent] * self.next_token_probability[parent, token]
        return probability

    def continuation_probabilities(self, n_tokens: int) -> Float[ndarray, "prefix continuation"]:
        """The probability of each continuation of so many tokens, after each prefix that the tree continues so far."""
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
    """The prefixes up to the length up to which a tree is complete; if it is complete for none, those of one token."""
    stop = tree.levels[max(complete_length, 1) - 1].stop
    return PrefixTree(tree.last_token[:stop], tree.parent[:stop], tree.length[:stop])


def rows_of_tree(archive: xr.Dataset, tree: PrefixTree) -> slice:
    """The rows of an archive of activations that hold the prefixes of a tree, the first ones of the ground truth."""
    prefixes = archive.get_index("prefix")
    rows = prefixes.slice_indexer(0, len(tree) - 1)
    if rows.stop - rows.start != len(tree):
        raise ValueError(f"of the {len(tree)} first prefixes, only {rows.stop - rows.start} have activations")
    return rows


def exact_model(truth: xr.Dataset) -> NextTokenModel:
    """The optimal next-token probabilities, up to the length to which a ground truth has every prefix."""
    tree = complete_part(tree_of(truth), truth.attrs["complete_length"])
    return NextTokenModel(tree, truth["next_token_probability"].values[: len(tree)])


def support_model(exact: NextTokenModel) -> NextTokenModel:
    """The support baseline: every token equally likely along a tree that has no impossible prefixes."""
    probability = exact.next_token_probability
    return NextTokenModel(exact.tree, np.full_like(probability, 1 / probability.shape[1]))


def sampled_model(
    exact: NextTokenModel, n_sequences: int, sequence_length: int, rng: np.random.Generator
) -> NextTokenModel:
    """Next-token frequencies in a sample with as many tokens as `n_sequences` sequences of that length have."""
    return counted_model(exact, round(n_sequences * sequence_length / len(exact.tree.levels)), rng)


def counted_model(exact: NextTokenModel, n_sequences: int, rng: np.random.Generator) -> NextTokenModel:
    """Next-token frequencies after each prefix in a sample of sequences as long as the tree; 0 where unseen."""
    longest = exact.tree.levels[-1]
    cells = exact.prefix_probability[longest, None] * exact.next_token_probability[longest]
    count = np.zeros(exact.next_token_probability.shape)
    count[longest] = rng.multinomial(n_sequences, cells.ravel() / cells.sum()).reshape(cells.shape)
    seen = count.sum(axis=1)
    for level in reversed(exact.tree.levels[1:]):
        np.add.at(count, (exact.tree.parent[level], exact.tree.last_token[level]), seen[level])
        parents = np.unique(exact.tree.parent[level])
        seen[parents] = count[parents].sum(axis=1)
    return NextTokenModel(exact.tree, count / np.maximum(seen, 1)[:, None])
