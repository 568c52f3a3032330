"""A one-layer network that is asked at one token and position only, as a function of the two tokens before it.

The query, the attention to the last token and its value are then the same for every input, so they are
computed once; scores and values are computed once for each token in place of each pair; and the products
of weights that meet without a nonlinearity between them (W_O W_in, W_O W_U, W_out W_U) are taken beforehand.
It is the same function as `Transformer` with its activations at the first two positions left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

TILE = 1024
"""Pairs whose gradient is computed at once: their activations stay in the cache."""

Parameters = Mapping[str, Tensor]
Pairs = Integer[Tensor, " pair"]


@dataclass(frozen=True)
class Activations:
    """What the network does at the last token of each word."""

    pattern: Float[Tensor, "3 pair head"]  # the attention to each of the three positions
    neurons: Float[Tensor, "pair d_mlp"]
    logits: Float[Tensor, "pair d_vocab"]


class FoldedWeights(NamedTuple):
    """The network as products that no pair changes; sources are each token in first place, each in second, the last."""

    score: Float[Tensor, "source head"]
    value: Float[Tensor, "source width"]
    neurons: Float[Tensor, "width d_mlp"]  # from what attention mixes, as is direct
    neuron_bias: Float[Tensor, " d_mlp"]
    direct: Float[Tensor, "width d_vocab"]
    output: Float[Tensor, "d_mlp d_vocab"]
    output_bias: Float[Tensor, " d_vocab"]

    def activations(self, first: Pairs, second: Pairs) -> Activations:
        """Attention, neurons and logits behind the words (first, second, last)."""
        n_heads, end = self.score.shape[1], len(self.score) - 1
        source = torch.stack([first, second + end // 2, torch.full_like(first, end)])
        pattern = F.embedding(source, self.score).softmax(0)
        value = F.embedding(source, self.value).view(*source.shape, n_heads, -1)
        z = (pattern[..., None] * value).sum(0).flatten(1)
        neurons = torch.addmm(self.neuron_bias, z, self.neurons).relu()
        return Activations(pattern, neurons, torch.addmm(self.output_bias, z, self.direct) + neurons @ self.output)


def fold(parameters: Parameters, last: int) -> FoldedWeights:
    """A network with one block and no LayerNorm, asked at the token `last` behind two others."""
    p = {name.removeprefix("blocks.0."): parameter for name, parameter in parameters.items()}
    end = p["embed.W_E"][last] + p["pos_embed.W_pos"][2]
    source = torch.cat([*(p["embed.W_E"] + p["pos_embed.W_pos"][place] for place in (0, 1)), end[None]])
    query = (torch.einsum("d,hde->he", end, p["attn.W_Q"]) + p["attn.b_Q"]) / p["attn.W_Q"].shape[2] ** 0.5
    score = source @ torch.einsum("hde,he->dh", p["attn.W_K"], query) + (p["attn.b_K"] * query).sum(1)
    value = source @ p["attn.W_V"].transpose(0, 1).flatten(1) + p["attn.b_V"].flatten()
    W_O, mid = p["attn.W_O"].flatten(0, 1), end + p["attn.b_O"]
    neuron_bias = mid @ p["mlp.W_in"] + p["mlp.b_in"]
    output_bias = (mid + p["mlp.b_out"]) @ p["unembed.W_U"] + p["unembed.b_U"]
    direct, output = W_O @ p["unembed.W_U"], p["mlp.W_out"] @ p["unembed.W_U"]
    return FoldedWeights(score, value, W_O @ p["mlp.W_in"], neuron_bias, direct, output, output_bias)


def folded_logits(parameters: Parameters, first: Pairs, second: Pairs, last: int) -> Float[Tensor, "pair d_vocab"]:
    """Next-token logits behind the words (first, second, last), of a network with one block and no LayerNorm."""
    return fold(parameters, last).activations(first, second).logits


def folded_gradient(
    parameters: Parameters, first: Pairs, second: Pairs, answer: Pairs, last: int
) -> tuple[Float[Tensor, ""], Float[Tensor, "pair d_vocab"], tuple[Tensor, ...]]:
    """The mean loss on some pairs, the log-probabilities there, and the gradient by each parameter.

    Pairs pass in tiles down to what is folded, whose gradients are added up and taken to the parameters at once.
    """
    folded = fold(parameters, last)
    leaves = FoldedWeights(*(tensor.detach().requires_grad_() for tensor in folded))
    loss, log_probabilities = 0.0, []
    for tile in zip(first.split(TILE), second.split(TILE), answer.split(TILE), strict=True):
        log_probability = leaves.activations(*tile[:2]).logits.log_softmax(1)
        of_tile = F.nll_loss(log_probability, tile[2], reduction="sum") / len(answer)
        of_tile.backward()
        loss += of_tile.detach()
        log_probabilities.append(log_probability.detach())
    gradients = torch.autograd.grad(folded, list(parameters.values()), [leaf.grad for leaf in leaves])
    return loss, torch.cat(log_probabilities), gradients
