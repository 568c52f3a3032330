"""Activations of a network at its hook points, on every prefix of a tree, each computed once."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor

from geometry.transformer import KeyValueCache, Transformer


@torch.no_grad()
def tree_activations(
    network: Transformer,
    tokens: Integer[ndarray, " node"],
    ancestors: Integer[ndarray, "node position"],
    sites: list[str],
    nodes_at_once: int,
) -> Iterator[tuple[slice, dict[str, Float[Tensor, "node d_model"]], Float[Tensor, "node d_vocab"]]]:
    """The nodes in pieces: which, their activations at each site, and their next-token logits.

    Nodes come in breadth-first order, so the keys and values that a piece attends to are in the
    cache or in the piece itself. Memory is that of one piece, plus the keys and values of all nodes
    that have continuations.
    """
    device = next(network.parameters()).device
    width = 2 * network.config.n_heads * network.config.d_head
    n_inner = int(ancestors[:, :-1].max(initial=-1)) + 1  # nodes that others attend to; they come first
    caches = [KeyValueCache(n_inner, width, device) for _ in network.blocks]
    with network.recording(sites) as record:
        for start in range(0, len(tokens), nodes_at_once):
            piece = slice(start, min(start + nodes_at_once, len(tokens)))
            path = ancestors[piece]
            path = np.where(path >= start, path - start + min(start, n_inner), path)
            inputs = (torch.from_numpy(array).to(device) for array in (tokens[piece], path))
            logits = network(*inputs, caches)
            yield piece, record, logits
