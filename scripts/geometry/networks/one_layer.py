"""The closed form of a one-layer network at a fixed third token, as a function of the two tokens before it.

The query and the third token's key and value are the same for every input and computed once; scores and values are
computed once for each token instead of each pair; and W_O W_in is precomputed. W_U is applied to the sum of what
attention and neurons write, which for more tokens than d_model costs less than to either of them.
The function is that of `Transformer` at the third position; activations at the first two are not computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from geometry.networks.predictions import log_probability

PAIRS_AT_ONCE = 1024
"""Pairs that are computed together: their activations fit the processor's cache."""

Parameters = Mapping[str, Tensor]
Tokens = Integer[Tensor, " pair"]


@dataclass(frozen=True)
class Activations:
    """The activations at the last token of each sequence (first, second, last)."""

    pattern: Float[Tensor, "3 pair head"]  # the attention to each of the three positions
    neurons: Float[Tensor, "pair d_mlp"]
    logits: Float[Tensor, "pair d_vocab"]


class FoldedWeights(NamedTuple):
    """Products of weights that all pairs share; sources are all tokens in first place, all in second, and the last."""

    score: Float[Tensor, "source head"]
    value: Float[Tensor, "source width"]
    neurons: Float[Tensor, "width d_mlp"]  # from attention-weighted values, as is direct
    neuron_bias: Float[Tensor, " d_mlp"]
    direct: Float[Tensor, "width d_model"]
    output: Float[Tensor, "d_mlp d_model"]
    output_bias: Float[Tensor, " d_model"]
    unembedding: Float[Tensor, "d_model d_vocab"]
    unembedding_bias: Float[Tensor, " d_vocab"]

    def activations(self, first: Tokens, second: Tokens) -> Activations:
        """Attention, neurons and logits at the last token of the sequences (first, second, last)."""
        n_heads, end = self.score.shape[1], len(self.score) - 1
        source = torch.stack([first, second + end // 2, torch.full_like(first, end)])
        pattern = F.embedding(source, self.score).softmax(0)
        value = F.embedding(source, self.value).view(*source.shape, n_heads, -1)
        z = (pattern[..., None] * value).sum(0).flatten(1)
        neurons = torch.addmm(self.neuron_bias, z, self.neurons).relu_()
        resid_post = torch.addmm(torch.addmm(self.output_bias, z, self.direct), neurons, self.output)
        return Activations(pattern, neurons, torch.addmm(self.unembedding_bias, resid_post, self.unembedding))


def fold(parameters: Parameters, last: int) -> FoldedWeights:
    """The folded weights of a network with one block and no LayerNorm, for sequences (first, second, `last`)."""
    p = {name.removeprefix("blocks.0."): parameter for name, parameter in parameters.items()}
    end = p["embed.W_E"][last] + p["pos_embed.W_pos"][2]
    source = torch.cat([*(p["embed.W_E"] + p["pos_embed.W_pos"][place] for place in (0, 1)), end[None]])
    query = (torch.einsum("d,hde->he", end, p["attn.W_Q"]) + p["attn.b_Q"]) / p["attn.W_Q"].shape[2] ** 0.5
    score = source @ torch.einsum("hde,he->dh", p["attn.W_K"], query) + (p["attn.b_K"] * query).sum(1)
    value = source @ p["attn.W_V"].transpose(0, 1).flatten(1) + p["attn.b_V"].flatten()
    W_O, mid = p["attn.W_O"].flatten(0, 1), end + p["attn.b_O"]
    neuron_bias = mid @ p["mlp.W_in"] + p["mlp.b_in"]
    of_neurons, of_output = (W_O @ p["mlp.W_in"], neuron_bias), (W_O, p["mlp.W_out"], mid + p["mlp.b_out"])
    return FoldedWeights(score, value, *of_neurons, *of_output, p["unembed.W_U"], p["unembed.b_U"])


def folded_logits(parameters: Parameters, first: Tokens, second: Tokens, last: int) -> Float[Tensor, "pair d_vocab"]:
    """Next-token logits of the sequences (first, second, last), of a network with one block and no LayerNorm."""
    return fold(parameters, last).activations(first, second).logits


def folded_gradient(
    parameters: Parameters, first: Tokens, second: Tokens, answer: Tokens, last: int, output: str
) -> tuple[Float[Tensor, ""], Float[Tensor, "pair d_vocab"], tuple[Tensor, ...]]:
    """The mean loss on some pairs in nats, the log-probabilities there, and the gradient by each parameter.

    `output` is the function of the logits that is the prediction (`predictions`).

    The gradient by the folded weights is summed over chunks of pairs, then propagated to the parameters once.
    """
    folded = fold(parameters, last)
    leaves = FoldedWeights(*(tensor.detach().requires_grad_() for tensor in folded))
    loss, log_probabilities = 0.0, []
    for chunk in zip(first.split(PAIRS_AT_ONCE), second.split(PAIRS_AT_ONCE), answer.split(PAIRS_AT_ONCE), strict=True):
        predicted = log_probability(leaves.activations(*chunk[:2]).logits, output)
        chunk_loss = F.nll_loss(predicted, chunk[2], reduction="sum") / len(answer)
        chunk_loss.backward()
        loss += chunk_loss.detach()
        log_probabilities.append(predicted.detach())
    gradients = torch.autograd.grad(folded, list(parameters.values()), [leaf.grad for leaf in leaves])
    return loss, torch.cat(log_probabilities), gradients
