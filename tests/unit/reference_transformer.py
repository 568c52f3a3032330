"""Slow, literal float64 reference for a pre-LayerNorm decoder-only causal transformer, one word at a time."""

import math

import numpy as np

LAYER_NORM_EPS = 1e-5


def count_layers(parameters):
    """Number of layers, read off the parameter names."""
    layers = {int(name.split(".")[1]) for name in parameters if name.startswith("blocks.")}
    if layers != set(range(len(layers))):
        raise ValueError(f"layers are not numbered from 0 without gaps: {sorted(layers)}")
    return len(layers)


def layer_norm(vector, weight, bias):
    """LayerNorm of one vector, with the biased variance."""
    mean = vector.sum() / len(vector)
    centred = vector - mean
    variance = (centred * centred).sum() / len(vector)
    return centred / math.sqrt(variance + LAYER_NORM_EPS) * weight + bias


def activate(vector, activation):
    """ReLU or exact GELU of each entry of one vector."""
    result = np.zeros(len(vector), dtype=np.float64)
    for index in range(len(vector)):
        value = float(vector[index])
        if activation == "relu":
            result[index] = max(value, 0.0)
        elif activation == "gelu":
            result[index] = 0.5 * value * (1.0 + math.erf(value / math.sqrt(2.0)))
        else:
            raise ValueError(f"unknown activation: {activation}")
    return result


def softmax(scores):
    """Softmax of a list of numbers."""
    largest = max(scores)
    exponentials = [math.exp(score - largest) for score in scores]
    total = sum(exponentials)
    return [exponential / total for exponential in exponentials]


def attention(parameters, layer, inputs, n_heads):
    """Causal attention output at every position, summed over heads, with the output bias."""
    prefix = f"blocks.{layer}.attn."
    weights = {}
    for name in ("W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V", "W_O"):
        weights[name] = parameters[prefix + name]
        if weights[name].shape[0] != n_heads:
            raise ValueError(f"{prefix + name} has {weights[name].shape[0]} heads, not {n_heads}")
    d_head = weights["W_Q"].shape[2]
    outputs = []
    for position in range(len(inputs)):
        output = np.array(parameters[prefix + "b_O"], dtype=np.float64)
        for head in range(n_heads):
            query = inputs[position] @ weights["W_Q"][head] + weights["b_Q"][head]
            scores = []
            for source in range(position + 1):
                key = inputs[source] @ weights["W_K"][head] + weights["b_K"][head]
                scores.append(float(query @ key) / math.sqrt(d_head))
            pattern = softmax(scores)
            mixed = np.zeros(d_head, dtype=np.float64)
            for source in range(position + 1):
                value = inputs[source] @ weights["W_V"][head] + weights["b_V"][head]
                mixed = mixed + pattern[source] * value
            output = output + mixed @ weights["W_O"][head]
        outputs.append(output)
    return outputs


def mlp(parameters, layer, vector, activation):
    """Two-layer perceptron applied to one position's vector."""
    prefix = f"blocks.{layer}.mlp."
    hidden = activate(vector @ parameters[prefix + "W_in"] + parameters[prefix + "b_in"], activation)
    return hidden @ parameters[prefix + "W_out"] + parameters[prefix + "b_out"]


def normalize_each(parameters, name, vectors, normalized, record):
    """The named LayerNorm at every position, recorded; the vectors unchanged when there is no LayerNorm."""
    if not normalized:
        return vectors
    result = []
    for position in range(len(vectors)):
        result.append(layer_norm(vectors[position], parameters[name + ".w"], parameters[name + ".b"]))
    record[name + ".hook_normalized"] = result
    return result


def forward(parameters, word, n_heads, activation, normalized):
    """Logits and intermediate activations for one word, each an array with one row per position."""
    positions = range(len(word))
    record = {}
    record["hook_embed"] = [parameters["embed.W_E"][word[position]] for position in positions]
    record["hook_pos_embed"] = [parameters["pos_embed.W_pos"][position] for position in positions]
    residual = [record["hook_embed"][position] + record["hook_pos_embed"][position] for position in positions]

    for layer in range(count_layers(parameters)):
        block = f"blocks.{layer}"
        record[block + ".hook_resid_pre"] = residual

        inputs = normalize_each(parameters, block + ".ln1", residual, normalized, record)
        attn_out = attention(parameters, layer, inputs, n_heads)
        record[block + ".hook_attn_out"] = attn_out
        residual = [residual[position] + attn_out[position] for position in positions]
        record[block + ".hook_resid_mid"] = residual

        inputs = normalize_each(parameters, block + ".ln2", residual, normalized, record)
        mlp_out = [mlp(parameters, layer, inputs[position], activation) for position in positions]
        record[block + ".hook_mlp_out"] = mlp_out
        residual = [residual[position] + mlp_out[position] for position in positions]
        record[block + ".hook_resid_post"] = residual

    final = normalize_each(parameters, "ln_final", residual, normalized, record)
    record["logits"] = [
        final[position] @ parameters["unembed.W_U"] + parameters["unembed.b_U"] for position in positions
    ]
    return {name: np.array(rows, dtype=np.float64) for name, rows in record.items()}
