"""The loss of a network over a prefix tree and its gradient, derived by hand for the CPU.

`Transformer` with automatic differentiation is the definition and gives the same numbers; this is the
same computation close to the rate of its matrix products. Nodes pass each block in tiles that stay in
the processor's cache, on the way back in reverse: ancestors come before their descendants, so what a
tile needs of others is there when it is its turn. Each product is one call of BLAS; what lies between
two products is one pass of a compiled loop; what the way back needs is kept in the same arrays at each step.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.special import log_softmax
from torch import Tensor

from geometry.networks import cpu_kernels as kernels
from geometry.networks.transformer import EPSILON, Transformer, TransformerConfig

TILE = 1024
"""Nodes that pass a block together: a hidden layer of some hundred units and its gradient fit a core's cache."""


class Normalization:
    """LayerNorm, or nothing in its place."""

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
        """Add to `dx` the gradient before it from that behind it."""
        scale, _ = self.parameters
        if scale is None:
            dx += gradient
        else:
            kernels.normalize_gradient(x, scale, x.dtype.type(EPSILON), gradient, dx, *self.gradients)


class Block:
    """Attention and MLP of one layer; keeps of the way there what the way back needs."""

    def __init__(self, config: TransformerConfig, parameters: dict[str, ndarray], gradients: dict[str, ndarray]):
        self.p, self.g, dtype = parameters, gradients, parameters["attn.W_O"].dtype
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
        self.shapes = [(3 * width,), (3 * width,), (width,), (config.n_heads, config.n_ctx)]
        self.shapes += [(config.d_model,), (config.d_mlp,), (config.d_model,)]
        self.scratch = np.empty((2, TILE, config.d_mlp), dtype)
        self.ones = np.ones(TILE, dtype)
        self.reserve(0)

    def reserve(self, n_nodes: int) -> None:
        self.capacity = n_nodes + n_nodes // 8
        self.kept = [np.empty((self.capacity, *shape), self.b.dtype) for shape in self.shapes]

    def forward(self, x: Float[ndarray, "node d_model"], parent: Integer[ndarray, " node"]):
        """The residual stream behind the block."""
        if len(x) > self.capacity:
            self.reserve(len(x))
        p, self.x = self.p, x
        rows, _, z, pattern, mid, before, out = self.arrays = [array[: len(x)] for array in self.kept]
        for index, letter in enumerate("QKV"):
            self.W[:, index] = p[f"attn.W_{letter}"].transpose(1, 0, 2)
            self.b[index] = p[f"attn.b_{letter}"]
        weight, bias = self.W.reshape(len(self.W), -1), self.b.ravel()
        for tile in tiles(len(x)):
            np.dot(self.ln1.forward(x[tile]), weight, out=rows[tile])
            rows[tile] += bias
            self.attend(rows[tile], rows, z.shape[1], tile.start, parent, pattern[tile], z[tile])
            kernels.add_update(x[tile], z[tile] @ self.W_O, p["attn.b_O"], mid[tile])
            np.dot(self.ln2.forward(mid[tile]), p["mlp.W_in"], out=before[tile])
            hidden = self.hidden(before[tile])
            self.activate(before[tile], p["mlp.b_in"], hidden)
            kernels.add_update(mid[tile], hidden @ p["mlp.W_out"], p["mlp.b_out"], out[tile])
        return out

    def backward(self, parent: Integer[ndarray, " node"], dx: Float[ndarray, "node d_model"]) -> None:
        """Turn the gradient behind the block into that before it, in place, and add those of the parameters."""
        p, g, x = self.p, self.g, self.x
        rows, drows, z, pattern, mid, before, _ = self.arrays
        weight, dweight, dbias = self.W.reshape(len(self.W), -1), self.dW.reshape(len(self.W), -1), self.db.ravel()
        for array in (drows, dweight, dbias):
            array.fill(0)
        for tile in reversed(tiles(len(x))):
            d, hidden, ones = dx[tile], self.hidden(before[tile]), self.ones[: tile.stop - tile.start]
            dhidden = np.dot(d, p["mlp.W_out"].T, out=self.scratch[0, : len(d)])
            self.activate_gradient(before[tile], hidden, dhidden, g["mlp.b_in"])
            g["mlp.W_out"] += hidden.T @ d
            g["mlp.b_out"] += ones @ d
            g["mlp.W_in"] += self.ln2.forward(mid[tile]).T @ dhidden
            self.ln2.backward(mid[tile], dhidden @ p["mlp.W_in"].T, d)
            self.dW_O += z[tile].T @ d
            g["attn.b_O"] += ones @ d
            self.attend_gradient(rows, tile.start, tile.stop, parent, pattern, d @ self.W_O.T, drows)
            dweight += self.ln1.forward(x[tile]).T @ drows[tile]
            dbias += ones @ drows[tile]
            self.ln1.backward(x[tile], drows[tile] @ weight.T, d)
        for index, letter in enumerate("QKV"):
            g[f"attn.W_{letter}"] += self.dW[:, index].transpose(1, 0, 2)
            g[f"attn.b_{letter}"] += self.db[index]

    def hidden(self, before: Float[ndarray, "node d_mlp"]) -> Float[ndarray, "node d_mlp"]:
        """Where the activation function puts its values; ReLU needs no other place than that of its arguments."""
        return before if self.in_place else self.scratch[1, : len(before)]


class TreeGradient:
    """Loss and gradient of one network, whose parameters are read in place at each call."""

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
        self.ln_final = Normalization(*(below("ln_final", arrays) for arrays in both))

    def __call__(
        self,
        tokens: Integer[ndarray, " node"],
        parent: Integer[ndarray, " node"],
        position: Integer[ndarray, " node"],
        target: Float[ndarray, "node token"],
    ) -> tuple[float, Float[ndarray, "node token"], Float[ndarray, " parameter"]]:
        """The cross entropy of `target`, the log-probabilities of its tokens, and the gradient.

        The gradient of all parameters in their order is overwritten by the next call.
        """
        p, g, n_tokens = self.parameters, self.gradients, target.shape[1]
        target = target.astype(self.vector.dtype)
        self.vector.fill(0)
        x = p["embed.W_E"][tokens]
        x += p["pos_embed.W_pos"][position]
        for block in self.blocks:
            x = block.forward(x, parent)
        normal = self.ln_final.forward(x)
        log_probability = log_softmax(normal @ p["unembed.W_U"] + p["unembed.b_U"], axis=1)
        dlogits = np.exp(log_probability) * target.sum(axis=1, keepdims=True)
        dlogits[:, :n_tokens] -= target
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
    """The arrays of a module of that name, by the rest of their names."""
    return {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}


def tiles(n: int) -> list[slice]:
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def cut(vectors: Float[ndarray | Tensor, "*vector parameter"], like: Iterable) -> Iterator[ndarray | Tensor]:
    """Vectors of all parameters, cut into parts that have the shapes of some arrays; views where it can be."""
    start = 0
    for array in like:
        end = start + math.prod(array.shape)
        yield vectors[..., start:end].reshape(*vectors.shape[:-1], *array.shape)
        start = end
