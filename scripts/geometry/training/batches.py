"""Batches: the input of a network in one training step, and the target distribution at each node of it.

Sequences share prefixes, and a causal network gives one prediction per distinct prefix. A batch of sequences is
therefore packed into the tree of its prefixes: each is computed once and weighted by its number of occurrences, which
gives the loss and gradient of the dense batch at a fraction of the cost.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.networks.input_layout import DenseSequences, PackedTree
from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.prefix_tree import PrefixTree, tree_of_sequences
from geometry.processes.process import Process
from geometry.tasks.base import Task
from geometry.tasks.modular_arithmetic import ModularArithmetic
from geometry.tasks.tabulated import Table

WORTH_PACKING = 0.95
"""The largest number of distinct prefixes, as a share of a batch's positions, at which sequences are packed. Beyond, a
tree saves little, and attention along the branches of long sequences costs more (benchmarks/results/scale.csv)."""

BatchKind = Literal["packed", "dense", "pairs"]
"""Nodes of a prefix tree; sequences of one length, no prefix shared; pairs of numbers of modular arithmetic."""


@dataclass(frozen=True)
class Batch:
    """Nodes of a network's input with the target distribution at each.

    ``target[n, t]`` is the share of the batch's positions that are at node n and followed by token t.
    ``weight`` is the share of positions at each node, the beginning-of-sequence token excluded; ``optimum``
    is the optimal next-token distribution, if it was requested. Nodes without a parent array are dense
    sequences (see `input_layout.DenseSequences`).
    """

    tokens: Integer[ndarray, " node"]
    parent: Integer[ndarray, " node"] | None
    position: Integer[ndarray, " node"]
    target: Float[ndarray, "node token"]
    weight: Float[ndarray, " node"]
    optimum: Float[ndarray, "node token"] | None
    n_positions: int  # of the sequences that the batch stands for, the beginning-of-sequence tokens excluded

    @property
    def kind(self) -> BatchKind:
        return "dense" if self.parent is None else "packed"

    def network_input(self, device: torch.device) -> tuple[torch.Tensor, PackedTree | DenseSequences]:
        """The tokens and their layout, as a network's forward pass takes them."""
        tokens = torch.from_numpy(self.tokens).to(device)
        context = int(self.position.max()) + 1
        if self.parent is None:
            return tokens, DenseSequences(len(tokens) // context, context, device)
        parent, position = (torch.from_numpy(array).to(device) for array in (self.parent, self.position))
        return tokens, PackedTree(parent, position, context)


@dataclass(frozen=True)
class PairBatch:
    """Pairs of numbers with their answers: the training pairs and the held-out pairs.

    ``last`` is the token '=' between a pair and its answer, the only position whose prediction is scored.
    """

    trained: Integer[ndarray, "3 trained_pair"]  # first, second, answer
    held_out: Integer[ndarray, "3 other_pair"]
    last: int

    kind = "pairs"

    @property
    def n_positions(self) -> int:
        return self.trained.shape[1]


def pair_batch(task: ModularArithmetic) -> PairBatch:
    """The full batch of modular arithmetic."""
    every = np.stack([*task.pairs, task.answer])
    return PairBatch(every[:, task.is_trained], every[:, ~task.is_trained], task.equals)


def worth_packing(sequences: Integer[ndarray, "sequence position"]) -> bool:
    """True if sequences, whose last token is predicted but not read, share enough prefixes to be packed."""
    read = sequences[:, :-1]
    return len(tree_of_sequences(read)[0]) < WORTH_PACKING * read.size


def packed_batch(
    sequences: Integer[ndarray, "sequence position"], process: Process, bos: bool, labels: str, with_optimum: bool
) -> Batch:
    """The prefix tree of some sequences, whose last token is predicted but not read."""
    tree, nodes = tree_of_sequences(sequences[:, :-1])
    tokens, parent, position = tree.network_input(process.n_tokens if bos else None)
    nodes, following = _read_and_predicted(nodes + bos, sequences, 0, bos)
    cells = np.bincount((nodes * process.n_tokens + following).ravel(), minlength=len(tokens) * process.n_tokens)
    target = cells.reshape(-1, process.n_tokens) / nodes.size
    wanted = with_optimum or labels == "exact"
    optimum = optimal_predictions(process, belief_states(process, tree)[0], bos) if wanted else None
    return _batch(tokens, parent, position, target, optimum, labels, bos, sequences[:, :-1].size)


def dense_batch(
    sequences: Integer[ndarray, "sequence position"], process: Process, bos: bool, labels: str, with_optimum: bool
) -> Batch:
    """The batch of `packed_batch` with a node for each position of each sequence."""
    tokens, following = _read_and_predicted(sequences[:, :-1].astype(np.int64), sequences, process.n_tokens, bos)
    position = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    target = np.eye(process.n_tokens)[following.ravel()] / tokens.size
    optimum = None
    if with_optimum or labels == "exact":
        tree, nodes = tree_of_sequences(sequences[:, :-1])
        nodes, _ = _read_and_predicted(nodes + bos, sequences, 0, bos)
        optimum = optimal_predictions(process, belief_states(process, tree)[0], bos)[nodes.ravel()]
    return _batch(tokens.ravel(), None, position.ravel(), target, optimum, labels, bos, sequences[:, :-1].size)


def full_distribution_batch(process: Process, tree: PrefixTree, bos: bool) -> Batch:
    """All prefixes of a task, weighted by their probability, with the optimal distribution as the target."""
    belief, probability = belief_states(process, tree)
    tokens, parent, position = tree.network_input(process.n_tokens if bos else None)
    visits = np.concatenate([np.ones(int(bos)), probability]) / (len(tree.levels) + bos)
    optimum = optimal_predictions(process, belief, bos)
    return _batch(tokens, parent, position, visits[:, None] * optimum, optimum, "exact", bos, len(tree))


def optimal_predictions(
    process: Process, belief: Float[ndarray, "prefix state"], bos: bool
) -> Float[ndarray, "node token"]:
    """The optimal next-token distribution at each node, the beginning-of-sequence token first if there is one."""
    return process.next_token_probability(np.vstack([process.initial_state, belief]) if bos else belief)


def _read_and_predicted(read, sequences, root, bos):
    """The input at each position, with `root` prepended if there is a `bos`, and the token that follows it."""
    if not bos:
        return read, sequences[:, 1:]
    return np.hstack([np.full((len(sequences), 1), root), read]), sequences


def _batch(tokens, parent, position, target, optimum, labels, bos, n_positions) -> Batch:
    visits = target.sum(axis=1)
    if labels == "exact":
        target = visits[:, None] * optimum
    weight = np.where(position < bos, 0, visits)
    return Batch(tokens, parent, position, target, weight / weight.sum(), optimum, n_positions)


def tabulated_batch(table: Table, bos: bool) -> Batch:
    """All prefixes of a table by their weight; nothing is predicted after a beginning-of-sequence token."""
    optimum = table.next_token_probability
    n_tokens, weight = optimum.shape[1], table.weight / table.weight.sum()
    tokens, parent, position = table.tree.network_input(n_tokens if bos else None)
    if bos:
        optimum, weight = np.vstack([np.full(n_tokens, 1 / n_tokens), optimum]), np.concatenate([[0], weight])
    return Batch(tokens, parent, position, weight[:, None] * optimum, weight, optimum, int((weight > 0).sum()))


FULL_BATCHES: dict[str, Callable[[Task, bool], Batch | PairBatch]] = {
    "markov": lambda task, bos: full_distribution_batch(
        task.process, complete_tree(task.process, task.context, sys.maxsize), bos
    ),
    "modular": lambda task, bos: pair_batch(task.arithmetic),
    "tabulated": lambda task, bos: tabulated_batch(task.table, bos),
}
"""By the kind of task, the batch of training.labels `full_distribution`, given model.bos."""
