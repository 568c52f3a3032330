"""Training a network to predict the next token, each distinct prefix of a batch computed once."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from geometry.entropy import next_token_entropy_nats
from geometry.prefixes import belief_states, tree_of_words
from geometry.process import Process
from geometry.transformer import Transformer


@dataclass(frozen=True)
class Recipe:
    """How to train; the keys of the config's training section that shape the result."""

    labels: str  # sampled next tokens, or exact conditional distributions
    optimizer: str  # adamw or sgd
    learning_rate: float
    weight_decay: float
    schedule: str  # constant, or one_cycle: linear warm-up, then a cosine to 0
    warmup_fraction: float
    steps: int


@dataclass(frozen=True)
class Batch:
    """The prefix tree of a batch of words, with what to predict at each node.

    ``target[n, t]`` is the share of the batch's positions that visit node n and are to predict
    token t. ``weight`` is the share of visits among prefixes, the beginning-of-sequence node aside;
    ``optimum`` is the optimal next-token distribution.
    """

    tokens: Integer[ndarray, " node"]
    ancestors: Integer[ndarray, "node position"]
    target: Float[ndarray, "node token"]
    weight: Float[ndarray, " node"]
    optimum: Float[ndarray, "node token"]


@dataclass(frozen=True)
class Progress:
    """One row of the training table; losses in nats, of the batch that the next step would use."""

    step: int
    tokens_seen: int
    learning_rate: float
    minibatch_loss_nats: float
    loss_nats: float
    optimal_loss_nats: float
    gap_nats: float


def pack_batch(words: Integer[ndarray, "word position"], process: Process, labels: str, bos: bool) -> Batch:
    """The batch of some words, whose last token is only predicted, never read."""
    words = words.astype(np.int64)
    tree, nodes = tree_of_words(words[:, :-1], process.n_tokens)
    tokens, ancestors = tree.network_input(process.n_tokens if bos else None)
    belief, _ = belief_states(process, tree)
    following = words[:, 1:]
    if bos:
        belief = np.vstack([process.initial_state, belief])
        nodes = np.hstack([np.zeros((len(words), 1), dtype=np.int64), nodes + 1])
        following = words
    cells = np.bincount((nodes * process.n_tokens + following).ravel(), minlength=len(tokens) * process.n_tokens)
    counts = cells.reshape(len(tokens), process.n_tokens) / nodes.size
    optimum = process.next_token_probability(belief)
    visits = counts.sum(axis=1)
    target = counts if labels == "sampled" else visits[:, None] * optimum
    weight = np.where(np.arange(len(visits)) < bos, 0, visits)
    return Batch(tokens, ancestors, target, weight / weight.sum(), optimum)


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """The learning rate at a step as a fraction of its peak."""
    if recipe.schedule == "constant":
        return 1.0
    warmup = max(1, round(recipe.warmup_fraction * recipe.steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, recipe.steps - warmup)))


def snapshot_steps(first: int, steps: int, n_snapshots: int) -> list[int]:
    """Step 0, and from `first` to the last step others spaced evenly in their logarithm."""
    later = np.geomspace(min(first, steps), steps, n_snapshots - 1) if n_snapshots > 2 else [steps]
    return sorted({0, *(round(step) for step in later)})


def build_optimizer(model: Transformer, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
    return torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)


def train(
    model: Transformer,
    process: Process,
    batches: Iterable[Integer[ndarray, "word position"]],
    recipe: Recipe,
    bos: bool,
    snapshots: list[int],
    log_steps: set[int],
    report: Callable[[Progress], None],
) -> dict[str, Float[ndarray, "snapshot ..."]]:
    """Train a network in place on ``recipe.steps`` batches; one batch more is only measured.

    Returns each parameter at the snapshot steps, stacked. `report` is called at the log steps.
    """
    device = next(model.parameters()).device
    optimizer = build_optimizer(model, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, recipe))
    stacks: dict[str, list[ndarray]] = {name: [] for name, _ in model.named_parameters()}
    for step, words in enumerate(batches):
        batch = pack_batch(words, process, recipe.labels, bos)
        if step in snapshots:
            for name, parameter in model.named_parameters():
                stacks[name].append(parameter.detach().cpu().numpy().copy())
        tokens, ancestors = (torch.from_numpy(a).to(device) for a in (batch.tokens, batch.ancestors))
        log_probability = F.log_softmax(model(tokens, ancestors), dim=1)[:, : process.n_tokens]
        loss = -(torch.from_numpy(batch.target).to(device, torch.float32) * log_probability).sum()
        if step in log_steps:
            seen = step * words.shape[0] * (words.shape[1] - 1)
            report(measure(batch, log_probability, loss, step, seen, optimizer.param_groups[0]["lr"]))
        if step == recipe.steps:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return {name: np.stack(values) for name, values in stacks.items()}


def measure(batch: Batch, log_probability: Tensor, loss: Tensor, step: int, seen: int, rate: float) -> Progress:
    """The loss on a batch's prefixes in expectation over their next tokens, beside its optimum.

    With the exact conditional distributions in place of the sampled tokens, the gap is a mean
    Kullback-Leibler divergence, free of the label noise that would drown it.
    """
    predicted = log_probability.detach().double().cpu().numpy()
    expected = float(batch.weight @ -(batch.optimum * predicted).sum(axis=1))
    optimal = float(batch.weight @ next_token_entropy_nats(batch.optimum))
    return Progress(step, seen, rate, float(loss.detach()), expected, optimal, expected - optimal)
