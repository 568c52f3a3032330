"""Batches: what a network reads in one step, and what it is to predict there.

Sequences share prefixes, and a causal network gives one answer per distinct prefix. So a batch of words is
packed into the tree of its prefixes, each computed once and counted as often as it is visited: the
same loss and gradient as those of the words side by side, at a fraction of the cost.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

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

WORTH_PACKING = 0.95
"""Sequences are packed if their distinct prefixes are fewer than this share of their positions. Beyond, a tree saves
little, and in words of a hundred tokens attention along its branches costs more (benchmarks/results/scale.csv)."""


@dataclass(frozen=True)
class Batch:
    """Nodes of a network's input with what to predict at each.

    ``target[n, t]`` is the share of the batch's positions that visit node n and are to predict token t.
    ``weight`` is the share of visits among prefixes, the beginning-of-sequence token aside; ``optimum``
    is the optimal next-token distribution, if it was asked for. Nodes without a parent array are words
    side by side (see `paths.DenseSequences`).
    """

    tokens: Integer[ndarray, " node"]
    parent: Integer[ndarray, " node"] | None
    position: Integer[ndarray, " node"]
    target: Float[ndarray, "node token"]
    weight: Float[ndarray, " node"]
    optimum: Float[ndarray, "node token"] | None
    n_positions: int  # how many the batch stands for, the beginnings of sequences aside

    def network_input(self, device: torch.device) -> tuple[torch.Tensor, PackedTree | DenseSequences]:
        """Tokens and paths for a network."""
        tokens = torch.from_numpy(self.tokens).to(device)
        context = int(self.position.max()) + 1
        if self.parent is None:
            return tokens, DenseSequences(len(tokens) // context, context, device)
        parent, position = (torch.from_numpy(array).to(device) for array in (self.parent, self.position))
        return tokens, PackedTree(parent, position, context)


@dataclass(frozen=True)
class PairBatch:
    """Pairs of numbers with their answers, all of those that are trained on and all that are held out.

    ``last`` is the token between a pair and its answer, the only place where a prediction is asked.
    """

    trained: Integer[ndarray, "3 trained_pair"]  # first, second, answer
    held_out: Integer[ndarray, "3 other_pair"]
    last: int

    @property
    def n_positions(self) -> int:
        return self.trained.shape[1]


def pair_batch(task: ModularArithmetic) -> PairBatch:
    """The full batch of modular arithmetic."""
    every = np.stack([*task.pairs, task.answer])
    return PairBatch(every[:, task.is_trained], every[:, ~task.is_trained], task.equals)


def worth_packing(words: Integer[ndarray, "word position"]) -> bool:
    """Whether words, the last token of which is only predicted, share enough prefixes to be packed."""
    read = words[:, :-1]
    return len(tree_of_sequences(read)[0]) < WORTH_PACKING * read.size


def packed_batch(
    words: Integer[ndarray, "word position"], process: Process, bos: bool, labels: str, with_optimum: bool
) -> Batch:
    """The tree of some words, whose last token is only predicted, never read."""
    tree, nodes = tree_of_sequences(words[:, :-1])
    tokens, parent, position = tree.network_input(process.n_tokens if bos else None)
    nodes, following = _read_and_predicted(nodes + bos, words, 0, bos)
    cells = np.bincount((nodes * process.n_tokens + following).ravel(), minlength=len(tokens) * process.n_tokens)
    target = cells.reshape(-1, process.n_tokens) / nodes.size
    wanted = with_optimum or labels == "exact"
    optimum = optimal_predictions(process, belief_states(process, tree)[0], bos) if wanted else None
    return _batch(tokens, parent, position, target, optimum, labels, bos, words[:, :-1].size)


def dense_batch(
    words: Integer[ndarray, "word position"], process: Process, bos: bool, labels: str, with_optimum: bool
) -> Batch:
    """The same words side by side, where they share too few prefixes for a tree to pay."""
    tokens, following = _read_and_predicted(words[:, :-1].astype(np.int64), words, process.n_tokens, bos)
    position = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    target = np.eye(process.n_tokens)[following.ravel()] / tokens.size
    optimum = None
    if with_optimum or labels == "exact":
        tree, nodes = tree_of_sequences(words[:, :-1])
        nodes, _ = _read_and_predicted(nodes + bos, words, 0, bos)
        optimum = optimal_predictions(process, belief_states(process, tree)[0], bos)[nodes.ravel()]
    return _batch(tokens.ravel(), None, position.ravel(), target, optimum, labels, bos, words[:, :-1].size)


def full_distribution_batch(process: Process, tree: PrefixTree, bos: bool) -> Batch:
    """Every prefix of a task, visited as often as it is probable and labelled with what is optimal there."""
    belief, probability = belief_states(process, tree)
    tokens, parent, position = tree.network_input(process.n_tokens if bos else None)
    visits = np.concatenate([np.ones(int(bos)), probability]) / (len(tree.levels) + bos)
    optimum = optimal_predictions(process, belief, bos)
    return _batch(tokens, parent, position, visits[:, None] * optimum, optimum, "exact", bos, len(tree))


def optimal_predictions(
    process: Process, belief: Float[ndarray, "prefix state"], bos: bool
) -> Float[ndarray, "node token"]:
    """The optimal next-token distribution at each node, that of the beginning-of-sequence token first."""
    return process.next_token_probability(np.vstack([process.initial_state, belief]) if bos else belief)


def _read_and_predicted(read, words, root, bos):
    """What is read at each position, a root before it if there is one, and the token to be predicted there."""
    if not bos:
        return read, words[:, 1:]
    return np.hstack([np.full((len(words), 1), root), read]), words


def _batch(tokens, parent, position, target, optimum, labels, bos, n_positions) -> Batch:
    visits = target.sum(axis=1)
    if labels == "exact":
        target = visits[:, None] * optimum
    weight = np.where(position < bos, 0, visits)
    return Batch(tokens, parent, position, target, weight / weight.sum(), optimum, n_positions)


FULL_BATCHES: dict[str, Callable[[Task, bool], Batch | PairBatch]] = {
    "markov": lambda task, bos: full_distribution_batch(
        task.process, complete_tree(task.process, task.context, sys.maxsize), bos
    ),
    "modular": lambda task, bos: pair_batch(task.arithmetic),
}
"""By the kind of task, the batch of training.labels `full_distribution`, given model.bos."""
