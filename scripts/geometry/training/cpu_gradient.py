"""The loss of a transformer over a prefix tree and its gradient, derived by hand for the CPU.

`Transformer` with automatic differentiation is the definition and gives the same numbers; this is the
same computation close to the rate of its matrix products. Nodes pass each block in tiles that fit in
the processor's cache, in reverse order in the backward pass: ancestors come before their descendants, so all that a
tile needs of other tiles is computed before it. Each matrix product is one call of BLAS, the operations between
two products are one pass of a compiled loop (`networks.cpu_kernels`), as are attention and its gradient
(`branch_attention` there), and the backward pass reads the forward pass's intermediate results from
the same arrays at each step.

Shapes: n nodes, h heads, e = d_head, m = d_mlp, d = d_model. A gradient of the loss by x is named dx.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.special import log_softmax
from torch import Tensor

from geometry.networks import cpu_kernels as kernels
from geometry.networks.predictions import softmax_logits, softmax_logits_slope
from geometry.networks.transformer import EPSILON, Transformer, TransformerConfig

TILE = 1024
"""Nodes that pass a block together: a hidden layer of some hundred units and its gradient fit a core's cache."""


class Normalization:
    """LayerNorm, or the identity where the network has none."""

    def __init__(self, parameters: dict[str, ndarray], gradients: dict[str, ndarray]):
        self.parameters = parameters.get("w"), parameters.get("b")
        self.gradients = gradients.get("w"), gradients.get("b")

    def forward(self, x: Float[ndarray, "node d_model"]) -> Float[ndarray, "node d_model"]:
        scale, shift = self.parameters
        if scale is None:
            return x
        out = np.empty_like(x)
        kernels.normalize(x, scale, shift, x.dtype.type(EPSILON), out)
        return out

    def backward(self, x, gradient: Float[ndarray, "node d_model"], dx: Float[ndarray, "node d_model"]) -> None:
        """Add to `dx` the gradient by the input, given the `gradient` by the output."""
        scale, _ = self.parameters
        if scale is None:
            dx += gradient
        else:
            kernels.normalize_gradient(x, scale, x.dtype.type(EPSILON), gradient, dx, *self.gradients)


@dataclass(frozen=True)
class Scratch:
    """Intermediate results of one block's forward pass, and the one gradient that the backward pass accumulates."""

    qkv: Float[ndarray, "node three_width"]  # queries, keys and values, each head by head
    dqkv: Float[ndarray, "node three_width"]
    z: Float[ndarray, "node width"]  # values, weighted by the attention pattern
    pattern: Float[ndarray, "node head n_ctx"]  # attention to the ancestor so many steps above
    resid_mid: Float[ndarray, "node d_model"]
    mlp_pre: Float[ndarray, "node d_mlp"]  # before the activation function; ReLU overwrites it by its values
    resid_post: Float[ndarray, "node d_model"]

    @classmethod
    def reserve(cls, n_nodes: int, config: TransformerConfig, dtype: np.dtype) -> "Scratch":
        """Uninitialised memory for so many nodes."""
        width = config.n_heads * config.d_head
        shapes = {
            "qkv": (3 * width,),
            "dqkv": (3 * width,),
            "z": (width,),
            "pattern": (config.n_heads, config.n_ctx),
            "resid_mid": (config.d_model,),
            "mlp_pre": (config.d_mlp,),
            "resid_post": (config.d_model,),
        }
        return cls(**{name: np.empty((n_nodes, *shape), dtype) for name, shape in shapes.items()})

    def first(self, n_nodes: int) -> "Scratch":
        """Views of the first nodes."""
        return Scratch(**{name: array[:n_nodes] for name, array in vars(self).items()})


class Block:
    """Attention and MLP of one layer; the forward pass leaves in `scratch` what the backward pass reads."""

    def __init__(self, config: TransformerConfig, parameters: dict[str, ndarray], gradients: dict[str, ndarray]):
        self.config, self.p, self.g, dtype = config, parameters, gradients, parameters["attn.W_O"].dtype
        self.ln1, self.ln2 = (Normalization(below(name, parameters), below(name, gradients)) for name in ("ln1", "ln2"))
        self.attend, self.attend_gradient = kernels.branch_attention(config.n_heads, config.d_head)
        self.activate = {"relu": kernels.relu, "gelu": kernels.gelu}[config.activation]
        self.activate_gradient = {"relu": kernels.relu_gradient, "gelu": kernels.gelu_gradient}[config.activation]
        self.in_place = config.activation == "relu"
        width = config.n_heads * config.d_head
        # Queries, keys and values side by side; the products with W_O take heads and their entries as one axis.
        self.W, self.dW = (np.empty((config.d_model, 3, config.n_heads, config.d_head), dtype) for _ in range(2))
        self.b, self.db = (np.empty((3, config.n_heads, config.d_head), dtype) for _ in range(2))
        self.W_O, self.dW_O = (arrays["attn.W_O"].reshape(width, -1) for arrays in (parameters, gradients))
        self.mlp_scratch = np.empty((2, TILE, config.d_mlp), dtype)
        self.ones = np.ones(TILE, dtype)
        self.reserved = Scratch.reserve(0, config, dtype)

    def forward(
        self, x: Float[ndarray, "node d_model"], parent: Integer[ndarray, " node"]
    ) -> Float[ndarray, "node d_model"]:
        """The residual stream after the block."""
        if len(x) > len(self.reserved.qkv):
            self.reserved = Scratch.reserve(len(x) + len(x) // 8, self.config, self.b.dtype)
        p, self.x, self.scratch = self.p, x, self.reserved.first(len(x))
        s = self.scratch
        for index, letter in enumerate("QKV"):
            self.W[:, index] = p[f"attn.W_{letter}"].transpose(1, 0, 2)
            self.b[index] = p[f"attn.b_{letter}"]
        W_QKV, b_QKV = self.W.reshape(len(self.W), -1), self.b.ravel()  # (d, 3 h e), (3 h e)
        for tile in tiles(len(x)):
            np.dot(self.ln1.forward(x[tile]), W_QKV, out=s.qkv[tile])  # (n, d) (d, 3 h e) -> (n, 3 h e)
            s.qkv[tile] += b_QKV
            self.attend(s.qkv[tile], s.qkv, s.z.shape[1], tile.start, parent, s.pattern[tile], s.z[tile])
            kernels.add_update(x[tile], s.z[tile] @ self.W_O, p["attn.b_O"], s.resid_mid[tile])  # (n, h e) (h e, d)
            np.dot(self.ln2.forward(s.resid_mid[tile]), p["mlp.W_in"], out=s.mlp_pre[tile])  # (n, d) (d, m) -> (n, m)
            mlp_post = self.mlp_post(s.mlp_pre[tile])
            self.activate(s.mlp_pre[tile], p["mlp.b_in"], mlp_post)
            mlp_out = mlp_post @ p["mlp.W_out"]  # (n, m) (m, d) -> (n, d)
            kernels.add_update(s.resid_mid[tile], mlp_out, p["mlp.b_out"], s.resid_post[tile])
        return s.resid_post

    def backward(self, parent: Integer[ndarray, " node"], dx: Float[ndarray, "node d_model"]) -> None:
        """Replace the gradient by the block's output, in place, by that by its input; add those by the parameters."""
        p, g, x, s = self.p, self.g, self.x, self.scratch
        W_QKV, dW_QKV, db_QKV = self.W.reshape(len(self.W), -1), self.dW.reshape(len(self.W), -1), self.db.ravel()
        for array in (s.dqkv, dW_QKV, db_QKV):
            array.fill(0)
        for tile in reversed(tiles(len(x))):
            d, mlp_post, ones = dx[tile], self.mlp_post(s.mlp_pre[tile]), self.ones[: tile.stop - tile.start]
            dmlp = np.dot(d, p["mlp.W_out"].T, out=self.mlp_scratch[0, : len(d)])  # (n, d) (d, m) -> (n, m)
            self.activate_gradient(s.mlp_pre[tile], mlp_post, dmlp, g["mlp.b_in"])
            g["mlp.W_out"] += mlp_post.T @ d  # (m, n) (n, d) -> (m, d)
            g["mlp.b_out"] += ones @ d
            g["mlp.W_in"] += self.ln2.forward(s.resid_mid[tile]).T @ dmlp  # (d, n) (n, m) -> (d, m)
            self.ln2.backward(s.resid_mid[tile], dmlp @ p["mlp.W_in"].T, d)
            self.dW_O += s.z[tile].T @ d  # (h e, n) (n, d) -> (h e, d)
            g["attn.b_O"] += ones @ d
            dz = d @ self.W_O.T  # (n, d) (d, h e) -> (n, h e)
            self.attend_gradient(s.qkv, tile.start, tile.stop, parent, s.pattern, dz, s.dqkv)
            dW_QKV += self.ln1.forward(x[tile]).T @ s.dqkv[tile]  # (d, n) (n, 3 h e) -> (d, 3 h e)
            db_QKV += ones @ s.dqkv[tile]
            self.ln1.backward(x[tile], s.dqkv[tile] @ W_QKV.T, d)
        for index, letter in enumerate("QKV"):
            g[f"attn.W_{letter}"] += self.dW[:, index].transpose(1, 0, 2)  # (d, h, e) -> (h, d, e)
            g[f"attn.b_{letter}"] += self.db[index]

    def mlp_post(self, mlp_pre: Float[ndarray, "node d_mlp"]) -> Float[ndarray, "node d_mlp"]:
        """The memory for the values of the activation function; ReLU writes them in place of its arguments."""
        return mlp_pre if self.in_place else self.mlp_scratch[1, : len(mlp_pre)]


class TreeGradient:
    """The loss and gradient of one network, whose parameters are read in place at each call."""

    def __init__(self, model: Transformer):
        self.parameters = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
        dtype = self.parameters["embed.W_E"].dtype
        self.vector = np.empty(sum(p.size for p in self.parameters.values()), dtype)
        self.gradients = dict(zip(self.parameters, cut(self.vector, self.parameters.values()), strict=True))
        both = self.parameters, self.gradients
        self.blocks = [
            Block(model.config, *(below(f"blocks.{layer}", arrays) for arrays in both))
            for layer in range(model.config.n_layers)
        ]
        self.output = model.config.output
        self.ln_final = Normalization(*(below("ln_final", arrays) for arrays in both))

    def __call__(
        self,
        tokens: Integer[ndarray, " node"],
        parent: Integer[ndarray, " node"],
        position: Integer[ndarray, " node"],
        target: Float[ndarray, "node token"],
    ) -> tuple[float, Float[ndarray, "node token"], Float[ndarray, " parameter"]]:
        """The cross entropy of `target` in nats, the log-probabilities of its tokens, and the gradient.

        The gradient, of all parameters in their order, is overwritten by the next call.
        """
        p, g, n_tokens = self.parameters, self.gradients, target.shape[1]
        target = target.astype(self.vector.dtype)
        self.vector.fill(0)
        x = p["embed.W_E"][tokens]  # (n, d)
        x += p["pos_embed.W_pos"][position]
        for block in self.blocks:
            x = block.forward(x, parent)
        normal = self.ln_final.forward(x)
        logits = normal @ p["unembed.W_U"] + p["unembed.b_U"]  # (n, d_vocab)
        log_probability = log_softmax(softmax_logits(logits, self.output), axis=1)
        dlogits = np.exp(log_probability) * target.sum(axis=1, keepdims=True)
        dlogits[:, :n_tokens] -= target
        dlogits = (dlogits * softmax_logits_slope(logits, self.output)).astype(logits.dtype, copy=False)
        loss = -float(np.vdot(target, log_probability[:, :n_tokens]))
        g["unembed.W_U"] += normal.T @ dlogits
        g["unembed.b_U"] += dlogits.sum(axis=0)
        dx = np.zeros_like(x)
        self.ln_final.backward(x, dlogits @ p["unembed.W_U"].T, dx)
        for block in reversed(self.blocks):
            block.backward(parent, dx)
        kernels.add_rows(dx, tokens, g["embed.W_E"])
        kernels.add_rows(dx, position, g["pos_embed.W_pos"])
        return loss, log_probability[:, :n_tokens], self.vector


def below(name: str, arrays: dict[str, ndarray]) -> dict[str, ndarray]:
    """The arrays of the submodule `name`, by their names within it."""
    return {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}


def tiles(n: int) -> list[slice]:
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def cut(vectors: Float[ndarray | Tensor, "*vector parameter"], like: Iterable) -> Iterator[ndarray | Tensor]:
    """Vectors of all parameters, cut into parts of the shapes of the arrays in `like`; views where possible."""
    start = 0
    for array in like:
        end = start + math.prod(array.shape)
        yield vectors[..., start:end].reshape(*vectors.shape[:-1], *array.shape)
        start = end
