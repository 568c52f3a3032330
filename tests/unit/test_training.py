"""Training: what a batch asks for, the schedule, and that the network reaches a known optimum."""

from dataclasses import astuple, replace

import numpy as np
import pytest
import torch

from geometry.networks.build import build_network
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.sampling import sample_process
from geometry.training.batches import dense_batch, full_distribution_batch, packed_batch, worth_packing
from geometry.training.engines import captured_tree_gradient, gradient_engine
from geometry.training.gpu_gradient import EnsembleGradient
from geometry.training.train import Recipe, TrainingRun, learning_rate_factor, snapshot_steps, train

MODEL = {"architecture": "transformer", "n_layers": 1, "n_heads": 1, "d_model": 16, "d_head": 8, "d_mlp": 32}
MODEL |= {"activation": "relu", "normalization": "LN"}
CPU = torch.device("cpu")
RECIPE = Recipe("sampled", "adamw", 0.01, 0.01, "one_cycle", 0.1, 60)


def new_run(process, recipe, bos, seed=0):
    network = build_network(process.n_tokens, 4, {**MODEL, "bos": bos})
    network.initialize(torch.Generator().manual_seed(seed))
    return TrainingRun(network, recipe)


def engine_of(run, kind="packed"):
    return gradient_engine(run.model, run.vector, kind)


def batches(process, recipe, bos, seed=0, form=packed_batch):
    words = sample_process(process, 64 * (recipe.steps + 1), 5, np.random.default_rng(seed)).reshape(-1, 64, 5)
    return [form(batch, process, bos, recipe.labels, with_optimum=True) for batch in words]


def trained(process, recipe, bos, seed=0):
    run = new_run(process, recipe, bos, seed)
    schedule = [0, 30, recipe.steps]
    train(run, engine_of(run), batches(process, recipe, bos, seed), schedule, {0, recipe.steps}, lambda run: None)
    return run


@pytest.mark.parametrize("bos", [False, True])
def test_batch_counts_each_position_once_the_last_included(bos):
    process = process_from_config("golden_mean", {})
    batch = packed_batch(np.array([[0, 1, 0], [0, 1, 0], [0, 0, 1]], np.uint8), process, bos, "sampled", False)
    expected = {True: [[3, 0], [1, 2], [0, 1], [2, 0]], False: [[1, 2], [0, 1], [2, 0]]}[bos]
    np.testing.assert_allclose(batch.target, np.array(expected) / (9 if bos else 6))


def test_exact_labels_are_the_expectation_of_sampled_ones():
    process = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
    words = sample_process(process, 200_000, 3, np.random.default_rng(0))
    sampled, exact = (packed_batch(words, process, False, labels, True) for labels in ("sampled", "exact"))
    np.testing.assert_array_equal(sampled.weight, exact.weight)
    assert np.abs(sampled.target - exact.target).max() < 5 * 0.5 / 400_000**0.5
    assert exact.target.sum() == pytest.approx(1)


@pytest.mark.parametrize("bos", [False, True])
def test_whole_tree_is_the_limit_of_many_words(bos):
    process = process_from_config("even", {"p": 0.3})
    words = sample_process(process, 400_000, 4, np.random.default_rng(0))
    sampled = packed_batch(words, process, bos, "exact", True)
    whole = full_distribution_batch(process, complete_tree(process, 3, 100), bos)
    for name in ("tokens", "parent", "position", "optimum"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(sampled, name))
    for name in ("target", "weight"):
        assert np.abs(getattr(whole, name) - getattr(sampled, name)).max() < 5 * 0.5 / 400_000**0.5
    assert whole.target.sum() == pytest.approx(1) and whole.weight.sum() == pytest.approx(1)


def test_words_are_packed_where_they_share_prefixes():
    mess3, rng = process_from_config("mess3", {"x": 0.05, "alpha": 0.85}), np.random.default_rng(0)
    assert worth_packing(sample_process(mess3, 64, 11, rng))
    assert not worth_packing(rng.integers(0, 200, (64, 11)).astype(np.uint8))


@pytest.mark.parametrize("bos", [False, True])
def test_words_side_by_side_are_trained_on_like_their_tree(bos):
    process, recipe = process_from_config("even", {}), replace(RECIPE, optimizer="sgd", learning_rate=0.5, steps=5)
    runs = [new_run(process, recipe, bos) for _ in range(2)]
    for run, form in zip(runs, (packed_batch, dense_batch), strict=True):
        read = batches(process, recipe, bos, form=form)
        train(run, engine_of(run, read[0].kind), read, [0, 5], {0, 5}, lambda run: None)
    for packed, plain in zip(runs[0].rows, runs[1].rows, strict=True):
        np.testing.assert_allclose(astuple(packed), astuple(plain), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(runs[0].vector, runs[1].vector, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bos", [False, True])
def test_engines_agree_on_one_batch(bos):
    """The engine of a GPU is evaluated on the CPU here, without a capture; the dense batch has other nodes."""
    process = process_from_config("even", {})
    run = new_run(process, RECIPE, bos)
    packed, dense = (batches(process, RECIPE, bos, form=form)[0] for form in (packed_batch, dense_batch))
    compiled = engine_of(run, packed.kind)(packed)
    automatic = gradient_engine(run.model, run.vector, dense.kind)(dense)
    captured = captured_tree_gradient(EnsembleGradient(run.model), run.vector, packed)
    for found in (automatic, captured):
        assert float(found.loss.detach()) == pytest.approx(compiled.loss, rel=1e-5)
        torch.testing.assert_close(found.gradient, compiled.gradient, rtol=1e-3, atol=1e-5)
    expected = torch.from_numpy(compiled.log_probability)
    torch.testing.assert_close(captured.log_probability, expected, rtol=1e-4, atol=1e-5)


def test_one_cycle_rises_to_the_peak_and_falls_to_zero():
    factors = np.array([learning_rate_factor(step, RECIPE) for step in range(61)])
    assert factors[5] == 1 and (np.diff(factors[:6]) > 0).all()
    assert (np.diff(factors[6:]) < 0).all() and factors[60] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("first", "steps", "n"), [(10, 1, 2), (1, 10, 5), (10, 983_140, 20), (10, 4, 7), (1, 1, 3)])
def test_snapshots_begin_untrained_and_end_trained(first, steps, n):
    schedule = snapshot_steps(first, steps, n)
    assert schedule[0] == 0 and schedule[-1] == steps and schedule == sorted(set(schedule)) and len(schedule) <= n


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("labels", ["sampled", "exact"])
def test_training_approaches_the_optimum_and_never_passes_it(bos, labels):
    recipe = Recipe(labels, "adamw", 0.01, 0.01, "one_cycle", 0.1, 60)
    run = trained(process_from_config("even", {}), recipe, bos)
    rows, stacks = run.rows, run.stacked()
    assert rows[0].gap_nats > 0.1 and 0 <= rows[-1].gap_nats < 0.2 * rows[0].gap_nats
    assert rows[-1].tokens_seen == 60 * 64 * 4
    for name, parameter in run.model.named_parameters():
        np.testing.assert_array_equal(stacks[name][-1], parameter.detach().numpy())
        assert stacks[name].shape == (3, *parameter.shape)


def test_sgd_step_is_the_gradient_times_the_rate():
    process = process_from_config("even", {})
    recipe = Recipe("exact", "sgd", 0.5, 0.0, "constant", 0.0, 1)
    first, last = batches(process, recipe, False)
    run = new_run(process, recipe, bos=False)
    network = run.model
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    loss = -(torch.from_numpy(first.target).float() * network(*first.network_input(CPU)).log_softmax(1)).sum()
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    train(run, engine_of(run), [first, last], [0, 1], set(), print)
    for (name, after), gradient in zip(network.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(after.detach(), before[name] - 0.5 * gradient)


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    process = process_from_config("even", {})
    first, again, other = (trained(process, RECIPE, False, seed).stacked() for seed in (0, 0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


GROKFAST = {"alpha": 0.9, "amplitude": 2.0}


@pytest.mark.parametrize(
    "own", [{}, {"optimizer": "sgd"}, {"grokfast": GROKFAST}, {"grokfast": GROKFAST, "orthogonal_gradient": True}]
)
@pytest.mark.parametrize("at", [1, 6, 30, 31, 60])
def test_run_that_goes_on_from_its_saved_state_ends_in_the_same_bytes(own, at):
    process, recipe = process_from_config("even", {}), replace(RECIPE, **own)
    saved = {}

    def save(run):
        if run.step == at:
            saved.update(run.state())

    undisturbed, words = new_run(process, recipe, False), batches(process, recipe, False)
    train(undisturbed, engine_of(undisturbed), words, [0, 30, 60], {0, 29, 60}, save)
    resumed = new_run(process, recipe, False, seed=5)
    resumed.restore(saved)
    train(resumed, engine_of(resumed), words[resumed.step :], [0, 30, 60], {0, 29, 60}, lambda run: None)
    np.testing.assert_equal([astuple(row) for row in resumed.rows], [astuple(row) for row in undisturbed.rows])
    expected, found = undisturbed.state(), resumed.state()
    assert expected.keys() == found.keys()
    for name in expected:  # also what is nan there, as nothing is held out
        np.testing.assert_array_equal(found[name], expected[name])
