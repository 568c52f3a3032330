"""Predictions of a network, given its logits: their softmax or their StableMax, as `model.output` has it."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor


def log_probability(logits: Float[Tensor, "row token"], output: str) -> Float[Tensor, "row token"]:
    """The log-probability of each token in nats.

    StableMax (Prieto et al. 2025, arXiv 2501.04697) is proportional to x + 1 for a logit x >= 0, and to 1 / (1 - x)
    below. The logarithm of that is sign(x) log(1 + |x|), so that it is the softmax of these. It is computed in float64,
    as published (which MPS does not have); the result is of the type of the logits.
    """
    if output == "stablemax":
        wide = logits if logits.device.type == "mps" else logits.double()
        return (wide.sign() * wide.abs().log1p()).log_softmax(1).to(logits.dtype)
    return logits.log_softmax(1)


def softmax_logits(logits: Float[ndarray, "row token"], output: str) -> Float[ndarray, "row token"]:
    """The numbers whose softmax is the prediction, of StableMax in float64."""
    return np.sign(logits) * np.log1p(np.abs(logits.astype(float))) if output == "stablemax" else logits


def softmax_logits_slope(logits: Float[ndarray, "row token"], output: str) -> Float[ndarray, "row token"] | int:
    """The derivative of `softmax_logits`, logit by logit."""
    return 1 / (1 + np.abs(logits.astype(float))) if output == "stablemax" else 1
