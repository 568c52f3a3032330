"""Training: what a batch asks for, the schedule, and that the network reaches a known optimum."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from geometry.prefixes import sample_words
from geometry.processes import process_from_config
from geometry.training import Recipe, Run, learning_rate_factor, pack_batch, snapshot_steps, train
from geometry.transformer import Transformer, transformer_config

MODEL = {
    "n_layers": 1,
    "n_heads": 1,
    "d_model": 16,
    "d_head": 8,
    "d_mlp": 32,
    "activation": "relu",
    "normalization": "LN",
}
RECIPE = Recipe("sampled", "adamw", 0.01, 0.01, "one_cycle", 0.1, 60)


def new_run(process, recipe, bos, seed=0):
    network = Transformer(transformer_config(process.n_tokens, 4, {**MODEL, "bos": bos}))
    network.initialize(torch.Generator().manual_seed(seed))
    return Run(network, recipe)


def batches(process, recipe, seed=0):
    rng = np.random.default_rng(seed)
    return sample_words(process, 64 * (recipe.steps + 1), 5, rng).reshape(-1, 64, 5)


def trained(process, recipe, bos, seed=0):
    run = new_run(process, recipe, bos, seed)
    schedule = [0, 30, recipe.steps]
    train(run, process, batches(process, recipe, seed), bos, schedule, {0, recipe.steps}, lambda run: None)
    return run


@pytest.mark.parametrize("bos", [False, True])
def test_batch_counts_each_position_once_the_last_included(bos):
    process = process_from_config("golden_mean", {})
    batch = pack_batch(np.array([[0, 1, 0], [0, 1, 0], [0, 0, 1]], np.uint8), process, "sampled", bos)
    expected = {True: [[3, 0], [1, 2], [0, 1], [2, 0]], False: [[1, 2], [0, 1], [2, 0]]}[bos]
    np.testing.assert_allclose(batch.target, np.array(expected) / (9 if bos else 6))


def test_exact_labels_are_the_expectation_of_sampled_ones():
    process = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
    words = sample_words(process, 200_000, 3, np.random.default_rng(0))
    sampled, exact = (pack_batch(words, process, labels, bos=False) for labels in ("sampled", "exact"))
    np.testing.assert_array_equal(sampled.weight, exact.weight)
    assert np.abs(sampled.target - exact.target).max() < 5 * 0.5 / 400_000**0.5
    assert exact.target.sum() == pytest.approx(1)


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
    for name, parameter in run.parameters.items():
        np.testing.assert_array_equal(stacks[name][-1], parameter.detach().numpy())
        assert stacks[name].shape == (3, *parameter.shape)


def test_sgd_step_is_the_gradient_times_the_rate():
    process = process_from_config("even", {})
    recipe = Recipe("exact", "sgd", 0.5, 0.0, "constant", 0.0, 1)
    words = sample_words(process, 128, 5, np.random.default_rng(0)).reshape(2, 64, 5)
    run = new_run(process, recipe, bos=False)
    network = run.model
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    batch = pack_batch(words[0], process, "exact", bos=False)
    logits = network(torch.from_numpy(batch.tokens), torch.from_numpy(batch.ancestors))
    loss = -(torch.from_numpy(batch.target).float() * logits.log_softmax(1)).sum()
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    train(run, process, words, False, [0, 1], set(), print)
    for (name, after), gradient in zip(network.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(after.detach(), before[name] - 0.5 * gradient)


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    process = process_from_config("even", {})
    first, again, other = (trained(process, RECIPE, False, seed).stacked() for seed in (0, 0, 1))
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("at", [1, 6, 30, 31, 60])
def test_run_that_goes_on_from_its_saved_state_ends_in_the_same_bytes(optimizer, at):
    process, recipe = process_from_config("even", {}), replace(RECIPE, optimizer=optimizer)
    saved = {}

    def save(run):
        if run.step == at:
            saved.update(run.state())

    undisturbed, words = new_run(process, recipe, False), batches(process, recipe)
    train(undisturbed, process, words, False, [0, 30, 60], {0, 29, 60}, save)
    resumed = new_run(process, recipe, False, seed=5)
    resumed.restore(saved)
    train(resumed, process, words[resumed.step :], False, [0, 30, 60], {0, 29, 60}, lambda run: None)
    assert resumed.rows == undisturbed.rows
    expected, found = undisturbed.state(), resumed.state()
    assert expected.keys() == found.keys()
    assert all((expected[name] == found[name]).all() for name in expected)
