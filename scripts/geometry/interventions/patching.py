"""Activation patching: the predictions of a network with activations changed at one site, at some prefixes or all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor

from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.input_layout import PackedTree, TreeChunk
from geometry.processes.prefix_tree import PrefixTree


@contextmanager
def changing(network: HookedNetwork, site: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within the block, the activations at one hook point are replaced by ``change(activations)``."""
    handle = network.get_submodule(site).register_forward_hook(lambda _m, _i, output: change(output))
    try:
        yield
    finally:
        handle.remove()


class PatchedPrefixes:
    """Copies of some prefixes' last nodes, at which activations may be changed without a change at other positions.

    One tree holds the prefixes with their ancestors, then a patched copy of each prefix, then the continuations of
    the copies by the tokens of `following`, where the context has room. The first part is evaluated once, at
    construction, and cached: a change costs the evaluation of the copies and their continuations only.
    """

    def __init__(
        self,
        network: HookedNetwork,
        tree: PrefixTree,
        prefix: Integer[ndarray, " pair"],
        following: Integer[ndarray, "pair next"],
        bos: bool,
    ):
        self.network, self.weight = network, next(network.parameters())
        self.n_tokens, context = network.config.d_vocab - bos, network.config.n_ctx - bos
        above = with_ancestors(tree, prefix)
        self.has_room = np.flatnonzero(tree.length[prefix] < context)
        self.following = following[self.has_room]
        whole = with_patched(tree, above, prefix, self.has_room, self.following)
        nodes = whole.network_input(self.n_tokens if bos else None)
        self.tokens, parent, position = (torch.from_numpy(array).to(self.weight.device) for array in nodes)
        self.packed = PackedTree(parent, position, network.config.n_ctx)
        first, stop = bos + len(above), bos + len(above) + len(prefix)
        self.above, self.patched = slice(int(bos), first), slice(first, stop)
        self.below = slice(stop, len(self.tokens))
        self.place = np.searchsorted(above, prefix)
        self.cache = network.new_cache(stop)
        if bos:
            self._evaluate(slice(0, 1), self.cache)
        self.unchanged = self._evaluate(self.above, self.cache)[self.place]

    def _evaluate(self, nodes: slice, cache: list[Tensor]) -> Float[ndarray, "node token"]:
        with torch.no_grad():
            logits = self.network(self.tokens[nodes], TreeChunk(self.packed, cache, nodes.start, nodes.stop))
        return self.network.log_probability(logits.cpu().double())[:, : self.n_tokens].numpy()

    def steer(self, site: str, change: Float[ndarray, "pair feature"]) -> Float[ndarray, "pair token"]:
        """Log-probabilities of the next token after each prefix, with `change` added at its last position alone."""
        added = torch.from_numpy(change).to(self.weight)
        with changing(self.network, site, lambda x: x + added):
            return self._evaluate(self.patched, self.cache)

    def later(self) -> Float[ndarray, "pair next token"]:
        """Log-probabilities after each token of `following`, for the pairs with room for one more token.

        The prefixes are as in the last call of `steer`; the token itself is evaluated without a change.
        """
        return self._evaluate(self.below, self.cache).reshape(*self.following.shape, self.n_tokens)

    def ablate(
        self, site: str, mean: Float[ndarray, " feature"], basis: Float[ndarray, "rank feature"]
    ) -> Float[ndarray, "pair token"]:
        """Log-probabilities after each prefix, with the activations' component in a subspace replaced by that of their
        mean at all positions (mean ablation); `basis` is an orthonormal basis of the subspace.
        """
        centre, rows = (torch.from_numpy(array).to(self.weight) for array in (mean, basis))
        with changing(self.network, site, lambda x: x - (x - centre) @ rows.T @ rows):
            return self._evaluate(self.above, [cache.clone() for cache in self.cache])[self.place]


def with_ancestors(tree: PrefixTree, prefix: Integer[ndarray, " pair"]) -> Integer[ndarray, " node"]:
    """Some prefixes and their ancestors, each once, in the tree's order."""
    found = [np.unique(prefix)]
    while len(found[-1]):
        above = np.unique(tree.parent[found[-1]])
        found.append(above[above >= 0])
    return np.unique(np.concatenate(found))


def with_patched(
    tree: PrefixTree,
    above: Integer[ndarray, " node"],
    prefix: Integer[ndarray, " pair"],
    has_room: Integer[ndarray, " continued"],
    following: Integer[ndarray, "continued next"],
) -> PrefixTree:
    """The tree of the nodes `above`, then a copy of each prefix, then the continuations of those that have room."""
    place = np.concatenate([np.searchsorted(above, np.arange(len(tree))), [-1]])  # the last is for roots
    below = np.repeat(has_room, following.shape[1])
    return PrefixTree(
        np.concatenate([tree.last_token[above], tree.last_token[prefix], following.ravel()]),
        np.concatenate([place[tree.parent[above]], place[tree.parent[prefix]], len(above) + below]),
        np.concatenate([tree.length[above], tree.length[prefix], tree.length[prefix[below]] + 1]),
    )
