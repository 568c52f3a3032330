"""Conversion of the layouts of other libraries into that of TransformerLens's `HookedTransformer`.

A layout is the names of a state dict, with the order of the axes behind each. Weights are converted, or views of one
number that only have their shapes: planning reads headers alone.

- `from_transformer_lens`: `HookedTransformer`, or `TransformerBridge.boot_native` of TransformerLens 4.
- `from_gpt2`: nanoGPT (https://github.com/karpathy/nanoGPT), or GPT-2 of Hugging Face, whose matrices are transposed.
- `from_progress_measures`: the networks of Nanda et al. 2023, arXiv 2301.05217, in the code of that paper.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy import ndarray

from geometry.networks.checkpoint_layouts import CheckpointError, parameter_shapes, shape_of

Weights = dict[str, ndarray]
Renaming = Mapping[str, tuple[str, Callable[[ndarray], ndarray]]]
"""From a name, ``*`` for the number of the block, to that of a HookedTransformer and a function of the array."""


def from_transformer_lens(weights: Weights, n_heads: int | None) -> Weights:
    """The same weights, or those of a `TransformerBridge` as a HookedTransformer's."""
    if "blocks.0.attn.q.weight" not in weights:
        return weights
    known = {"embed.weight": ("embed.W_E", _same), "pos_embed.weight": ("pos_embed.W_pos", _same)}
    for norm in ("blocks.*.ln1", "blocks.*.ln2", "ln_final"):
        known |= _scale_and_shift(norm, norm)
    known |= _attention("blocks.*.attn.", "qkvo", n_heads)
    known |= _linear("blocks.*.mlp.in", "blocks.*.mlp.{}_in") | _linear("blocks.*.mlp.out", "blocks.*.mlp.{}_out")
    return _renamed(weights, known | _linear("unembed", "unembed.{}_U"))


def from_gpt2(weights: Weights, n_heads: int | None) -> Weights:
    """The weights of nanoGPT or GPT-2 as a HookedTransformer's; biases that it was made without are zero."""
    block, attention = "transformer.h.*.", "transformer.h.*.attn."
    first = weights.get("transformer.h.0.attn.c_attn.weight")
    if first is not None and first.shape[1:] == (3 * first.shape[0],):  # [in, out], as in Hugging Face's Conv1D
        weights = {name: v.T if _numberless(name).startswith(block) else v for name, v in weights.items()}
    weights = {"lm_head.weight": weights["transformer.wte.weight"]} | weights  # tied, and then perhaps saved once
    split: Weights = {}
    for name, values in weights.items():
        together = _numberless(name).startswith(f"{attention}c_attn.") and values.shape and len(values) % 3 == 0
        parts = zip("qkv", values.reshape(3, -1, *values.shape[1:]), strict=True) if together else [("c_attn", values)]
        split |= {name.replace("c_attn", part): value for part, value in parts}
    known = {"transformer.wte.weight": ("embed.W_E", _same), "transformer.wpe.weight": ("pos_embed.W_pos", _same)}
    known |= _scale_and_shift(f"{block}ln_1", "blocks.*.ln1") | _scale_and_shift(f"{block}ln_2", "blocks.*.ln2")
    known |= _scale_and_shift("transformer.ln_f", "ln_final")
    known |= _attention(attention, ["q", "k", "v", "c_proj"], n_heads) | _linear("lm_head", "unembed.{}_U")
    known |= _linear(f"{block}mlp.c_fc", "blocks.*.mlp.{}_in") | _linear(f"{block}mlp.c_proj", "blocks.*.mlp.{}_out")
    has_biases = any(name.endswith(".bias") for name in weights)
    return _with_zeros(_renamed(split, known), r"unembed\.b_U" if has_biases else r".*\.b(_\w+)?")


def from_progress_measures(weights: Weights, n_heads: int | None) -> Weights:
    """The weights of Nanda et al. as a HookedTransformer's: matrices act on columns, biases are in the MLP only."""
    if weights.get("blocks.0.attn.W_O", np.empty((0, 0))).ndim != 2:
        raise CheckpointError("blocks.0.attn.W_O is no matrix, as in the code of Nanda et al., but one for each head")
    n_heads = len(weights.get("blocks.0.attn.W_Q", "?"))
    transposed = ("embed.W_E", "blocks.*.mlp.W_in", "blocks.*.mlp.W_out")
    known = {name: (name, np.transpose) for name in transposed}
    known |= {f"blocks.*.attn.W_{letter}": (f"blocks.*.attn.W_{letter}", np.matrix_transpose) for letter in "QKV"}
    known["blocks.*.attn.W_O"] = ("blocks.*.attn.W_O", _of_heads(n_heads, _from_heads))
    return _with_zeros(_renamed(weights, known), r"blocks\.\d+\.attn\.b_[QKVO]|unembed\.b_U")


CONVERSIONS = {
    "transformer_lens": from_transformer_lens,
    "nanogpt": from_gpt2,
    "progress_measures": from_progress_measures,
}
"""By the value of ``model.format``."""


def converted(weights: Weights, layout: str, n_heads: int | None) -> Weights:
    """Weights by the names of a HookedTransformer; names that are not known stay."""
    return CONVERSIONS[layout](weights, n_heads)


def _same(array: ndarray) -> ndarray:
    return array


def _per_head(array: ndarray, n_heads: int) -> ndarray:
    """Weights of queries, keys or values, [head and d_head, d_model], as [head, d_model, d_head]; or their biases."""
    return array.reshape(n_heads, -1, *array.shape[1:]).swapaxes(1, -1)


def _from_heads(array: ndarray, n_heads: int) -> ndarray:
    """Weights of the output, [d_model, head and d_head], as [head, d_head, d_model]."""
    return array.T.reshape(n_heads, -1, *array.T.shape[1:])


def _of_heads(n_heads: int | None, function: Callable) -> Callable[[ndarray], ndarray]:
    """A function of an array alone, which needs the number of heads."""
    if n_heads is None:
        raise CheckpointError("the file does not hold the number of heads; model.n_heads must be given with it")
    return partial(function, n_heads=n_heads)


def _attention(module: str, parts, n_heads: int | None) -> Renaming:
    """The weights and biases of queries, keys, values and outputs, in this order of parts."""
    *heads, output = parts
    known = {f"{module}{output}.weight": ("blocks.*.attn.W_O", _of_heads(n_heads, _from_heads))}
    known[f"{module}{output}.bias"] = ("blocks.*.attn.b_O", _same)
    for part, letter in zip(heads, "QKV", strict=True):
        for kind, ours in (("weight", "W"), ("bias", "b")):
            known[f"{module}{part}.{kind}"] = (f"blocks.*.attn.{ours}_{letter}", _of_heads(n_heads, _per_head))
    return known


def _linear(theirs: str, ours: str) -> Renaming:
    """The weight and bias of an nn.Linear, whose matrix is transposed; ``{}`` stands for W or b."""
    return {f"{theirs}.weight": (ours.format("W"), np.transpose), f"{theirs}.bias": (ours.format("b"), _same)}


def _scale_and_shift(theirs: str, ours: str) -> Renaming:
    return {f"{theirs}.weight": (f"{ours}.w", _same), f"{theirs}.bias": (f"{ours}.b", _same)}


def _numberless(name: str) -> str:
    return re.sub(r"\.\d+\.", ".*.", name, count=1)


def _renamed(weights: Weights, known: Renaming) -> Weights:
    found = {}
    for name, values in weights.items():
        number = re.search(r"\.(\d+)\.", name)
        ours, function = known.get(_numberless(name), (name, _same))
        try:
            found[ours.replace("*", number[1]) if number else ours] = function(values)
        except ValueError:  # of an array that cannot be divided so
            raise CheckpointError(f"{name!r} has shape {values.shape}, not one that is divided into heads") from None
    return found


def _with_zeros(weights: Weights, pattern: str) -> Weights:
    """Weights with zeros for each parameter that is missing and matches the pattern."""
    scales = {name: values for name, values in weights.items() if name.endswith(".w")}
    shifts = {f"{name[:-1]}b": np.zeros_like(values) for name, values in scales.items()}
    weights = {name: values for name, values in shifts.items() if re.fullmatch(pattern, name)} | weights
    shapes = dict(parameter_shapes(shape_of({name: v.shape for name, v in weights.items()}), bool(scales)))
    if "unembed.W_U" in weights:  # with as many outputs as there are
        shapes["unembed.b_U"] = weights["unembed.W_U"].shape[1:]
    missing = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if re.fullmatch(pattern, name)}
    return missing | weights
