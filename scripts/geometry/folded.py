"""A one-layer network that is asked at one token and position only, as a function of the two tokens before it.

The query, the attention to the last token and its value are then the same for every input, so they are
computed once; scores and values are computed once for each token in place of each pair; and the products
of weights that meet without a nonlinearity between them (W_O W_in, W_O W_U, W_out W_U) are taken beforehand.
It is the same function as `Transformer` with its activations at the first two positions left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Activations:
    """What the network does at the last token of each word."""

    pattern: Float[Tensor, "3 pair head"]  # the attention to each of the three positions
    neurons: Float[Tensor, "pair d_mlp"]
    logits: Float[Tensor, "pair d_vocab"]


def folded_activations(
    parameters: Mapping[str, Tensor], first: Integer[Tensor, " pair"], second: Integer[Tensor, " pair"], last: int
) -> Activations:
    """Attention, neurons and logits behind the words (first, second, last), with one block and no LayerNorm."""
    p = {name.removeprefix("blocks.0."): parameter for name, parameter in parameters.items()}
    n_heads, _, d_head = p["attn.W_Q"].shape
    stream = [p["embed.W_E"] + p["pos_embed.W_pos"][place] for place in (0, 1)]
    end = p["embed.W_E"][last] + p["pos_embed.W_pos"][2]
    query = (torch.einsum("d,hde->he", end, p["attn.W_Q"]) + p["attn.b_Q"]) / d_head**0.5
    reader = torch.einsum("hde,he->dh", p["attn.W_K"], query)
    offset = (p["attn.b_K"] * query).sum(1)
    W_V = p["attn.W_V"].transpose(0, 1).flatten(1)
    W_O = p["attn.W_O"].flatten(0, 1)

    places = (first, second, torch.zeros_like(first))
    sources = (*stream, end[None])
    scores = torch.stack([F.embedding(at, x @ reader + offset) for at, x in zip(places, sources, strict=True)])
    pattern = scores.softmax(0)
    values = (F.embedding(at, x @ W_V).view(-1, n_heads, d_head) for at, x in zip(places, sources, strict=True))
    z = sum(weight[..., None] * value for weight, value in zip(pattern, values, strict=True)).flatten(1)
    z = z + p["attn.b_V"].flatten()

    mid = end + p["attn.b_O"]
    neurons = torch.addmm(mid @ p["mlp.W_in"] + p["mlp.b_in"], z, W_O @ p["mlp.W_in"]).relu()
    bias = (mid + p["mlp.b_out"]) @ p["unembed.W_U"] + p["unembed.b_U"]
    logits = torch.addmm(bias, z, W_O @ p["unembed.W_U"]) + neurons @ (p["mlp.W_out"] @ p["unembed.W_U"])
    return Activations(pattern, neurons, logits)


def folded_logits(
    parameters: Mapping[str, Tensor], first: Integer[Tensor, " pair"], second: Integer[Tensor, " pair"], last: int
) -> Float[Tensor, "pair d_vocab"]:
    """Next-token logits behind the words (first, second, last), of a network with one block and no LayerNorm."""
    return folded_activations(parameters, first, second, last).logits
