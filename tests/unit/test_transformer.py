"""The network that reads trees against a loop over single words, in its values, gradients and names."""

import numpy as np
import pytest
import reference_transformer
import torch

from geometry.activations import tree_activations
from geometry.devices import disagreement_with_cpu
from geometry.prefixes import complete_tree, sample_words, tree_of_words
from geometry.processes import process_from_config
from geometry.sites import hook_point_names
from geometry.transformer import Transformer, transformer_config

SHAPES = [
    {"n_layers": 2, "n_heads": 2, "d_model": 12, "d_head": 5, "d_mlp": 20, "activation": "relu", "normalization": "LN"},
    {
        "n_layers": 3,
        "n_heads": 1,
        "d_model": 8,
        "d_head": 3,
        "d_mlp": 16,
        "activation": "gelu",
        "normalization": "none",
    },
]


def random_network(model, n_tokens, context, dtype=torch.float64):
    """A network whose every parameter, biases and scales included, is random."""
    network = Transformer(transformer_config(n_tokens, context, model)).to(dtype)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=dtype) * 0.5)
    return network


def read_tree(network, tree, bos_token, names):
    tokens, ancestors = (torch.from_numpy(a) for a in tree.network_input(bos_token))
    with network.recording(names) as record:
        logits = network(tokens, ancestors)
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
    for node, path in enumerate(tree.ancestors):
        word = [2] * bos + tree.last_token[path[path >= 0]].tolist()
        slow = reference_transformer.forward(
            parameters, word, model["n_heads"], model["activation"], model["normalization"] == "LN"
        )
        for name in [*names, "logits"]:
            expected = slow[name][-1]
            found = fast[name][node + bos].detach().double().numpy()
            assert np.abs(found - expected).max() <= tolerance * np.abs(slow[name]).max(), name


def test_packed_batch_has_the_loss_and_gradients_of_the_padded_batch():
    process, model = process_from_config("mess3", {"x": 0.1, "alpha": 0.7}), {**SHAPES[0], "bos": False}
    words = sample_words(process, 40, 6, np.random.default_rng(0)).astype(np.int64)
    network = random_network(model, 3, 5)
    following = torch.from_numpy(words[:, 1:].ravel())

    # Padded: each position of each word is a node of its own, attending to the word's earlier positions.
    nodes = np.arange(200).reshape(40, 5)
    ancestors = np.where(np.tril(np.ones((5, 5), bool)), nodes[:, None, :], -1).reshape(200, 5)
    logits = network(torch.from_numpy(words[:, :-1].ravel()), torch.from_numpy(ancestors))
    padded = torch.nn.functional.cross_entropy(logits, following)
    expected = torch.autograd.grad(padded, list(network.parameters()))

    tree, place = tree_of_words(words[:, :-1], 3)
    tokens, ancestors = (torch.from_numpy(a) for a in tree.network_input(None))
    packed = torch.nn.functional.cross_entropy(network(tokens, ancestors)[torch.from_numpy(place.ravel())], following)
    assert len(tree) < 150
    assert packed.item() == pytest.approx(padded.item(), rel=1e-12)
    for found, wanted in zip(torch.autograd.grad(packed, list(network.parameters())), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("model", SHAPES, ids=["layernorm", "plain"])
def test_hook_points_of_the_config_are_those_of_the_network(model):
    network = Transformer(transformer_config(3, 4, {**model, "bos": False}))
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
    tokens, ancestors = tree.network_input(3 if bos else None)
    seen = 0
    for piece, record, logits in tree_activations(network, tokens, ancestors, names, nodes_at_once):
        assert piece.start == seen
        seen = piece.stop
        for name, values in {**record, "logits": logits}.items():
            torch.testing.assert_close(values.double(), whole[name][piece].detach(), rtol=1e-4, atol=1e-4)
    assert seen == len(tokens)


def test_initialisation_has_the_stated_scale():
    network = Transformer(transformer_config(3, 10, {**SHAPES[0], "d_model": 64, "d_mlp": 256, "bos": False}))
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
