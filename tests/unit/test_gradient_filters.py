"""Filters of the gradient and StableMax, beside training in plain PyTorch with a loop over its parameters."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from extract_activations import read_chunks
from geometry.interventions.patching import PatchedPrefixes
from geometry.networks.build import build_network
from geometry.networks.extraction import log_probabilities
from geometry.networks.input_layout import PackedTree
from geometry.networks.one_layer import folded_logits
from geometry.networks.predictions import log_probability
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from geometry.tasks.modular_arithmetic import ModularArithmetic
from geometry.training.batches import full_distribution_batch, pair_batch
from geometry.training.engines import gradient_engine
from geometry.training.gradient_filters import orthogonal
from geometry.training.train import Recipe, TrainingRun, measure_pairs

SHAPE = {"n_layers": 1, "d_model": 6, "bos": False}
TRANSFORMER = {"architecture": "transformer", "n_heads": 2, "d_head": 3, "d_mlp": 7, "activation": "relu"}
MODELS = {
    "compiled": {**SHAPE, **TRANSFORMER, "normalization": "LN"},
    "automatic": {**SHAPE, "architecture": "gru"},
    "compiled, StableMax": {**SHAPE, **TRANSFORMER, "normalization": "LN", "bos": True, "output": "stablemax"},
    "automatic, StableMax": {**SHAPE, "architecture": "gru", "output": "stablemax"},
}
N_STEPS = 6
RECIPE = Recipe("full_distribution", "adamw", 0.02, 0.3, "constant", 0.0, N_STEPS, 0.98)


def network_of(model, process):
    network = build_network(process.n_tokens, 3, model).double()
    network.initialize(torch.Generator().manual_seed(3))
    return network


def predicted(logits, output):
    """Probabilities as published: s(x) over their sum."""
    s = torch.where(logits < 0, 1 / (1 - logits.clamp(max=0)), logits + 1) if output == "stablemax" else logits.exp()
    return s / s.sum(1, keepdim=True)


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
        probability = predicted(network(*batch.network_input(torch.device("cpu"))), network.config.output)
        (-(target * probability[:, : target.shape[1]].log()).sum()).backward()
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
    batch = full_distribution_batch(process, complete_tree(process, 3, 100), MODELS[engine]["bos"])
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


def test_pairs_of_numbers_have_the_published_loss_of_stablemax_and_its_gradient():
    task = ModularArithmetic(7, train_fraction=0.6)
    network = network_of(MODELS["compiled, StableMax"] | {"normalization": "none", "bos": False}, task)
    pairs = pair_batch(task)
    first, second, answer = torch.from_numpy(pairs.trained)
    logits = folded_logits(dict(network.named_parameters()), first, second, task.equals)
    loss = -predicted(logits, "stablemax").log()[torch.arange(len(answer)), answer].mean()
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))])
    run = TrainingRun(network, RECIPE)
    found, predictions, gradient = gradient_engine(run.model, run.vector, "pairs")(pairs)
    torch.testing.assert_close(found, loss.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)
    row = measure_pairs(run, pairs, predictions, found)
    a, b, right = torch.from_numpy(pairs.held_out)
    unseen = predicted(folded_logits(dict(network.named_parameters()), a, b, task.equals), "stablemax").log()
    assert row.held_out_loss_nats == pytest.approx(-float(unseen[torch.arange(len(right)), right].detach().mean()))


@pytest.mark.parametrize("bos", [False, True])
def test_predictions_after_training_are_those_of_the_loss(bos):
    """Those that are stored with the activations, those of an imported network, and those of a steered one."""
    process = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
    network = network_of(MODELS["compiled, StableMax"] | {"bos": bos}, process).float()
    tree, bos_token = complete_tree(process, 3, 100), process.n_tokens if bos else None
    tokens, parent, position = map(torch.from_numpy, tree.network_input(bos_token))
    with torch.no_grad():
        logits = network(tokens, PackedTree(parent, position, network.config.n_ctx)).double()
    expected = predicted(logits, "stablemax").log()[int(bos) :, : process.n_tokens].numpy()
    nodes = tree.network_input(bos_token)
    ((stored, _),) = read_chunks(network, nodes, int(bos), ["blocks.0.hook_resid_post"], len(tree))
    imported = log_probabilities(network, tree, process.n_tokens, bos)
    prefix = np.flatnonzero(tree.length == 2)
    steered = PatchedPrefixes(network, tree, prefix, np.zeros((len(prefix), 1), int), bos).unchanged
    for found, wanted in ((stored[:, : process.n_tokens], expected), (imported, expected), (steered, expected[prefix])):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_stablemax_of_sure_float32_logits_keeps_a_gradient():
    """Where the share of all other tokens is below float32's rounding of 1, as in its softmax it would vanish."""
    logits = torch.full((1, 3), -2.0e4)
    logits[0, 0] = 2.0e4
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(-log_probability(logits, "stablemax")[0, 0], logits)
    others = 2 / (2.0e4 + 1) ** 2
    np.testing.assert_allclose(gradient, [[-others / (2.0e4 + 1), *[others / 2 / (2.0e4 + 1)] * 2]], rtol=1e-5)
