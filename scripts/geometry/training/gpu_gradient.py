"""The losses and gradients of an ensemble of networks of one shape on a GPU, which one such network does not fill.

All are evaluated together, each on a batch of its own; a job of the study has an ensemble of one. Batches are padded to
a few sizes: the evaluation is captured once for each size as a CUDA graph and replayed without Python.
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor
from torch.func import functional_call, grad_and_value, vmap

from geometry.networks.input_layout import PackedTree
from geometry.networks.transformer import Transformer
from geometry.training.batches import Batch
from geometry.training.cpu_gradient import cut

WARM_UP = 3
"""Evaluations before a capture, as PyTorch's documentation requires."""


class EnsembleGradient:
    """The losses and gradients of some networks, whose parameters are the rows of one matrix."""

    def __init__(self, model: Transformer):
        """Only the shape of `model` is used."""
        self.model = model
        self.names, self.like = zip(*model.named_parameters(), strict=True)
        self.graphs: dict[tuple[int, int, int], tuple] = {}

    def __call__(
        self, vectors: Float[Tensor, "network parameter"], batches: list[Batch]
    ) -> tuple[Float[Tensor, " network"], Float[Tensor, "network node token"], Float[Tensor, "network parameter"]]:
        """The loss, log-probabilities (padding included) and gradient by network; overwritten by the next call."""
        inputs = self.inputs(vectors, batches)
        if vectors.device.type == "cuda":
            gradient, (loss, log_probability) = self._replay(vectors, inputs)
        else:
            gradient, (loss, log_probability) = self.evaluate(
                vectors, *(values.to(vectors.device) for values in inputs)
            )
        return loss, log_probability, gradient

    @staticmethod
    def inputs(vectors: Float[Tensor, "network parameter"], batches: list[Batch]) -> list[Tensor]:
        """Tokens, parents, positions and targets of all batches, padded to one size, in the memory of the CPU."""
        n_nodes = padded_size(max(len(batch.tokens) for batch in batches))
        columns = zip(*(padded(batch, n_nodes) for batch in batches), strict=True)
        tokens, parent, position, target = (torch.from_numpy(np.stack(arrays)) for arrays in columns)
        return [tokens, parent, position, target.to(vectors.dtype)]

    def evaluate(self, vectors, *inputs):
        """The gradient, and the loss and the log-probabilities, by network; step by step, without a captured graph."""
        return vmap(grad_and_value(self._loss, has_aux=True))(vectors, *inputs)

    def _loss(self, vector, tokens, parent, position, target):
        parameters = dict(zip(self.names, cut(vector, self.like), strict=True))
        logits = functional_call(
            self.model, parameters, (tokens, PackedTree(parent, position, self.model.config.n_ctx))
        )
        log_probability = self.model.log_probability(logits)[:, : target.shape[1]]
        return -(target * log_probability).sum(), log_probability

    def _replay(self, vectors, inputs):
        key = vectors.data_ptr(), *inputs[0].shape
        if key not in self.graphs:
            self.graphs[key] = self._capture(vectors, [tensor.to(vectors.device) for tensor in inputs])
        graph, static, outputs = self.graphs[key]
        for memory, values in zip(static, inputs, strict=True):
            memory.copy_(values.pin_memory(), non_blocking=True)
        graph.replay()
        return outputs

    def _capture(self, vectors, static):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.evaluate(vectors, *static)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self.evaluate(vectors, *static)
        return graph, static, outputs


def padded_size(n_nodes: int) -> int:
    """The smallest padded size that holds so many nodes; sizes are at most an eighth apart."""
    step = max(64, 1 << max(0, n_nodes.bit_length() - 4))
    return -(-n_nodes // step) * step


def padded(batch: Batch, n_nodes: int) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Tokens, parents, positions and targets of a tree, padded by roots whose target is zero."""
    missing = n_nodes - len(batch.tokens)
    tokens, position = (np.pad(array, (0, missing)) for array in (batch.tokens, batch.position))
    parent = np.pad(batch.parent, (0, missing), constant_values=-1)
    return tokens, parent, position, np.pad(batch.target, ((0, missing), (0, 0)))
