"""A decoder-only transformer over a prefix tree: each distinct prefix is computed once.

The architecture is the published one (pre-LayerNorm, learned positions; Shai et al. 2024) with
TransformerLens's names of parameters (``blocks.0.attn.W_Q``) and hook points (``blocks.0.hook_resid_post``).

Only the form of the input differs. A batch is a set of nodes; `layout` defines the nodes that each node attends to:
its ancestors in a tree, or the positions before it in a dense sequence.
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional as F

from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.input_layout import InputLayout

EPSILON = 1e-5
"""The constant that LayerNorm adds to the variance."""


ACTIVATIONS = {
    "relu": F.relu_,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),  # TransformerLens has it as gelu_fast and gelu_pytorch_tanh too
    "silu": F.silu,
    "solu": lambda x: x * F.softmax(x, dim=-1),
}
"""Activation functions by TransformerLens's names; only the first two are trained here."""


@dataclass(frozen=True)
class TransformerConfig:
    """The sizes and options of a transformer; names as in TransformerLens."""

    d_vocab: int
    n_ctx: int
    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_mlp: int  # 0 of attention alone
    activation: str  # a key of ACTIVATIONS
    normalization: str  # LN or none
    biases: str = "all"  # that are trained: all, or mlp; the others stay 0
    output: str = "softmax"  # of the logits that is the prediction, or stablemax


class LayerNorm(nn.Module):
    def __init__(self, d_model: int):
        super().__init__()
        self.w = nn.Parameter(torch.ones(d_model))
        self.b = nn.Parameter(torch.zeros(d_model))
        self.hook_normalized = nn.Identity()

    def forward(self, x: Float[Tensor, "node d_model"]) -> Float[Tensor, "node d_model"]:
        return self.hook_normalized(F.layer_norm(x, x.shape[-1:], self.w, self.b, eps=EPSILON))


class Attention(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        shape = config.n_heads, config.d_model, config.d_head
        self.W_Q, self.W_K, self.W_V = (nn.Parameter(torch.empty(shape)) for _ in range(3))
        self.W_O = nn.Parameter(torch.empty(config.n_heads, config.d_head, config.d_model))
        self.b_Q, self.b_K, self.b_V = (nn.Parameter(torch.zeros(config.n_heads, config.d_head)) for _ in range(3))
        self.b_O = nn.Parameter(torch.zeros(config.d_model))

    def forward(
        self, x: Float[Tensor, "node d_model"], layout: InputLayout, layer: int
    ) -> Float[Tensor, "node d_model"]:
        n_heads, d_model, _ = self.W_Q.shape
        weight = torch.cat([self.W_Q, self.W_K, self.W_V]).transpose(0, 1).reshape(d_model, -1)
        bias = torch.cat([self.b_Q, self.b_K, self.b_V]).flatten()
        z = layout.attend(layer, torch.addmm(bias, x, weight), n_heads)
        return torch.addmm(self.b_O, z, self.W_O.flatten(0, 1))


class MLP(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.W_in = nn.Parameter(torch.empty(config.d_model, config.d_mlp))
        self.b_in = nn.Parameter(torch.zeros(config.d_mlp))
        self.W_out = nn.Parameter(torch.empty(config.d_mlp, config.d_model))
        self.b_out = nn.Parameter(torch.zeros(config.d_model))
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x: Float[Tensor, "node d_model"]) -> Float[Tensor, "node d_model"]:
        return torch.addmm(self.b_out, self.activation(torch.addmm(self.b_in, x, self.W_in)), self.W_out)


def normalization(config: TransformerConfig) -> nn.Module:
    return LayerNorm(config.d_model) if config.normalization == "LN" else nn.Identity()


class Block(nn.Module):
    """Attention, then an MLP; or attention alone."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.ln1, self.attn = normalization(config), Attention(config)
        self.hook_resid_pre, self.hook_attn_out, self.hook_resid_post = (nn.Identity() for _ in range(3))
        self.has_mlp = config.d_mlp > 0
        if self.has_mlp:
            self.ln2, self.mlp = normalization(config), MLP(config)
            self.hook_resid_mid, self.hook_mlp_out = nn.Identity(), nn.Identity()

    def forward(
        self, x: Float[Tensor, "node d_model"], layout: InputLayout, layer: int
    ) -> Float[Tensor, "node d_model"]:
        x = self.hook_resid_pre(x)
        x = x + self.hook_attn_out(self.attn(self.ln1(x), layout, layer))
        if self.has_mlp:
            x = self.hook_resid_mid(x)
            x = x + self.hook_mlp_out(self.mlp(self.ln2(x)))
        return self.hook_resid_post(x)


class Embedding(nn.Module):
    def __init__(self, d_vocab: int, d_model: int):
        super().__init__()
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model))


class PositionEmbedding(nn.Module):
    def __init__(self, n_ctx: int, d_model: int):
        super().__init__()
        self.W_pos = nn.Parameter(torch.empty(n_ctx, d_model))


class Unembedding(nn.Module):
    def __init__(self, d_model: int, d_vocab: int):
        super().__init__()
        self.W_U = nn.Parameter(torch.empty(d_model, d_vocab))
        self.b_U = nn.Parameter(torch.zeros(d_vocab))


class Transformer(HookedNetwork):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        self.embed = Embedding(config.d_vocab, config.d_model)
        self.pos_embed = PositionEmbedding(config.n_ctx, config.d_model)
        self.hook_embed, self.hook_pos_embed = nn.Identity(), nn.Identity()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.ln_final = normalization(config)
        self.unembed = Unembedding(config.d_model, config.d_vocab)
        self.cache_width = 2 * config.n_heads * config.d_head  # keys and values

    def initialize(self, generator: torch.Generator) -> None:
        """Weights are normal with standard deviation 0.8 / sqrt(d_model), as in TransformerLens; biases stay 0."""
        for name, parameter in self.named_parameters():
            if ".W_" in name:
                nn.init.normal_(parameter, std=0.8 / self.config.d_model**0.5, generator=generator)

    def trains(self, name: str) -> bool:
        """True if the optimiser updates the parameter."""
        return self.config.biases == "all" or ".b_" not in name or ".mlp." in name

    def forward(self, tokens: Integer[Tensor, " node"], layout: InputLayout) -> Float[Tensor, "node d_vocab"]:
        """Next-token logits after each node's prefix."""
        x = self.hook_embed(F.embedding(tokens, self.embed.W_E))
        x = x + self.hook_pos_embed(F.embedding(layout.position, self.pos_embed.W_pos))
        for layer, block in enumerate(self.blocks):
            x = block(x, layout, layer)
        return torch.addmm(self.unembed.b_U, self.ln_final(x), self.unembed.W_U)
