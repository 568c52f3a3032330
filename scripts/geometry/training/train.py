"""Training a network to predict the next token, each distinct prefix of a batch computed once."""

import math
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.one_layer import folded_gradient, folded_logits
from geometry.networks.transformer import Transformer
from geometry.processes.entropy import next_token_entropy_nats
from geometry.training.batches import Batch, PairBatch
from geometry.training.cpu_gradient import TreeGradient, cut
from geometry.training.gpu_gradient import EnsembleGradient


@dataclass(frozen=True)
class Recipe:
    """How to train; the keys of the config's training section that shape the result."""

    labels: str  # sampled next tokens, or exact conditional distributions: of words, or of the whole tree
    optimizer: str  # adamw or sgd
    learning_rate: float
    weight_decay: float
    schedule: str  # linear warm-up, then constant, or (one_cycle) a cosine to 0
    warmup_fraction: float
    steps: int
    beta2: float = 0.999  # of adamw: how slowly the mean of squared gradients forgets


@dataclass(frozen=True)
class Progress:
    """One row of the training table; losses in nats, of the batch that the next step would use.

    Of pairs of numbers, `minibatch_loss_nats` is the loss on those that are trained on, `loss_nats` that on all.
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
"""Of adamw: how slowly the mean gradient forgets."""

OF_OPTIMIZER = "optimizer "
"""How the names of the optimiser's arrays begin in the state of a run."""


class TrainingRun:
    """A training run at the start of a step: network, optimiser, and what was recorded so far.

    Nothing else shapes the rest of it: the learning rate and the batch follow from the step, and no
    random number is drawn after initialisation. The network's parameters are views of one vector, so
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
        self.step = 0
        self.snapshots: list[Float[ndarray, " parameter"]] = []
        self.rows: list[Progress] = []

    @property
    def learning_rate(self) -> float:
        return self.recipe.learning_rate * learning_rate_factor(self.step, self.recipe)

    def loss_and_gradient(
        self, batch: Batch | PairBatch
    ) -> tuple[float | Tensor, ndarray | Tensor, Float[Tensor, " parameter"]]:
        """The loss on a batch, the log-probability of each token at each node, and the gradient."""
        if isinstance(batch, PairBatch):
            return self._pairs_gradient(batch)
        if batch.parent is None or not isinstance(self.model, Transformer):
            return self._automatic_gradient(batch)
        if self.vector.device.type == "cpu":
            nodes = batch.tokens, batch.parent, batch.position
            loss, log_probability, gradient = self.tree_gradient(*nodes, batch.target)
            return loss, log_probability, torch.from_numpy(gradient)
        loss, log_probability, gradient = self.ensemble_gradient(self.vector[None], [batch])
        return loss[0], log_probability[0, : len(batch.tokens)], gradient[0]

    @cached_property
    def tree_gradient(self) -> TreeGradient:
        return TreeGradient(self.model)

    @cached_property
    def ensemble_gradient(self) -> EnsembleGradient:
        return EnsembleGradient(self.model)

    def _automatic_gradient(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        target = torch.from_numpy(batch.target).to(self.vector)
        log_probability = F.log_softmax(self.model(*batch.network_input(self.vector.device)), dim=1)
        log_probability = log_probability[:, : target.shape[1]]
        loss = -(target * log_probability).sum()
        gradients = torch.autograd.grad(loss, self.parameters)
        return loss, log_probability, torch.cat([gradient.flatten() for gradient in gradients])

    def log_probability(self, asked: Integer[ndarray, "3 pair"], last: int) -> Float[Tensor, "pair token"]:
        """The prediction for each of some pairs of numbers."""
        first, second, _ = torch.from_numpy(asked).to(self.vector.device)
        return folded_logits(dict(self.model.named_parameters()), first, second, last).log_softmax(1)

    def _pairs_gradient(self, batch: PairBatch) -> tuple[Tensor, Tensor, Tensor]:
        asked = torch.from_numpy(batch.trained).to(self.vector.device)
        parameters = dict(self.model.named_parameters())
        loss, log_probability, gradients = folded_gradient(parameters, *asked, batch.last)
        return loss, log_probability, torch.cat([gradient.flatten() for gradient in gradients])

    def descend(self, gradient: Float[Tensor, " parameter"]) -> None:
        """One step of the optimiser."""
        self.vector.grad = gradient * self.is_trained
        self.optimizer.param_groups[0]["lr"] = self.learning_rate
        self.optimizer.step()
        self.step += 1

    def take_snapshot(self) -> None:
        self.snapshots.append(_array(self.vector))

    def stacked(self) -> dict[str, Float[ndarray, "snapshot ..."]]:
        """Each parameter at the snapshots so far."""
        return dict(zip(self.names, cut(np.stack(self.snapshots), self.parameters), strict=True))

    def state(self) -> dict[str, ndarray]:
        """All of it as named arrays, from which `restore` goes on bit for bit."""
        arrays = {"step": np.array(self.step), "rows": np.array([astuple(row) for row in self.rows])}
        optimizer = {f"{OF_OPTIMIZER}{key}": _array(value) for key, value in self.optimizer.state[self.vector].items()}
        return arrays | {"parameters": _array(self.vector), "snapshots": np.stack(self.snapshots)} | optimizer

    def restore(self, arrays: dict[str, ndarray]) -> None:
        """Become the run whose `state` these arrays are."""
        self.step = int(arrays["step"])
        self.rows = [Progress(int(step), int(seen), *losses) for step, seen, *losses in arrays["rows"].tolist()]
        self.snapshots = list(arrays["snapshots"])
        self.vector.copy_(torch.from_numpy(arrays["parameters"]))
        for name, array in arrays.items():  # plain gradient descent has no state
            if name.startswith(OF_OPTIMIZER):
                value = torch.from_numpy(array).to(self.vector.device)
                self.optimizer.state[self.vector][name.removeprefix(OF_OPTIMIZER)] = value


def train(
    run: TrainingRun,
    batches: Iterable[Batch | PairBatch],
    snapshots: list[int],
    log_steps: set[int],
    each_step: Callable[[TrainingRun], None],
) -> None:
    """Train a network in place on the batches from ``run.step`` to the last; one batch more is only measured.

    `each_step` is called after each step. A batch that is measured knows its optimum.
    """
    for batch in batches:
        if run.step in snapshots:
            run.take_snapshot()
        loss, log_probability, gradient = run.loss_and_gradient(batch)
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
    """The loss on a batch's prefixes in expectation over their next tokens, beside its optimum.

    With the exact conditional distributions in place of the sampled tokens, the gap is a mean
    Kullback-Leibler divergence, free of the label noise that would drown it.
    """
    if isinstance(log_probability, Tensor):
        log_probability, loss = _array(log_probability), float(loss.detach())
    expected = float(batch.weight @ -(batch.optimum * log_probability).sum(axis=1))
    optimal = float(batch.weight @ next_token_entropy_nats(batch.optimum))
    return Progress(*_place(run, batch), loss, expected, optimal, expected - optimal)


def measure_pairs(
    run: TrainingRun, batch: PairBatch, log_probability: Float[Tensor, "pair token"], loss: Float[Tensor, ""]
) -> Progress:
    """Loss and accuracy on the pairs that are trained on, and on those that are held out."""
    n_trained, n_held_out = batch.trained.shape[1], batch.held_out.shape[1]
    accuracy, loss = _accuracy(log_probability, batch.trained[2]), float(loss.detach())
    held_out_loss = held_out_accuracy = math.nan
    expected = loss
    if n_held_out:
        with torch.no_grad():
            unseen = run.log_probability(batch.held_out, batch.last)
        held_out_accuracy = _accuracy(unseen, batch.held_out[2])
        held_out_loss = -float(unseen.cpu().numpy()[np.arange(n_held_out), batch.held_out[2]].mean())
        expected = (n_trained * loss + n_held_out * held_out_loss) / (n_trained + n_held_out)
    return Progress(*_place(run, batch), loss, expected, 0.0, expected, accuracy, held_out_loss, held_out_accuracy)


def _place(run: TrainingRun, batch: Batch | PairBatch) -> tuple[int, int, float]:
    return run.step, run.step * batch.n_positions, run.learning_rate


def _accuracy(log_probability: Float[Tensor, "pair token"], answer: Integer[ndarray, " pair"]) -> float:
    return float((log_probability.argmax(1).cpu().numpy() == answer).mean())
