"""The circuit of networks whose logits are known: each measure against its definition over all pairs."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from test_transformer import random_network

from geometry.modular_circuit.circuit import (
    ablations,
    distance_irrelevance,
    excluded_logits,
    explained_shares,
    gradient_symmetricity,
    key_frequencies,
    logit_amplitudes,
    mean_scores,
    pair_activations,
    pair_logits,
    restricted_logits,
    single_frequency_shares,
    without_frequencies,
)
from geometry.modular_circuit.fourier import energy_by_frequency, projected
from geometry.networks.input_layout import DenseSequences
from geometry.tasks.modular_arithmetic import ModularArithmetic
from measure_circuit import measure_circuit

MODEL = {"architecture": "transformer", "n_layers": 1, "n_heads": 2, "d_model": 6, "d_head": 3, "d_mlp": 10}
MODEL |= {"activation": "relu", "normalization": "none", "bos": False}


def waves(p, amplitudes):
    """By the argument x and the answer c: a sum of A_k cos w_k (x - c)."""
    distance = np.arange(p)[:, None] - np.arange(p)
    return sum(A * np.cos(2 * np.pi * k * distance / p) for k, A in amplitudes.items())


def lookup_network(table):
    """A network whose logits behind (a, b, '=') are `table[a + b]`.

    Its attention is uniform, and each unordered pair has a neuron. The first half of the stream holds the
    words (thrice the attention's mean counts tokens), the second the logits.
    """
    p, d_vocab = table.shape
    ij = np.stack(np.triu_indices(p))
    counts = 3 * (np.eye(d_vocab)[ij[0]] + np.eye(d_vocab)[ij[1]]).T / np.where(ij[0] == ij[1], 2, 1)
    output = table[ij.sum(axis=0) % p].copy()
    for double in np.flatnonzero(ij[0] == ij[1]):  # (a, a) excites the neurons of all (a, b) too
        output[double] -= output[(ij[0] != ij[1]) & (ij == ij[0, double]).any(axis=0)].sum(axis=0)
    blank, one = np.zeros((d_vocab, d_vocab)), np.eye(d_vocab)
    zero = np.zeros((1, 2 * d_vocab, d_vocab))
    return {
        "embed.W_E": np.hstack([one, blank]),
        "pos_embed.W_pos": np.zeros((3, 2 * d_vocab)),
        "blocks.0.attn.W_Q": zero,
        "blocks.0.attn.W_K": zero,
        "blocks.0.attn.W_V": np.vstack([one, blank])[None],
        "blocks.0.attn.W_O": np.hstack([one, blank])[None],
        **{f"blocks.0.attn.b_{x}": np.zeros((1, d_vocab)) for x in "QKV"},
        "blocks.0.attn.b_O": np.zeros(2 * d_vocab),
        "blocks.0.mlp.W_in": np.vstack([counts, 0 * counts]),
        "blocks.0.mlp.b_in": -np.ones(ij.shape[1]),
        "blocks.0.mlp.W_out": np.hstack([0 * output, output]),
        "blocks.0.mlp.b_out": np.zeros(2 * d_vocab),
        "unembed.W_U": np.vstack([blank, one]),
        "unembed.b_U": np.zeros(d_vocab),
    }


def knows(p, amplitudes, noise=0.0):
    """The network of addition modulo p that answers with some waves, and with some noise."""
    table = waves(p, amplitudes) + noise * np.random.default_rng(0).normal(size=(p, p))
    return lookup_network(np.pad(table, ((0, 0), (0, 1))))


def arrays(network):
    return {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}


def test_folded_network_is_the_network_at_the_equals_sign():
    p = 5
    network = random_network(MODEL, p + 1, 3)
    first, second = ModularArithmetic(p).pairs
    words = torch.from_numpy(np.stack([first, second, np.full(p * p, p)], axis=1)).flatten()
    with network.recording(["blocks.0.hook_mlp_out", "blocks.0.hook_attn_out", "blocks.0.hook_resid_pre"]) as record:
        logits = network(words, DenseSequences(p * p, 3, torch.device("cpu")))
    at_equals = {name.split("_", 1)[1]: value.detach().numpy() for name, value in record.items()}
    weights = arrays(network)
    attention, mlp = network.blocks[0].attn, network.blocks[0].mlp
    pattern, neurons = pair_activations(weights)
    np.testing.assert_allclose(pair_logits(weights), logits.detach().numpy()[2::3], atol=1e-12)
    np.testing.assert_allclose(
        neurons @ mlp.W_out.detach().numpy() + mlp.b_out.detach().numpy(), at_equals["mlp_out"][2::3], atol=1e-12
    )
    value = np.einsum("nd,hde->nhe", at_equals["resid_pre"], attention.W_V.detach().numpy())
    value = (value + attention.b_V.detach().numpy()).reshape(p * p, 3, *value.shape[1:])
    mixed = np.einsum("tnh,nthe,hed->nd", pattern, value, attention.W_O.detach().numpy())
    np.testing.assert_allclose(mixed + attention.b_O.detach().numpy(), at_equals["attn_out"][2::3], atol=1e-12)


def test_loss_counts_every_output_and_survives_large_logits():
    logits = np.random.default_rng(0).normal(size=(20, 6)) * 500
    answer = np.arange(20) % 5
    expected = -log_softmax(logits, axis=1)[range(20), answer].mean()
    assert mean_scores(logits, answer)["loss_nats"] == pytest.approx(expected, rel=1e-12)
    flat = np.zeros((20, 6))
    assert mean_scores(flat, answer) == {"loss_nats": pytest.approx(np.log(6)), "accuracy": 0.2}
    assert mean_scores(flat + np.eye(6)[5], answer)["accuracy"] == 0
    assert np.isnan(mean_scores(logits[:0], answer[:0])["loss_nats"])


def test_loss_of_stablemax_is_the_published_one():
    logits, answer = np.random.default_rng(0).normal(size=(20, 6)) * 3, np.arange(20) % 5
    s = np.where(logits < 0, 1 / (1 - np.minimum(logits, 0)), logits + 1)
    found = mean_scores(logits, answer, "stablemax")
    expected = -np.log(s / s.sum(1, keepdims=True))[range(20), answer].mean()
    assert found["loss_nats"] == pytest.approx(expected, rel=1e-12)
    assert found["accuracy"] == mean_scores(logits, answer)["accuracy"]


@pytest.mark.parametrize("operation", ["addition", "subtraction"])
@pytest.mark.parametrize(("p", "planted"), [(13, {2: 3, 5: -4, 6: 7, 3: 0.2}), (12, {1: 3, 4: -4, 6: 7, 5: 0.2})])
def test_planted_amplitudes_are_found_under_what_is_no_such_wave(operation, p, planted):
    task, rng = ModularArithmetic(p, operation), np.random.default_rng(0)
    a, b = task.pairs
    other = (a - b if operation == "addition" else a + b) % p
    noise = projected(rng.normal(size=(p, p)), range((p + 1) // 2))  # cos(pi t) is the same of a - b and a + b
    logits = waves(p, planted)[task.argument] + 0.1 * noise[other] + rng.normal(size=(p * p, 1)) * 9
    logits = np.hstack([logits, rng.normal(size=(p * p, 1)) * 99])
    expected = np.bincount(list(planted), list(planted.values()), minlength=p // 2 + 1)
    np.testing.assert_allclose(logit_amplitudes(logits, task.argument), expected, atol=1e-12)
    share = explained_shares(logits, task.argument)
    assert 0.99 < share.sum() < 1
    assert share[6] / share[list(planted)[1]] == pytest.approx(49 / 16 * (2 if p == 12 else 1))
    key = key_frequencies(logits, task.argument, 0.005)
    assert key == [6, next(iter(planted))]  # none that speaks against the answer


def test_logits_without_structure_have_no_key_frequency():
    argument = ModularArithmetic(31).argument
    assert key_frequencies(np.random.default_rng(0).normal(size=(31**2, 32)), argument, 0.005) == []


@pytest.mark.parametrize("operation", ["addition", "subtraction"])
@pytest.mark.parametrize("key", [[3, 1], [2, 4]])
def test_restricted_and_excluded_logits_are_projections_over_all_pairs(operation, key):
    p = 8
    argument = ModularArithmetic(p, operation).argument
    logits = np.random.default_rng(0).normal(size=(p * p, p + 1)) + np.arange(p + 1)
    angle = 2 * np.pi * np.outer(key, argument) / p
    vectors = [v for v in (*np.cos(angle), *np.sin(angle)) if np.linalg.norm(v) > 1e-9]
    part = sum(np.outer(v, v @ logits) / (v @ v) for v in vectors)
    np.testing.assert_allclose(restricted_logits(logits, argument, key), part + logits.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(excluded_logits(logits, argument, key), logits - part, atol=1e-12)


def test_a_frequency_is_removed_from_the_numbers_only():
    weights = arrays(random_network(MODEL, 10, 3))
    before = weights["embed.W_E"].copy()
    edited = without_frequencies(weights, [2, 4])
    np.testing.assert_array_equal(weights["embed.W_E"], before)
    np.testing.assert_array_equal(edited["embed.W_E"][9], before[9])
    energy = energy_by_frequency(before[:9])
    energy[[2, 4]] = 0
    np.testing.assert_allclose(energy_by_frequency(edited["embed.W_E"][:9]), energy, atol=1e-12)


def test_ablations_of_a_network_that_is_known():
    task = ModularArithmetic(7)
    weights = knows(7, {1: 9, 3: 8})
    rows = ablations(weights, task.argument, task.answer, [1, 3], np.random.default_rng(0))
    found = {(place, removed, k): scores for place, removed, k, scores in rows}
    whole = mean_scores(pair_logits(weights), task.answer)
    for removed in ("others", "as many others", "all but key"):
        assert found["logits", removed, None] == pytest.approx(whole)
    assert found["logits", "key", None]["loss_nats"] == pytest.approx(np.log(8))
    only_3 = np.pad(waves(7, {3: 8}), ((0, 0), (0, 1)))
    assert found["logits", "frequency", 1] == pytest.approx(mean_scores(only_3, np.arange(7)))
    assert found["embedding", "frequency", 3]["loss_nats"] > 10 * whole["loss_nats"]
    # the other frequency alone; there is no second one to remove by chance
    assert found["embedding", "others", None] == pytest.approx(found["embedding", "as many others", None])
    assert found["embedding", "others", None]["loss_nats"] > 10 * whole["loss_nats"]  # one-hot tokens use all waves


@pytest.mark.parametrize("p", [12, 13])
def test_share_of_one_frequency_counts_its_eight_terms(p):
    a, b = 2 * np.pi * np.stack(ModularArithmetic(p).pairs) / p
    units = {
        "pure": 5 + 2 * np.sin(3 * a) - np.cos(3 * b) + np.cos(3 * a) * np.sin(3 * b) + np.cos(3 * (a + b)),
        "mixed product": np.cos(2 * a) * np.cos(3 * b),
        "half": np.sin(2 * a) + np.cos(3 * b),
        "dead": np.full(p * p, 0.3),
        "highest": np.cos(p // 2 * (a + b)),
    }
    share = dict(zip(units, single_frequency_shares(np.stack(list(units.values()), axis=1)).T, strict=True))
    basis = np.eye(p // 2 + 1)
    expected = {"pure": basis[3], "mixed product": 0 * basis[0], "half": (basis[2] + basis[3]) / 2}
    for name, of_unit in {**expected, "dead": 0 * basis[0], "highest": basis[-1]}.items():
        np.testing.assert_allclose(share[name], of_unit, atol=1e-12, err_msg=name)


def test_gradient_symmetricity_is_the_mean_over_all_triples():
    weights = arrays(random_network(MODEL, 4, 3, scale=0.8))
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    cosines = []
    for a, b, c in np.ndindex(3, 3, 3):
        network = random_network(MODEL, 4, 3)
        network.set_parameters(weights)
        pre = tensors["embed.W_E"][[a, b, 3]] + tensors["pos_embed.W_pos"]
        pre.requires_grad_()
        logit = network.blocks[0](pre, DenseSequences(1, 3, torch.device("cpu")), 0)[2] @ tensors["unembed.W_U"][:, c]
        by_a, by_b, _ = torch.autograd.grad(logit, pre)[0].numpy()
        cosines.append(by_a @ by_b / np.linalg.norm(by_a) / np.linalg.norm(by_b))
    found = gradient_symmetricity(weights, 20_000, np.random.default_rng(0))
    assert found == pytest.approx(np.mean(cosines), abs=4 * np.std(cosines) / 20_000**0.5)
    assert np.mean(cosines) < 0.95
    assert gradient_symmetricity(knows(5, {1: 1}), 50, np.random.default_rng(0)) == pytest.approx(1)


@pytest.mark.parametrize(("operation", "sign"), [("addition", 1), ("subtraction", -1)])
def test_distance_irrelevance_is_that_of_clock_and_pizza(operation, sign):
    p = 11
    task = ModularArithmetic(p, operation)
    a, b = task.pairs
    right = np.random.default_rng(0).normal(size=p)
    for value, by in ((0, (a - sign * b) % p), (1, (a + sign * b) % p)):
        logits = np.zeros((p * p, p + 1))
        logits[range(p * p), task.answer] = right[by]
        assert distance_irrelevance(logits, task.argument, task.answer) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("output", ["softmax", "stablemax"])
def test_measured_run_tells_networks_apart_and_looks_back_from_the_last_snapshot(output):
    p, task = 7, ModularArithmetic(7, train_fraction=0.5)
    networks = [knows(p, {1: -9, 2: 0.3}), knows(p, {2: 9}, noise=0.5), knows(p, {1: 6, 3: 8})]
    stacks = {name: np.stack([network[name] for network in networks]) for name in networks[0]}
    stacks |= {"step": np.array([0, 40, 0]), "seed": np.array([5, 5, 9]), "origin": np.array([0, 1, 0])}
    table, dataset = measure_circuit(stacks, task, 0.005, 0.85, output)
    assert dataset["key_frequency"].values.tolist() == [[2, 0, 0, 0, 0, 0], [3, 1, 0, 0, 0, 0]]
    assert dataset["step"].values.tolist() == [[0, 40], [0, 0]]
    key = table[(table["measure"] == "is_key") & (table["value"] == 1)]
    assert key[["seed", "step", "frequency"]].values.tolist() == [[5, 40, 2], [9, 0, 1], [9, 0, 3]]
    value = table[table["part"] == ""].set_index(["measure", "seed", "step"])["value"]
    for step, network in zip((0, 40), networks, strict=False):
        logits, argument = pair_logits(network), task.argument
        parts = {
            "train_loss_nats": (logits, task.is_trained),
            "held_out_loss_nats": (logits, ~task.is_trained),
            "excluded_loss_nats": (excluded_logits(logits, argument, [2]), task.is_trained),
            "restricted_loss_nats": (restricted_logits(logits, argument, [2]), slice(None)),
            "restricted_held_out_loss_nats": (restricted_logits(logits, argument, [2]), ~task.is_trained),
        }
        for name, (x, pairs) in parts.items():
            expected = mean_scores(x[pairs], task.answer[pairs], output)["loss_nats"]
            assert value[name, 5, step].item() == pytest.approx(expected), name
    assert set(table[table["measure"].isin(["pure_neuron_share", "ablated_logits_accuracy"])]["seed"]) == {5}  # trained
    np.testing.assert_allclose(dataset["logit_amplitude"].values[0, :, 2], [0.3, 9], atol=0.2)
    # one-hot tokens: every vector of the basis has the same energy, and each circle is perfect
    ratio = table[(table["measure"] == "participation_ratio") & (table["part"] == "W_E")]["value"]
    assert ratio.tolist() == pytest.approx([7, 7, 7])
    angle = 2 * np.pi * 3 * np.arange(p) / p
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(dataset["embedding_circle"].values[1, 0], circle, atol=1e-12)


def test_what_needs_waves_is_nan_for_a_polynomial():
    weights = {name: array[None] for name, array in knows(5, {1: 3}).items()}
    run = {**weights, "step": np.ones(1, dtype=int), "seed": np.zeros(1, dtype=int), "origin": np.ones(1, dtype=int)}
    table, dataset = measure_circuit(run, ModularArithmetic(5, "polynomial"), 0.005, 0.85)
    undefined = set(table[table["value"].isna()]["measure"])
    assert {"excluded_loss_nats", "logit_amplitude", "is_key", "distance_irrelevance"} <= undefined
    assert not {"held_out_loss_nats", "energy", "gradient_symmetricity", "attention_mean"} & undefined
    assert not dataset["key_frequency"].any()
