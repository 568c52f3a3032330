"""Modular arithmetic as a task: its words, its circles, what is trained on, and training on pairs alone."""

import logging

import numpy as np
import pytest
import torch
from run_datasets import activations_dataset
from torch.nn import functional as F

from geometry.networks.input_layout import PackedTree
from geometry.networks.one_layer import folded_logits
from geometry.networks.transformer import Transformer, TransformerConfig
from geometry.probing.design import modular_design
from geometry.processes.prefix_tree import scored_positions, tree_of
from geometry.processes.process import ProcessError
from geometry.storage import open_dataset
from geometry.tables import select
from geometry.tasks.ground_truth import modular_ground_truth
from geometry.tasks.modular_arithmetic import ModularArithmetic, circles
from geometry.training.batches import pair_batch
from geometry.training.engines import gradient_engine
from geometry.training.train import Recipe, TrainingRun
from probe_beliefs import Probe, probe_run
from score_baselines import score_baselines


def test_ground_truth_asks_only_behind_the_equals_sign_and_knows_the_answer():
    task = ModularArithmetic(7, "subtraction", 0.4, 3)
    truth = modular_ground_truth(task)
    tree, where = tree_of(truth), scored_positions(truth)
    assert where.start == 7 + 49 and truth["weight"].values.sum() == pytest.approx(1)
    for node in range(where.start, len(tree)):
        pair = tree.parent[node]
        a, b = tree.last_token[tree.parent[pair]], tree.last_token[pair]
        assert tree.last_token[node] == 7 and truth["answer"].values[node] == (a - b) % 7
        assert truth["next_token_probability"].values[node].argmax() == (a - b) % 7
    np.testing.assert_allclose(truth["next_token_probability"].values.sum(axis=1), 1)
    assert truth["is_trained"].values.sum() == task.n_trained == 20


@pytest.mark.parametrize("modulus", [2, 3, 6, 53])
def test_circles_are_a_basis_of_all_functions_of_the_answer_but_the_constant(modulus):
    points = circles(np.arange(modulus), modulus)
    assert points.shape == (modulus, modulus - 1) and len(ModularArithmetic(modulus).component_names) == modulus - 1
    gram = points.T @ points
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)  # orthogonal, so independent
    np.testing.assert_allclose(points.sum(axis=0), 0, atol=1e-9)
    radius = (points**2).sum(axis=1)
    np.testing.assert_allclose(radius, modulus // 2)  # each circle has radius 1, that of p / 2 is the cosine's


@pytest.mark.parametrize("modulus", [2, 3, 53])
def test_product_stands_at_the_sum_of_the_angles_of_its_factors(modulus):
    task = ModularArithmetic(modulus, "multiplication")
    (first, second), places = task.pairs, task.places(task.answer)
    assert places.shape == (modulus**2, modulus - 1) and len(task.component_names) == modulus - 1
    np.testing.assert_array_equal(places[:, -1], (first == 0) | (second == 0))
    assert not places[task.answer == 0, :-1].any()
    for k in range((modulus - 2) // 2):  # the circles of a cosine and a sine
        waves = slice(2 * k, 2 * k + 2)
        turn = [task.places(number)[:, waves] @ (1, 1j) for number in (first, second)]
        np.testing.assert_allclose(places[:, waves] @ (1, 1j), turn[0] * turn[1], atol=1e-12)
    gram = task.places(np.arange(modulus)).T @ task.places(np.arange(modulus))
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)


def test_product_of_a_composite_modulus_stands_on_the_circles_of_residues():
    task = ModularArithmetic(15, "multiplication")
    np.testing.assert_array_equal(task.places(task.answer), circles(task.answer, 15))


def test_split_depends_on_its_seed_alone():
    one, same, other = (ModularArithmetic(11, split_seed=seed).is_trained for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()
    polynomial = ModularArithmetic(11, "polynomial", split_seed=1)
    assert (polynomial.is_trained == one).all() and polynomial.argument is None
    assert polynomial.answer[2 * 11 + 3] == (4 + 6 + 9) % 11


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"modulus": 1}, "modulus is 1; it must be a whole number from 2"),
        ({"modulus": 2.5}, "modulus is 2.5"),
        ({"modulus": 7, "operation": "division"}, "operation is 'division'; allowed are addition"),
        ({"modulus": 7, "train_fraction": 0}, "train_fraction is 0; it must be"),
        ({"modulus": 7, "train_fraction": 0.001}, "leaves none of 49 pairs"),
    ],
)
def test_impossible_task_is_refused(parameters, sentence):
    with pytest.raises(ProcessError, match=sentence):
        ModularArithmetic(**parameters)


def random_network(task: ModularArithmetic, biases: str = "all") -> Transformer:
    config = TransformerConfig(task.n_tokens, 3, 1, 2, 12, 5, 17, "relu", "none", biases)
    network = Transformer(config).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if network.trains(name):
                parameter.normal_(std=0.4, generator=generator)
    return network


NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
def test_folded_network_is_the_plain_one_with_the_same_gradient(device):
    task = ModularArithmetic(7)
    network, tree, pairs = random_network(task), task.tree, pair_batch(task)
    parameters = dict(network.named_parameters())
    first, second = (torch.from_numpy(number) for number in task.pairs)
    folded = folded_logits(parameters, first, second, task.equals)
    tokens, parent, position = (torch.from_numpy(array) for array in tree.network_input(None))
    plain = network(tokens, PackedTree(parent, position, 3))[-49:]
    torch.testing.assert_close(folded, plain, rtol=0, atol=1e-12)

    trained = torch.from_numpy(task.is_trained)
    loss = F.cross_entropy(plain[trained], torch.from_numpy(task.answer)[trained])
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))])
    run = TrainingRun(network.to(device), Recipe("full_distribution", "adamw", 0.01, 1.0, "constant", 0.0, 1))
    found, _, gradient = gradient_engine(run.model, run.vector, "pairs")(pairs)
    torch.testing.assert_close(found.cpu(), loss, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient.cpu(), expected, rtol=0, atol=1e-12)


def test_biases_that_are_not_trained_stay_zero():
    task = ModularArithmetic(7)
    run = TrainingRun(random_network(task, "mlp"), Recipe("full_distribution", "adamw", 0.01, 1.0, "constant", 0.0, 3))
    engine = gradient_engine(run.model, run.vector, "pairs")
    for _ in range(3):
        run.descend(engine(pair_batch(task)).gradient)
    still = {name: bool((p == 0).all()) for name, p in run.model.named_parameters() if ".b_" in name}
    assert [name for name, zero in still.items() if not zero] == ["blocks.0.mlp.b_in", "blocks.0.mlp.b_out"]


def test_probe_finds_the_planted_circle_and_no_other(tmp_path):
    task, rng = ModularArithmetic(13, train_fraction=0.6), np.random.default_rng(0)
    truth = modular_ground_truth(task)
    planted = circles(task.answer, 13)[:, 4:6] @ rng.normal(size=(2, 6)) + 0.01 * rng.normal(size=(169, 6))
    logits = np.zeros((1, 169, 14)) - np.log(14)
    values, sites = planted[None, None].astype(np.float32), ["blocks.0.hook_resid_post"]
    activations = activations_dataset(values, logits, sites, steps=[5])
    design, job = modular_design(task, {"folds": 3, "repeats": 2, "seed": 0}), logging.getLogger("test")
    table = probe_run(truth, activations, Probe(truth, design, {}, []), job, tmp_path / "decoded.zarr.zip")
    for split in ("held_out_prefix", "held_out_from_training", "held_out_subtree"):
        found = select(table, split=split, estimator="least_squares", metric="r2", features="activations")
        circle = select(found, target="circle").set_index("index")["value"]
        assert circle[3] > 0.99 and circle.drop(3).max() < 0.3
        r2 = found[found["target"] != "circle"].set_index("target")["value"]
        assert r2[["first_number_circles", "other_operation_circles", "shuffled_answer_circles"]].max() < 0.1
    baselines, _ = score_baselines(truth, design, np.eye(task.n_tokens))
    baselines = select(baselines, split="held_out_prefix", metric="r2", target="circle", index=3)
    assert select(baselines, site="input")["value"].max() < 0.1
    with open_dataset(tmp_path / "decoded.zarr.zip") as decoded:
        np.testing.assert_allclose(
            decoded["decoded_belief"][0, 0, 0, :, 4:6], circles(task.answer, 13)[:, 4:6], atol=0.1
        )
