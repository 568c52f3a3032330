"""Filters of the gradient, beside training in plain PyTorch with a loop over its parameters."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from geometry.networks.build import build_network
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from geometry.training.batches import full_distribution_batch
from geometry.training.engines import gradient_engine
from geometry.training.gradient_filters import orthogonal
from geometry.training.train import Recipe, TrainingRun

SHAPE = {"n_layers": 1, "d_model": 6, "bos": False}
TRANSFORMER = {"architecture": "transformer", "n_heads": 2, "d_head": 3, "d_mlp": 7, "activation": "relu"}
MODELS = {
    "compiled": {**SHAPE, **TRANSFORMER, "normalization": "LN"},
    "automatic": {**SHAPE, "architecture": "gru"},
}
N_STEPS = 6
RECIPE = Recipe("full_distribution", "adamw", 0.02, 0.3, "constant", 0.0, N_STEPS, 0.98)


def network_of(model, process):
    network = build_network(process.n_tokens, 3, model).double()
    network.initialize(torch.Generator().manual_seed(3))
    return network


def trained_naively(network, batch, recipe):
    """The parameters after the steps: as published, tensor by tensor, with PyTorch's optimiser."""
    parameters, slow = dict(network.named_parameters()), {}
    kinds = {
        "adamw": lambda: torch.optim.AdamW(
            parameters.values(), recipe.learning_rate, (0.9, recipe.beta2), weight_decay=recipe.weight_decay
        ),
        "sgd": lambda: torch.optim.SGD(parameters.values(), recipe.learning_rate, weight_decay=recipe.weight_decay),
    }
    optimizer, target = kinds[recipe.optimizer](), torch.from_numpy(batch.target)
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        logits = network(*batch.network_input(torch.device("cpu")))
        F.cross_entropy(logits, target / target.sum(1, keepdim=True), reduction="none").mul(
            target.sum(1)
        ).sum().backward()
        for name, parameter in parameters.items():
            gradient = parameter.grad.numpy().ravel()
            if recipe.grokfast:
                alpha, amplitude = recipe.grokfast["alpha"], recipe.grokfast["amplitude"]
                slow[name] = alpha * slow.get(name, gradient) + (1 - alpha) * gradient
                gradient = gradient + amplitude * slow[name]
            if recipe.orthogonal_gradient:
                weights = parameter.detach().numpy().ravel()
                rest = gradient - (weights @ gradient) / (weights @ weights + 1e-30) * weights
                gradient = rest * np.linalg.norm(gradient) / (np.linalg.norm(rest) + 1e-30)
            parameter.grad.copy_(torch.from_numpy(gradient).reshape(parameter.shape))
        optimizer.step()
    return {name: parameter.detach() for name, parameter in parameters.items()}


@pytest.mark.parametrize("engine", MODELS)
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("grokfast", [None, {"alpha": 0.8, "amplitude": 3.0}])
@pytest.mark.parametrize("orthogonal_gradient", [False, True])
def test_filtered_training_is_that_of_a_loop_over_the_tensors(engine, optimizer, grokfast, orthogonal_gradient):
    process = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
    batch = full_distribution_batch(process, complete_tree(process, 3, 100), False)
    recipe = replace(RECIPE, optimizer=optimizer, grokfast=grokfast, orthogonal_gradient=orthogonal_gradient)
    run = TrainingRun(network_of(MODELS[engine], process), recipe)
    gradient = gradient_engine(run.model, run.vector, batch.kind)
    for _ in range(N_STEPS):
        run.descend(gradient(batch).gradient)
    expected = trained_naively(network_of(MODELS[engine], process), batch, recipe)
    for name, parameter in run.model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], rtol=0, atol=1e-6)


def test_orthogonal_gradient_keeps_the_norm_and_leaves_nothing_along_the_weights():
    generator = torch.Generator().manual_seed(0)
    gradient, weights = torch.randn(2, 4, 5, generator=generator)
    found = orthogonal(gradient, weights)
    assert float((found * weights).sum()) == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(found.norm(), gradient.norm())
    assert float((found * gradient).sum()) > 0


@pytest.mark.parametrize("factor", [-0.3, 0.0, 7.0])
def test_gradient_along_the_weights_has_no_orthogonal_part(factor):
    """Its rounding is not rescaled to a direction."""
    weights = torch.randn(50, generator=torch.Generator().manual_seed(0))
    assert not orthogonal(factor * weights, weights).any()
    torch.testing.assert_close(orthogonal(weights, torch.zeros(50)), weights)
