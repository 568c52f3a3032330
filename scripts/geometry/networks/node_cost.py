"""The cost of one prefix in one layer of a network, by architecture: products, stored numbers, seconds of one core.

The constants are measured on one core of a small virtual machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from geometry.networks.hook_points import RECORDED

FLOPS = 50e9
"""Operations per second of one core in products of matrices."""

PASS_SECONDS, CALL_SECONDS = 3e-9, 3e-4
"""Of training: for each number that is attended to, or stored by automatic differentiation; for each generation of a
layer, by automatic differentiation."""


@dataclass(frozen=True)
class Node:
    """Cost of one prefix in one layer."""

    weights: int  # of the products that it passes
    floats: int  # stored for its gradient
    cached: int  # stored for its continuations
    train_seconds: float
    call_seconds: float = 0.0  # of training, however many nodes of one length there are


def node_of(model: Mapping, n_ctx: int) -> Node:
    """The cost of a node in a layer of a network."""
    d_model, architecture = model["d_model"], model["architecture"]
    if architecture == RECORDED:  # which is read
        return Node(0, d_model, 0, 0.0)
    if architecture == "transformer":
        # The residual stream and its normalised copies, the hidden layer, queries, keys and values, the attention to
        # each ancestor.
        width = model["n_heads"] * model["d_head"]
        weights = d_model * (4 * width + 2 * model["d_mlp"])
        floats = 10 * d_model + 3 * model["d_mlp"] + 10 * width + n_ctx * model["n_heads"]
        return Node(weights, floats, 2 * width, 2.7 * weights / FLOPS + PASS_SECONDS * n_ctx * width)
    # By automatic differentiation: products of small matrices, and passes over what lies between them.
    if architecture == "kuramoto":
        weights, floats = d_model**2 * model["kuramoto_steps"], d_model * (8 + 9 * model["kuramoto_steps"])
    elif architecture == "selective_ssm":
        n_channels = d_model // model["d_state"]
        weights, floats = d_model * (4 * n_channels + 2 * model["d_state"]), 14 * d_model + 8 * n_channels
    else:
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[architecture]
        weights, floats = 2 * gates * d_model**2, d_model * (8 + 5 * gates)
    cached = 2 * d_model if architecture == "lstm" else d_model
    return Node(weights, floats, cached, 4 * weights / FLOPS + PASS_SECONDS * floats, CALL_SECONDS)
