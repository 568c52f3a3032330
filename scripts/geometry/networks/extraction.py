"""Activations and predictions of a network at every prefix of a tree, each computed once."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor

from geometry.networks.hook_points import PREFIXES_AT_ONCE
from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.input_layout import PackedTree, TreeChunk
from geometry.processes.prefix_tree import PrefixTree


def log_probabilities(
    network: HookedNetwork, tree: PrefixTree, n_tokens: int, bos: bool
) -> Float[Tensor, "prefix token"]:
    """The log-probability of the next token after each prefix, in nats."""
    chunks = tree_activations(network, *tree.network_input(n_tokens if bos else None), [], PREFIXES_AT_ONCE, 0)
    return torch.cat([network.log_probability(logits) for _, _, logits in chunks])[int(bos) :, :n_tokens]


def tree_activations(
    network: HookedNetwork,
    tokens: Integer[ndarray, " node"],
    parent: Integer[ndarray, " node"],
    position: Integer[ndarray, " node"],
    sites: list[str],
    nodes_at_once: int,
    n_read: int,
) -> Iterator[tuple[slice, dict[str, Float[Tensor, "node d_model"]], Float[Tensor, "node d_vocab"]]]:
    """Chunks of the tree: their nodes, the activations at each site, and the next-token logits.

    Nodes are in breadth-first order; the first `n_read`, which are not scored, form chunks of their own.
    Memory is that of one chunk plus the cache of all nodes that have continuations.
    """
    device = next(network.parameters()).device
    tokens, parent, position = (torch.from_numpy(array).to(device) for array in (tokens, parent, position))
    tree = PackedTree(parent, position, network.config.n_ctx)
    cache = network.new_cache(max(1, int(parent.max()) + 1))  # such nodes come first; to gather needs a row to point at
    with network.recording(sites) as record:
        starts = [*range(0, n_read, nodes_at_once), *range(n_read, len(tokens), nodes_at_once)]
        for start, stop in zip(starts, [*starts[1:], len(tokens)], strict=True):
            with torch.no_grad():
                logits = network(tokens[start:stop], TreeChunk(tree, cache, start, stop))
            yield slice(start, stop), record, logits
