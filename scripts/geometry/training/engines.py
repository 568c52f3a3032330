"""Gradient engines: the ways to compute the loss of a batch, its predictions and the gradient of all parameters.

All give the numbers of automatic differentiation through the network's forward pass, up to rounding. A run has one
engine, chosen by the kind of its batches, its architecture and its device:

=======  ============  ======  =========================================================================
batch    architecture  device  engine
=======  ============  ======  =========================================================================
pairs    one block     any     closed form of the network, see `networks.one_layer`
packed   transformer   CPU     gradient derived by hand and compiled, see `cpu_gradient`
packed   transformer   GPU     automatic differentiation captured as a CUDA graph, see `gpu_gradient`
packed   recurrent     any     automatic differentiation
dense    any           any     automatic differentiation
=======  ============  ======  =========================================================================
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.one_layer import folded_gradient
from geometry.networks.transformer import Transformer
from geometry.training.batches import Batch, BatchKind, PairBatch
from geometry.training.cpu_gradient import TreeGradient
from geometry.training.gpu_gradient import EnsembleGradient


class Evaluation(NamedTuple):
    """The loss of a batch in nats, the log-probability of each token at each node or pair, and the gradient."""

    loss: float | Float[Tensor, ""]
    log_probability: Float[ndarray | Tensor, "row token"]
    gradient: Float[Tensor, " parameter"]


GradientEngine = Callable[[Batch | PairBatch], Evaluation]


def gradient_engine(model: HookedNetwork, parameters: Float[Tensor, " parameter"], kind: BatchKind) -> GradientEngine:
    """The engine for batches of one kind; the network's parameters are views of the vector `parameters`."""
    if kind == "pairs":
        return partial(pairs_gradient, model)
    if kind == "dense" or not isinstance(model, Transformer):
        return partial(automatic_gradient, model)
    if parameters.device.type == "cpu":
        return partial(compiled_tree_gradient, TreeGradient(model))
    return partial(captured_tree_gradient, EnsembleGradient(model), parameters)


def automatic_gradient(model: HookedNetwork, batch: Batch) -> Evaluation:
    """Automatic differentiation through the forward pass."""
    parameters = list(model.parameters())
    target = torch.from_numpy(batch.target).to(parameters[0])
    log_probability = model.log_probability(model(*batch.network_input(parameters[0].device)))
    log_probability = log_probability[:, : target.shape[1]]
    loss = -(target * log_probability).sum()
    return Evaluation(loss, log_probability, flattened(torch.autograd.grad(loss, parameters)))


def pairs_gradient(model: HookedNetwork, batch: PairBatch) -> Evaluation:
    """The closed form of a one-layer network on the pairs that are trained on."""
    parameters = dict(model.named_parameters())
    first, second, answer = torch.from_numpy(batch.trained).to(next(iter(parameters.values())).device)
    loss, log_probability, gradients = folded_gradient(
        parameters, first, second, answer, batch.last, model.config.output
    )
    return Evaluation(loss, log_probability, flattened(gradients))


def compiled_tree_gradient(gradient_of_tree: TreeGradient, batch: Batch) -> Evaluation:
    """The compiled gradient of a transformer on the CPU."""
    loss, log_probability, gradient = gradient_of_tree(batch.tokens, batch.parent, batch.position, batch.target)
    return Evaluation(loss, log_probability, torch.from_numpy(gradient))


def captured_tree_gradient(
    gradient_of_ensemble: EnsembleGradient, parameters: Float[Tensor, " parameter"], batch: Batch
) -> Evaluation:
    """The captured gradient of a transformer on a GPU, as that of an ensemble of one network."""
    loss, log_probability, gradient = gradient_of_ensemble(parameters[None], [batch])
    return Evaluation(loss[0], log_probability[0, : len(batch.tokens)], gradient[0])


def flattened(gradients: Iterable[Tensor]) -> Float[Tensor, " parameter"]:
    return torch.cat([gradient.flatten() for gradient in gradients])
