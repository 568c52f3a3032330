"""Training a network to predict the next token, each distinct prefix of a batch computed once."""

import math
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass

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


class Run:
    """A training run at the start of a step: network, optimiser, and what was recorded so far.

    Nothing else shapes the rest of it: the learning rate and the batch follow from the step, and no
    random number is drawn after initialisation.
    """

    def __init__(self, model: Transformer, recipe: Recipe):
        self.model, self.recipe = model, recipe
        self.optimizer = build_optimizer(model, recipe)
        self.step = 0
        self.parameters = dict(model.named_parameters())
        self.snapshots: list[dict[str, ndarray]] = []
        self.rows: list[Progress] = []

    @property
    def learning_rate(self) -> float:
        return self.recipe.learning_rate * learning_rate_factor(self.step, self.recipe)

    def stacked(self) -> dict[str, Float[ndarray, "snapshot ..."]]:
        """Each parameter at the snapshots so far."""
        return {name: np.stack([snapshot[name] for snapshot in self.snapshots]) for name in self.snapshots[0]}

    def state(self) -> dict[str, ndarray]:
        """All of it as named arrays, from which `restore` goes on bit for bit."""
        arrays = {"step": np.array(self.step), "rows": np.array([astuple(row) for row in self.rows])}
        for name, parameter in self.parameters.items():
            arrays[f"parameter {name}"] = _array(parameter)
            for key, value in self.optimizer.state[parameter].items():
                arrays[f"{key} {name}"] = _array(value)
        return arrays | {f"snapshots {name}": stack for name, stack in self.stacked().items()}

    def restore(self, arrays: dict[str, ndarray]) -> None:
        """Become the run whose `state` these arrays are."""
        self.step = int(arrays["step"])
        self.rows = [Progress(int(step), int(seen), *losses) for step, seen, *losses in arrays["rows"].tolist()]
        stacks = {name: arrays[f"snapshots {name}"] for name in self.parameters}
        self.snapshots = [dict(zip(stacks, arrays, strict=True)) for arrays in zip(*stacks.values(), strict=True)]
        for name, parameter in self.parameters.items():
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(arrays[f"parameter {name}"]))
            for key in ("step", "exp_avg", "exp_avg_sq"):  # AdamW's; plain gradient descent has no state
                if f"{key} {name}" in arrays:
                    value = torch.from_numpy(arrays[f"{key} {name}"]).to(parameter.device)
                    self.optimizer.state[parameter][key] = value


def train(
    run: Run,
    process: Process,
    batches: Iterable[Integer[ndarray, "word position"]],
    bos: bool,
    snapshots: list[int],
    log_steps: set[int],
    each_step: Callable[[Run], None],
) -> None:
    """Train a network in place on the batches from ``run.step`` to the last; one batch more is only measured.

    `each_step` is called after each step.
    """
    device = next(run.model.parameters()).device
    for words in batches:
        batch = pack_batch(words, process, run.recipe.labels, bos)
        if run.step in snapshots:
            run.snapshots.append({name: _array(parameter) for name, parameter in run.parameters.items()})
        tokens, ancestors = (torch.from_numpy(a).to(device) for a in (batch.tokens, batch.ancestors))
        log_probability = F.log_softmax(run.model(tokens, ancestors), dim=1)[:, : process.n_tokens]
        loss = -(torch.from_numpy(batch.target).to(device, torch.float32) * log_probability).sum()
        if run.step in log_steps:
            seen = run.step * words.shape[0] * (words.shape[1] - 1)
            run.rows.append(measure(batch, log_probability, loss, run.step, seen, run.learning_rate))
        if run.step == run.recipe.steps:
            break
        run.optimizer.param_groups[0]["lr"] = run.learning_rate
        run.optimizer.zero_grad()
        loss.backward()
        run.optimizer.step()
        run.step += 1
        each_step(run)


def _array(tensor: Tensor) -> ndarray:
    return tensor.detach().cpu().numpy().copy()


def measure(batch: Batch, log_probability: Tensor, loss: Tensor, step: int, seen: int, rate: float) -> Progress:
    """The loss on a batch's prefixes in expectation over their next tokens, beside its optimum.

    With the exact conditional distributions in place of the sampled tokens, the gap is a mean
    Kullback-Leibler divergence, free of the label noise that would drown it.
    """
    predicted = log_probability.detach().double().cpu().numpy()
    expected = float(batch.weight @ -(batch.optimum * predicted).sum(axis=1))
    optimal = float(batch.weight @ next_token_entropy_nats(batch.optimum))
    return Progress(step, seen, rate, float(loss.detach()), expected, optimal, expected - optimal)
