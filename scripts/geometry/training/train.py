"""The training loop: optimiser, learning-rate schedule, snapshots and the table of losses."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor

from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.one_layer import folded_logits
from geometry.processes.entropy import next_token_entropy_nats
from geometry.training.batches import Batch, PairBatch
from geometry.training.cpu_gradient import cut
from geometry.training.engines import GradientEngine, flattened
from geometry.training.gradient_filters import amplified, orthogonal


@dataclass(frozen=True)
class Recipe:
    """The keys of the config's training section on which the result depends."""

    labels: str  # sampled: next tokens; exact: their conditional distributions; full_distribution: of all prefixes
    optimizer: str  # adamw or sgd
    learning_rate: float
    weight_decay: float
    schedule: str  # linear warm-up, then constant, or (one_cycle) a cosine to 0
    warmup_fraction: float
    steps: int
    beta2: float = 0.999  # of adamw: decay of the mean of squared gradients
    grokfast: Mapping[str, float] | None = None  # alpha and amplitude of `gradient_filters.amplified`
    orthogonal_gradient: bool = False  # to the weights of each tensor, after grokfast


@dataclass(frozen=True)
class Progress:
    """One row of the training table; losses in nats, on the batch that the next step would use.

    For pairs of numbers, `minibatch_loss_nats` is the loss on the training pairs and `loss_nats` that on all pairs.
    """

    step: int
    tokens_seen: int
    learning_rate: float
    minibatch_loss_nats: float
    loss_nats: float
    optimal_loss_nats: float
    gap_nats: float
    accuracy: float = math.nan
    held_out_loss_nats: float = math.nan
    held_out_accuracy: float = math.nan


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """The learning rate at a step as a fraction of its peak."""
    warmup = max(1, round(recipe.warmup_fraction * recipe.steps))
    if step < warmup:
        return (step + 1) / warmup
    if recipe.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, recipe.steps - warmup)))


def snapshot_steps(first: int, steps: int, n_snapshots: int) -> list[int]:
    """Step 0, and from `first` to the last step others spaced evenly in their logarithm."""
    later = np.geomspace(min(first, steps), steps, n_snapshots - 1) if n_snapshots > 2 else [steps]
    return sorted({0, *(round(step) for step in later)})


def build_optimizer(parameters: Tensor, recipe: Recipe) -> torch.optim.Optimizer:
    settings = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer == "sgd":
        return torch.optim.SGD([parameters], **settings)
    return torch.optim.AdamW([parameters], betas=(BETA1, recipe.beta2), **settings)


BETA1 = 0.9
"""Of adamw: decay of the mean gradient."""

OPTIMIZER_PREFIX = "optimizer "
"""The prefix of the names of the optimiser's arrays in the state of a run."""

SLOW_GRADIENT = "slow gradient"
"""The name of the moving average of grokfast there."""


class TrainingRun:
    """The state of a training run at the start of a step: network, optimiser, and the records so far.

    The rest of the run is a function of this state and the batches: the learning rate follows from the step, and no
    random number is drawn after initialisation. The network's parameters are views of ``vector``, so
    that the optimiser's step is one operation.
    """

    def __init__(self, model: HookedNetwork, recipe: Recipe):
        self.model, self.recipe = model, recipe
        self.names, self.parameters = zip(*model.named_parameters(), strict=True)
        self.vector = torch.cat([parameter.detach().flatten() for parameter in self.parameters])
        for parameter, part in zip(self.parameters, cut(self.vector, self.parameters), strict=True):
            parameter.data = part
        trained = [torch.full((p.numel(),), model.trains(name)) for name, p in model.named_parameters()]
        self.is_trained = torch.cat(trained).to(self.vector.device)
        self.optimizer = build_optimizer(self.vector, recipe)
        self.slow_gradient: Float[Tensor, " parameter"] | None = None
        self.step = 0
        self.snapshots: list[Float[ndarray, " parameter"]] = []
        self.rows: list[Progress] = []

    @property
    def learning_rate(self) -> float:
        return self.recipe.learning_rate * learning_rate_factor(self.step, self.recipe)

    def descend(self, gradient: Float[Tensor, " parameter"]) -> None:
        """Take one step of the optimiser on the filtered gradient."""
        self.vector.grad = self.filtered(gradient * self.is_trained)
        self.optimizer.param_groups[0]["lr"] = self.learning_rate
        self.optimizer.step()
        self.step += 1

    def filtered(self, gradient: Float[Tensor, " parameter"]) -> Float[Tensor, " parameter"]:
        """The gradient as the recipe's filters leave it to the optimiser."""
        if self.recipe.grokfast is not None:
            gradient, self.slow_gradient = amplified(gradient, self.slow_gradient, self.recipe.grokfast)
        if self.recipe.orthogonal_gradient:
            parts = zip(cut(gradient, self.parameters), self.parameters, strict=True)
            gradient = flattened(orthogonal(part, parameter.detach()) for part, parameter in parts)
        return gradient

    def stacked(self) -> dict[str, Float[ndarray, "snapshot ..."]]:
        """The parameters at the snapshots so far, by name."""
        return dict(zip(self.names, cut(np.stack(self.snapshots), self.parameters), strict=True))

    def state(self) -> dict[str, ndarray]:
        """The complete state as named arrays, from which `restore` continues bit for bit."""
        arrays = {"step": np.array(self.step), "rows": np.array([astuple(row) for row in self.rows])}
        optimizer = {
            f"{OPTIMIZER_PREFIX}{key}": _array(value) for key, value in self.optimizer.state[self.vector].items()
        }
        slow = {} if self.slow_gradient is None else {SLOW_GRADIENT: _array(self.slow_gradient)}
        return arrays | {"parameters": _array(self.vector), "snapshots": np.stack(self.snapshots)} | optimizer | slow

    def restore(self, arrays: dict[str, ndarray]) -> None:
        """Replace this run by the one whose `state` these arrays are."""
        self.step = int(arrays["step"])
        self.rows = [Progress(int(step), int(seen), *losses) for step, seen, *losses in arrays["rows"].tolist()]
        self.snapshots = list(arrays["snapshots"])
        self.vector.copy_(torch.from_numpy(arrays["parameters"]))
        if SLOW_GRADIENT in arrays:
            self.slow_gradient = torch.from_numpy(arrays[SLOW_GRADIENT]).to(self.vector.device)
        for name, array in arrays.items():  # plain gradient descent has no state
            if name.startswith(OPTIMIZER_PREFIX):
                value = torch.from_numpy(array).to(self.vector.device)
                self.optimizer.state[self.vector][name.removeprefix(OPTIMIZER_PREFIX)] = value


def train(
    run: TrainingRun,
    engine: GradientEngine,
    batches: Iterable[Batch | PairBatch],
    snapshots: list[int],
    log_steps: set[int],
    each_step: Callable[[TrainingRun], None],
) -> None:
    """Train a network in place on the batches from ``run.step`` to the last; one batch more is only measured.

    `each_step` is called after each step. The batches of `log_steps` have their ``optimum``.
    """
    for batch in batches:
        if run.step in snapshots:
            run.snapshots.append(_array(run.vector))
        loss, log_probability, gradient = engine(batch)
        if run.step in log_steps:
            measured = measure_pairs if isinstance(batch, PairBatch) else measure
            run.rows.append(measured(run, batch, log_probability, loss))
        if run.step == run.recipe.steps:
            break
        run.descend(gradient)
        each_step(run)


def _array(tensor: Tensor) -> ndarray:
    return tensor.detach().cpu().numpy().copy()


def measure(
    run: TrainingRun,
    batch: Batch,
    log_probability: Float[ndarray | Tensor, "node token"],
    loss: float | Float[Tensor, ""],
) -> Progress:
    """The expected loss on a batch's prefixes, over the exact distribution of the next token, and its optimum.

    The gap between the two is the mean Kullback-Leibler divergence of the prediction from the optimal one, without
    the noise of sampled labels.
    """
    if isinstance(log_probability, Tensor):
        log_probability, loss = _array(log_probability), float(loss.detach())
    expected = float(batch.weight @ -(batch.optimum * log_probability).sum(axis=1))
    optimal = float(batch.weight @ next_token_entropy_nats(batch.optimum))
    return Progress(*_place(run, batch), loss, expected, optimal, expected - optimal)


def measure_pairs(
    run: TrainingRun, batch: PairBatch, log_probability: Float[Tensor, "pair token"], loss: Float[Tensor, ""]
) -> Progress:
    """Loss and accuracy on the training pairs and on the held-out pairs."""
    n_trained, n_held_out = batch.trained.shape[1], batch.held_out.shape[1]
    accuracy, loss = _accuracy(log_probability, batch.trained[2]), float(loss.detach())
    held_out_loss = held_out_accuracy = math.nan
    expected = loss
    if n_held_out:
        with torch.no_grad():
            unseen = pair_log_probability(run, batch.held_out, batch.last)
        held_out_accuracy = _accuracy(unseen, batch.held_out[2])
        held_out_loss = -float(unseen.cpu().numpy()[np.arange(n_held_out), batch.held_out[2]].mean())
        expected = (n_trained * loss + n_held_out * held_out_loss) / (n_trained + n_held_out)
    return Progress(*_place(run, batch), loss, expected, 0.0, expected, accuracy, held_out_loss, held_out_accuracy)


def pair_log_probability(run: TrainingRun, pairs: Integer[ndarray, "3 pair"], last: int) -> Float[Tensor, "pair token"]:
    """The prediction at the token `last` after each pair of numbers."""
    first, second, _ = torch.from_numpy(pairs).to(run.vector.device)
    return run.model.log_probability(folded_logits(dict(run.model.named_parameters()), first, second, last))


def _place(run: TrainingRun, batch: Batch | PairBatch) -> tuple[int, int, float]:
    return run.step, run.step * batch.n_positions, run.learning_rate


def _accuracy(log_probability: Float[Tensor, "pair token"], answer: Integer[ndarray, " pair"]) -> float:
    return float((log_probability.argmax(1).cpu().numpy() == answer).mean())
