"""What runs on a GPU gives the numbers of the CPU, and equal bytes each time. Skipped without a CUDA device."""

from copy import deepcopy
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from test_recurrent import SHAPES as RECURRENT
from test_transformer import SHAPES as TRANSFORMERS
from test_transformer import random_network

from geometry.networks.build import build_network
from geometry.networks.devices import disagreement_with_cpu, select_device
from geometry.networks.extraction import tree_activations
from geometry.networks.hook_points import hook_point_names
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.sampling import sample_process
from geometry.tasks.modular_arithmetic import ModularArithmetic
from geometry.training.batches import dense_batch, packed_batch, pair_batch
from geometry.training.engines import gradient_engine
from geometry.training.gpu_gradient import EnsembleGradient
from geometry.training.train import Recipe, TrainingRun, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

MESS3 = process_from_config("mess3", {"x": 0.1, "alpha": 0.7})
TRANSFORMER, CONTEXT, STEPS = {**TRANSFORMERS[0], "bos": True}, 5, 40
RECIPE = Recipe("sampled", "adamw", 0.01, 0.01, "one_cycle", 0.1, STEPS)
MODULAR_NETWORK = {"n_heads": 2, "d_model": 12, "d_head": 5, "d_mlp": 17, "activation": "relu"}
MODELS = [TRANSFORMER, *RECURRENT]
IDS = ["transformer", *(model["architecture"] for model in RECURRENT)]


@pytest.fixture(scope="module")
def gpu():
    yield select_device("cuda", 1)
    torch.use_deterministic_algorithms(False)


def new_run(model, recipe, device, seed=0):
    network = build_network(3, CONTEXT, model)
    network.initialize(torch.Generator().manual_seed(seed))
    return TrainingRun(network.to(device), recipe)


def batches_of(recipe, bos, form=packed_batch):
    words = sample_process(MESS3, 64 * (recipe.steps + 1), CONTEXT + 1, np.random.default_rng(0))
    return [form(batch, MESS3, bos, recipe.labels, with_optimum=True) for batch in words.reshape(-1, 64, CONTEXT + 1)]


def trained(model, recipe, device, each_step=lambda run: None, run=None, form=packed_batch):
    run = new_run(model, recipe, device) if run is None else run
    batches = batches_of(recipe, model["bos"], form)[run.step :]
    engine = gradient_engine(run.model, run.vector, batches[0].kind)
    train(run, engine, batches, [0, 20, recipe.steps], {0, 10, 20, recipe.steps}, each_step)
    return run


def assert_equal_bytes(run, wanted):
    found, expected = run.state(), wanted.state()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


def test_small_network_agrees_with_the_cpu(gpu):
    assert disagreement_with_cpu(gpu) < 1e-5


def test_captured_step_replays_what_evaluation_gives(gpu):
    network = random_network(TRANSFORMER, 3, CONTEXT, torch.float32)
    vectors = torch.stack([torch.cat([p.detach().flatten() for p in network.parameters()])] * 2).to(gpu)
    on_cpu, captured = EnsembleGradient(network), EnsembleGradient(deepcopy(network).to(gpu))
    for n in (20, 400, 20, 400):  # each size is captured once and replayed, the weights moving in between
        vectors += 0.01
        words = sample_process(MESS3, 2 * n, CONTEXT + 1, np.random.default_rng(n)).reshape(2, n, CONTEXT + 1)
        batches = [packed_batch(word, MESS3, True, "sampled", False) for word in words]
        for value, wanted in zip(captured(vectors, batches), on_cpu(vectors.cpu(), batches), strict=True):
            torch.testing.assert_close(value.cpu(), wanted, rtol=1e-4, atol=1e-5)
    assert len(captured.graphs) == 2


@pytest.mark.parametrize("form", [packed_batch, dense_batch])
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_training_follows_that_on_the_cpu_and_ends_in_equal_bytes_each_time(gpu, model, form):
    on_cpu, on_gpu, again = (trained(model, RECIPE, device, form=form) for device in ("cpu", gpu, gpu))
    for row, wanted in zip(on_gpu.rows, on_cpu.rows, strict=True):
        np.testing.assert_allclose(astuple(row), astuple(wanted), rtol=1e-3, atol=1e-4)
    assert_equal_bytes(again, on_gpu)


@pytest.mark.parametrize("own", [{}, {"optimizer": "sgd"}, {"grokfast": {"alpha": 0.9, "amplitude": 2.0}}])
@pytest.mark.parametrize("model", MODELS[:2], ids=IDS[:2])
def test_run_that_goes_on_from_its_saved_state_ends_in_the_same_bytes(gpu, model, own):
    recipe, saved = replace(RECIPE, **own), {}

    def save(run):
        if run.step == 13:
            saved.update(run.state())

    undisturbed = trained(model, recipe, gpu, save)
    resumed = new_run(model, recipe, gpu, seed=5)
    resumed.restore(saved)
    assert_equal_bytes(trained(model, recipe, gpu, run=resumed), undisturbed)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_activations_and_predictions_are_those_of_the_cpu(gpu, model):
    network, sites = random_network(model, 3, CONTEXT, torch.float32), hook_point_names(model)
    nodes = complete_tree(MESS3, CONTEXT, 10**4).network_input(3 if model["bos"] else None)

    def read(device):
        chunks = tree_activations(network.to(device), *nodes, sites, 100, int(model["bos"]))
        parts = [(torch.stack([record[site] for site in sites]), logits) for _, record, logits in chunks]
        return torch.cat([a for a, _ in parts], dim=1).cpu(), torch.cat([logits for _, logits in parts]).cpu()

    for value, wanted, again in zip(read(gpu), read("cpu"), read(gpu), strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-4)
        assert torch.equal(value, again)


def test_modular_addition_trains_as_on_the_cpu(gpu):
    task, recipe = ModularArithmetic(7), Recipe("full_distribution", "adamw", 0.01, 1.0, "constant", 0.0, 20)
    model = {"architecture": "transformer", "n_layers": 1, "normalization": "none", "bos": False} | MODULAR_NETWORK

    def run_on(device):
        network = build_network(task.n_tokens, 3, model)
        network.initialize(torch.Generator().manual_seed(0))
        run, pairs = TrainingRun(network.to(device), recipe), pair_batch(task)
        train(
            run, gradient_engine(run.model, run.vector, "pairs"), [pairs] * 21, [0, 20], {0, 10, 20}, lambda run: None
        )
        return run

    on_cpu, on_gpu = run_on("cpu"), run_on(gpu)
    for row, wanted in zip(on_gpu.rows, on_cpu.rows, strict=True):
        np.testing.assert_allclose(astuple(row), astuple(wanted), rtol=1e-3, atol=1e-4)
    assert_equal_bytes(run_on(gpu), on_gpu)
