"""The first attention of a transformer, whose input depends on a token and its position alone.

So its scores and what its heads write are tables over tokens and positions. The attention pattern of any prefix is
gathered from them, and no prefix needs to be run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.networks.transformer import Transformer
from geometry.processes.prefix_tree import PrefixTree


@dataclass(frozen=True)
class FirstAttention:
    """Queries, keys, and what each head writes if it attends to one token alone, without the bias of the output."""

    query: Float[ndarray, "position token head feature"]
    key: Float[ndarray, "position token head feature"]
    written: Float[ndarray, "position token head d_model"]

    def scores(self, position: int) -> Float[ndarray, "query_token key_position key_token head"]:
        """The logits of the attention from a position to itself and those before it."""
        products = np.einsum("qhf,skhf->qskh", self.query[position], self.key[: position + 1])
        return products / np.sqrt(self.key.shape[-1])


def first_attention(network: Transformer) -> FirstAttention:
    """The tables of a network's first attention, with LayerNorm as the network applies it."""
    block, heads = network.blocks[0], network.blocks[0].attn
    with torch.no_grad():
        embedded = network.embed.W_E + network.pos_embed.W_pos[:, None]
        x = block.ln1(embedded.flatten(0, 1)).view_as(embedded)
        query, key, value = (
            torch.einsum("pzm,hmf->pzhf", x, weight) + bias
            for weight, bias in ((heads.W_Q, heads.b_Q), (heads.W_K, heads.b_K), (heads.W_V, heads.b_V))
        )
        written = torch.einsum("pzhf,hfm->pzhm", value, heads.W_O)
    return FirstAttention(*(table.double().cpu().numpy() for table in (query, key, written)))


def branches(tree: PrefixTree, bos_token: int | None) -> Iterator[Integer[ndarray, "prefix key"]]:
    """The tokens of the prefixes of each length from 1 on, behind a beginning-of-sequence token if there is one."""
    above = np.full((1, 0 if bos_token is None else 1), bos_token or 0)
    start = -1
    for level in tree.levels:
        above = np.hstack([above[tree.parent[level] - start], tree.last_token[level][:, None]])
        start = level.start
        yield above


def patterns(attention: FirstAttention, tokens: Integer[ndarray, "prefix key"]) -> Float[ndarray, "prefix key head"]:
    """The attention of the last position of some prefixes of one length to each of their tokens."""
    last = tokens.shape[1] - 1
    scores = attention.scores(last)[tokens[:, -1:], np.arange(last + 1), tokens]
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
