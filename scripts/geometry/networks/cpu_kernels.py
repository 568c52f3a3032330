"""Loops of the network and its gradient on the CPU that are inefficient as array operations, compiled by Numba.

Attention along the branches of a tree: gathering every ancestor's key and value costs several times as much as
the arithmetic; `branch_attention` walks from each node up to its root instead. The operations between
two matrix products are one pass over the data each, where array operations would make several.

Sums run in one order on one thread, so equal inputs give equal bytes, on processors of two makers too: divisions and
roots are exact ones, not estimates (`arcp`, `afn`), which each maker tabulates for itself.
"""

import math
import os
from functools import cache, partial
from pathlib import Path

import numba
import numpy as np

# Compiled once for a processor and a version of this file, and stored with Python's bytecode.
compiled = partial(numba.njit, cache=os.access(Path(__file__).parent, os.W_OK))

FAST = {"nnan", "ninf", "nsz", "reassoc", "contract"}
"""The flags of ``fastmath=True`` but those of estimates."""


@cache
def branch_attention(n_heads: int, d_head: int):
    """The compiled functions (forward, gradient) for heads of this number and size, over which loops are unrolled.

    A row of ``qkv`` holds a node's query, key and value side by side; ``pattern[n, h, p]`` is the attention of row n
    to the ancestor p steps above it. In `forward`, row n is node ``start + n``, and its ancestors' keys are
    in `keys_values` from column `first` on, followed by their values; in `gradient`, the rows are all nodes.
    """
    width = n_heads * d_head

    def forward(qkv, keys_values, first, start, parent, pattern, z):
        zero = qkv.dtype.type(0)
        scale = qkv.dtype.type(1 / np.sqrt(d_head))
        ancestors = np.empty(pattern.shape[2], np.int64)
        for n in range(len(qkv)):
            depth = 0
            ancestor = parent[start + n]
            while ancestor >= 0:
                ancestors[depth] = ancestor
                depth += 1
                ancestor = parent[ancestor]
            for h in range(n_heads):
                q, k, v = h * d_head, width + h * d_head, 2 * width + h * d_head
                score = zero
                for d in range(d_head):
                    score += qkv[n, q + d] * qkv[n, k + d]
                pattern[n, h, 0] = largest = score * scale
                for p in range(depth):
                    score = zero
                    for d in range(d_head):
                        score += qkv[n, q + d] * keys_values[ancestors[p], first + q + d]
                    score *= scale
                    pattern[n, h, p + 1] = score
                    largest = max(largest, score)
                total = zero
                for p in range(depth + 1):
                    pattern[n, h, p] = np.exp(pattern[n, h, p] - largest)
                    total += pattern[n, h, p]
                pattern[n, h, 0] /= total
                for d in range(d_head):
                    z[n, q + d] = pattern[n, h, 0] * qkv[n, v + d]
                for p in range(depth):
                    pattern[n, h, p + 1] /= total
                    for d in range(d_head):
                        z[n, q + d] += pattern[n, h, p + 1] * keys_values[ancestors[p], first + k + d]

    def gradient(qkv, start, stop, parent, pattern, dz, dqkv):
        """Add to `dqkv`, of all nodes, the contributions of nodes `start` to `stop`, whose gradient by z is `dz`."""
        zero = qkv.dtype.type(0)
        scale = qkv.dtype.type(1 / np.sqrt(d_head))
        dpattern = np.empty(pattern.shape[2], qkv.dtype)
        for n in range(start, stop):
            for h in range(n_heads):
                q, k, v = h * d_head, width + h * d_head, 2 * width + h * d_head
                mean = zero
                ancestor, p = n, 0
                while ancestor >= 0:
                    weight, product = pattern[n, h, p], zero
                    for d in range(d_head):
                        product += dz[n - start, q + d] * qkv[ancestor, v + d]
                        dqkv[ancestor, v + d] += weight * dz[n - start, q + d]
                    dpattern[p] = product
                    mean += weight * product
                    ancestor, p = parent[ancestor], p + 1
                ancestor, p = n, 0
                while ancestor >= 0:
                    dscore = pattern[n, h, p] * (dpattern[p] - mean) * scale
                    for d in range(d_head):
                        dqkv[n, q + d] += dscore * qkv[ancestor, k + d]
                        dqkv[ancestor, k + d] += dscore * qkv[n, q + d]
                    ancestor, p = parent[ancestor], p + 1

    for function in (forward, gradient):  # a file of its own for each shape, as jobs compile several at once
        function.__qualname__ += f"_{n_heads}_{d_head}"
    return compiled(fastmath=FAST)(forward), compiled(fastmath=FAST)(gradient)


@compiled(fastmath=FAST)
def add_update(x, update, bias, out):
    """``x + update + bias``."""
    for n in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[n, j] = x[n, j] + update[n, j] + bias[j]


@compiled(fastmath=FAST)
def normalize(x, scale, shift, epsilon, out):
    """LayerNorm of each row."""
    width = x.dtype.type(x.shape[1])
    for n in range(x.shape[0]):
        mean, square = x.dtype.type(0), x.dtype.type(0)
        for j in range(x.shape[1]):
            mean += x[n, j]
        mean /= width
        for j in range(x.shape[1]):
            square += (x[n, j] - mean) ** 2
        inverse = x.dtype.type(1) / np.sqrt(square / width + epsilon)
        for j in range(x.shape[1]):
            out[n, j] = (x[n, j] - mean) * inverse * scale[j] + shift[j]


@compiled(fastmath=FAST)
def normalize_gradient(x, scale, epsilon, dout, dx, dscale, dshift):
    """Add to `dx`, `dscale` and `dshift` the gradient of `normalize` given that of its output."""
    width = x.dtype.type(x.shape[1])
    for n in range(x.shape[0]):
        mean, square, flat, slope = x.dtype.type(0), x.dtype.type(0), x.dtype.type(0), x.dtype.type(0)
        for j in range(x.shape[1]):
            mean += x[n, j]
        mean /= width
        for j in range(x.shape[1]):
            square += (x[n, j] - mean) ** 2
        inverse = x.dtype.type(1) / np.sqrt(square / width + epsilon)
        for j in range(x.shape[1]):
            normal, inner = (x[n, j] - mean) * inverse, dout[n, j] * scale[j]
            flat += inner
            slope += inner * normal
            dscale[j] += dout[n, j] * normal
            dshift[j] += dout[n, j]
        flat /= width
        slope /= width
        for j in range(x.shape[1]):
            dx[n, j] += inverse * (dout[n, j] * scale[j] - flat - (x[n, j] - mean) * inverse * slope)


@compiled(fastmath=FAST)
def relu(hidden, bias, _):
    """``relu(hidden + bias)`` in place."""
    for n in range(hidden.shape[0]):
        for j in range(hidden.shape[1]):
            hidden[n, j] = max(hidden[n, j] + bias[j], hidden.dtype.type(0))


@compiled(fastmath=FAST)
def relu_gradient(hidden, _, gradient, dbias):
    """Replace `gradient`, by the output of `relu`, by that by its input; add its sum to `dbias`."""
    for n in range(hidden.shape[0]):
        for j in range(hidden.shape[1]):
            gradient[n, j] = gradient[n, j] if hidden[n, j] > 0 else hidden.dtype.type(0)
            dbias[j] += gradient[n, j]


@compiled()
def gelu(before, bias, after):
    """Write ``gelu(before + bias)`` to `after`; the bias is added to `before` in place."""
    for n in range(before.shape[0]):
        for j in range(before.shape[1]):
            before[n, j] += bias[j]
            after[n, j] = before[n, j] * (1 + math.erf(before[n, j] / math.sqrt(2))) / 2


@compiled()
def gelu_gradient(before, after, gradient, dbias):
    """The counterpart of `relu_gradient` for `gelu`; recomputes `after`."""
    for n in range(before.shape[0]):
        for j in range(before.shape[1]):
            x = before[n, j]
            below = (1 + math.erf(x / math.sqrt(2))) / 2
            after[n, j] = x * below
            gradient[n, j] *= below + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
            dbias[j] += gradient[n, j]


@compiled()
def add_rows(rows, index, out):
    """Add row n to row ``index[n]`` of `out`."""
    for n in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[index[n], j] += rows[n, j]
