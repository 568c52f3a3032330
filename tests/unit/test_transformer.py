"""The network that reads trees against a loop over single words, in its values, gradients and names."""

import numpy as np
import pytest
import reference_transformer
import torch
from reference_tree import words_of
from test_recurrent import IDS
from test_recurrent import SHAPES as RECURRENT

from geometry.networks.build import build_network
from geometry.networks.devices import disagreement_with_cpu
from geometry.networks.extraction import tree_activations
from geometry.networks.hook_points import hook_point_names
from geometry.networks.input_layout import PackedTree
from geometry.networks.transformer import Transformer
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.prefix_tree import tree_of_sequences
from geometry.processes.sampling import sample_process
from geometry.training import cpu_gradient as gradient
from geometry.training.batches import dense_batch, packed_batch
from geometry.training.cpu_gradient import TreeGradient
from geometry.training.gpu_gradient import EnsembleGradient

WITH_LAYERNORM = {"architecture": "transformer", "n_layers": 2, "n_heads": 2, "d_model": 12, "d_head": 5, "d_mlp": 20}
WITH_LAYERNORM |= {"activation": "relu", "normalization": "LN"}
PLAIN = {"architecture": "transformer", "n_layers": 3, "n_heads": 1, "d_model": 8, "d_head": 3, "d_mlp": 16}
PLAIN |= {"activation": "gelu", "normalization": "none"}
SHAPES = [WITH_LAYERNORM, PLAIN]


def random_network(model, n_tokens, context, dtype=torch.float64, seed=0, scale=0.5):
    """A network whose every parameter, biases and scales included, is random."""
    network = build_network(n_tokens, context, model).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=dtype) * scale)
    return network


def read_tree(network, tree, bos_token, names):
    tokens, parent, position = (torch.from_numpy(a) for a in tree.network_input(bos_token))
    with network.recording(names) as record:
        logits = network(tokens, PackedTree(parent, position, network.config.n_ctx))
    return {**record, "logits": logits}


@pytest.mark.parametrize("model", SHAPES, ids=["layernorm", "plain"])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_hook_point_equals_the_slow_network(model, bos, dtype):
    model = {**model, "bos": bos}
    process, context = process_from_config("rrxor", {}), 5
    tree = complete_tree(process, context, 10**4)
    network = random_network(model, 2, context, dtype)
    names = hook_point_names(model)
    fast = read_tree(network, tree, 2 if bos else None, names)
    parameters = {name: p.detach().double().numpy() for name, p in network.named_parameters()}
    tolerance = 1e-5 if dtype == torch.float32 else 1e-11
    for node, prefix in enumerate(words_of(tree)):
        word = [2] * bos + list(prefix)
        options = model["n_heads"], model["activation"], model["normalization"] == "LN"
        slow = reference_transformer.forward(parameters, word, *options)
        for name in [*names, "logits"]:
            expected = slow[name][-1]
            found = fast[name][node + bos].detach().double().numpy()
            assert np.abs(found - expected).max() <= tolerance * np.abs(slow[name]).max(), name


def losses_and_gradients(network, words, process, bos, labels):
    """Of the same words: the loss, each position's log-probabilities and every gradient, in three ways."""
    tree, nodes = tree_of_sequences(words[:, :-1])
    nodes = np.hstack([np.zeros((len(words), 1), dtype=int), nodes + 1]) if bos else nodes
    packed, plain = (form(words, process, bos, labels, True) for form in (packed_batch, dense_batch))
    assert len(packed.tokens) == len(tree) + bos < 0.7 * len(plain.tokens)
    for batch, rows in ((plain, slice(None)), (packed, nodes.ravel())):
        log_probability = network(*batch.network_input(torch.device("cpu"))).log_softmax(1)[:, : process.n_tokens]
        loss = -(torch.from_numpy(batch.target) * log_probability).sum()
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        yield loss.item(), log_probability[rows].detach().numpy(), *(each.numpy() for each in gradients)
    loss, log_probability, vector = TreeGradient(network)(packed.tokens, packed.parent, packed.position, packed.target)
    yield loss, log_probability[nodes.ravel()], *gradient.cut(vector, list(network.parameters()))


@pytest.mark.parametrize("model", SHAPES, ids=["layernorm-relu", "plain-gelu"])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("labels", ["sampled", "exact"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_tree_has_the_loss_and_gradient_of_the_words_side_by_side(model, bos, labels, dtype, tolerance, monkeypatch):
    """Sequences side by side, the tree by automatic differentiation, and the tree by hand, in many tiles."""
    monkeypatch.setattr(gradient, "TILE", 50)
    process = process_from_config("mess3", {"x": 0.1, "alpha": 0.7})
    words = sample_process(process, 90, 6, np.random.default_rng(0))
    network = random_network({**model, "bos": bos}, 3, 5, dtype, scale=0.3)  # not so saturated that rounding grows
    expected, *others = losses_and_gradients(network, words, process, bos, labels)
    names = ["loss", "log_probability", *(name for name, _ in network.named_parameters())]
    largest = max(np.abs(wanted).max() for wanted in expected[2:])
    for found in others:
        for name, wanted, value in zip(names, expected, found, strict=True):
            # The keys' biases shift all scores of a node alike: their gradient is rounding.
            scale = largest if name.endswith("b_K") else np.abs(wanted).max()
            assert np.abs(value - wanted).max() <= tolerance * scale, name


def test_networks_together_have_the_losses_and_gradients_of_each_alone():
    """As a GPU computes them, here on the CPU; batches of different sizes are padded to one."""
    process, shape = process_from_config("mess3", {"x": 0.1, "alpha": 0.7}), {**SHAPES[0], "bos": True}
    networks = [random_network(shape, 3, 5, seed=seed) for seed in range(3)]
    batches = [
        packed_batch(sample_process(process, n, 6, np.random.default_rng(n)), process, True, "sampled", False)
        for n in (20, 90, 50)
    ]
    vectors = torch.stack([torch.cat([p.detach().flatten() for p in network.parameters()]) for network in networks])
    together = EnsembleGradient(networks[0])(vectors, batches)
    for network, batch, loss, log_probability, found in zip(networks, batches, *together, strict=True):
        nodes = batch.tokens, batch.parent, batch.position
        expected = TreeGradient(network)(*nodes, batch.target)
        assert loss.item() == pytest.approx(expected[0], rel=1e-12)
        np.testing.assert_allclose(log_probability[: len(batch.tokens)], expected[1], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found, expected[2], rtol=1e-9, atol=1e-12)


def test_gradient_by_hand_keeps_nothing_from_one_batch_to_the_next():
    process = process_from_config("even", {})
    network = random_network({**SHAPES[0], "bos": False}, 2, 5)
    small, large = (
        packed_batch(sample_process(process, n, 6, np.random.default_rng(n)), process, False, "sampled", False)
        for n in (3, 200)
    )
    arguments = [(batch.tokens, batch.parent, batch.position, batch.target) for batch in (large, small)]
    kept = TreeGradient(network)
    for batch in (*arguments, *arguments):
        np.testing.assert_array_equal(kept(*batch)[2], TreeGradient(network)(*batch)[2])


@pytest.mark.parametrize("model", [*SHAPES, *RECURRENT], ids=["layernorm", "plain", *IDS])
def test_hook_points_of_the_config_are_those_of_the_network(model):
    network = build_network(3, 4, {**model, "bos": False})
    found = {name for name, _ in network.named_modules() if name.rpartition(".")[2].startswith("hook_")}
    assert found == set(hook_point_names(model))


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("nodes_at_once", [1, 7, 1000])
def test_reading_a_tree_in_pieces_changes_nothing(bos, nodes_at_once):
    model = {**SHAPES[0], "bos": bos}
    tree = complete_tree(process_from_config("mess3", {"x": 0.1, "alpha": 0.7}), 4, 10**4)
    network, names = random_network(model, 3, 4), hook_point_names(model)
    whole = read_tree(network, tree, 3 if bos else None, names)
    network.float()
    nodes = tree.network_input(3 if bos else None)
    seen = 0
    for chunk, record, logits in tree_activations(network, *nodes, names, nodes_at_once, int(bos)):
        assert chunk.start == seen
        seen = chunk.stop
        for name, values in {**record, "logits": logits}.items():
            torch.testing.assert_close(values.double(), whole[name][chunk].detach(), rtol=1e-4, atol=1e-4)
    assert seen == len(tree) + bos


def test_initialisation_has_the_stated_scale():
    network = build_network(3, 10, {**SHAPES[0], "d_model": 64, "d_mlp": 256, "bos": False})
    network.initialize(torch.Generator().manual_seed(0))
    assert network.blocks[0].mlp.W_in.std().item() == pytest.approx(0.8 / 64**0.5, rel=0.02)
    assert all(not p.any() for name, p in network.named_parameters() if ".b_" in name)


def test_self_check_of_a_device_sees_a_wrong_result(monkeypatch):
    assert disagreement_with_cpu(torch.device("cpu")) == 0
    calls = []
    forward = Transformer.forward

    def broken(self, *arguments):
        calls.append(self)
        return forward(self, *arguments) * (1 if len(calls) == 1 else 1.01)

    monkeypatch.setattr(Transformer, "forward", broken)
    assert disagreement_with_cpu(torch.device("cpu")) > 1e-3
