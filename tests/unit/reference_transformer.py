"""Slow, literal float64 reference for a pre-LayerNorm decoder-only causal transformer, one word at a time."""

import numpy as np
from scipy.special import erf, softmax

LAYER_NORM_EPS = 1e-5
ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "gelu": lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2)))}


def attention(parameters, layer, inputs, n_heads):
    """Causal attention output at every position, summed over heads, with the output bias."""
    own = {
        name: parameters[f"blocks.{layer}.attn.{name}"] for name in ("W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V", "W_O")
    }
    outputs = np.tile(parameters[f"blocks.{layer}.attn.b_O"], (len(inputs), 1))
    for position, head in np.ndindex(len(inputs), n_heads):
        seen = inputs[: position + 1]
        query = inputs[position] @ own["W_Q"][head] + own["b_Q"][head]
        keys, values = (seen @ own[f"W_{part}"][head] + own[f"b_{part}"][head] for part in "KV")
        outputs[position] += softmax(keys @ query / np.sqrt(len(query))) @ values @ own["W_O"][head]
    return outputs


def mlp(parameters, layer, inputs, activation):
    """Two-layer perceptron applied to each position."""
    prefix = f"blocks.{layer}.mlp."
    hidden = ACTIVATIONS[activation](inputs @ parameters[prefix + "W_in"] + parameters[prefix + "b_in"])
    return hidden @ parameters[prefix + "W_out"] + parameters[prefix + "b_out"]


def normalize(parameters, name, x, normalized, record):
    """The named LayerNorm at every position, recorded; what comes in unchanged when there is no LayerNorm."""
    if not normalized:
        return x
    scaled = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + LAYER_NORM_EPS)
    record[name + ".hook_normalized"] = scaled * parameters[name + ".w"] + parameters[name + ".b"]
    return record[name + ".hook_normalized"]


def forward(parameters, word, n_heads, activation, normalized):
    """Logits and intermediate activations for one word, each an array with one row per position."""
    record = {"hook_embed": parameters["embed.W_E"][word], "hook_pos_embed": parameters["pos_embed.W_pos"][: len(word)]}
    residual = record["hook_embed"] + record["hook_pos_embed"]
    for layer in range(len({name.split(".")[1] for name in parameters if name.startswith("blocks.")})):
        block = f"blocks.{layer}"
        record[f"{block}.hook_resid_pre"] = residual
        inputs = normalize(parameters, f"{block}.ln1", residual, normalized, record)
        record[f"{block}.hook_attn_out"] = attention(parameters, layer, inputs, n_heads)
        residual = residual + record[f"{block}.hook_attn_out"]
        record[f"{block}.hook_resid_mid"] = residual
        inputs = normalize(parameters, f"{block}.ln2", residual, normalized, record)
        record[f"{block}.hook_mlp_out"] = mlp(parameters, layer, inputs, activation)
        residual = residual + record[f"{block}.hook_mlp_out"]
        record[f"{block}.hook_resid_post"] = residual
    final = normalize(parameters, "ln_final", residual, normalized, record)
    return record | {"logits": final @ parameters["unembed.W_U"] + parameters["unembed.b_U"]}
