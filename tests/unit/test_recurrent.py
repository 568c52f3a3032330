"""Recurrent networks against PyTorch on whole words and a plain loop, read in every form, trained and steered."""

from dataclasses import astuple

import numpy as np
import pytest
import torch
from reference_tree import words_of
from torch import nn

from geometry.interventions.patching import PatchedPrefixes, changing
from geometry.networks.build import build_network
from geometry.networks.extraction import tree_activations
from geometry.networks.hook_points import hook_point_names
from geometry.networks.input_layout import DenseSequences, PackedTree
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.prefix_tree import tree_of_sequences
from geometry.processes.sampling import sample_process
from geometry.training.batches import dense_batch, packed_batch
from geometry.training.engines import gradient_engine
from geometry.training.train import Recipe, TrainingRun, train

CONTEXT = 5
CPU = torch.device("cpu")
RRXOR = process_from_config("rrxor", {})
MESS3 = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
RECIPE = Recipe("exact", "adamw", 0.05, 0.01, "one_cycle", 0.1, 40)
CELLS = [
    {"architecture": name, "n_layers": 2, "d_model": 6, "bos": bos}
    for name, bos in (("rnn", True), ("gru", False), ("lstm", True))
]
KURAMOTO = {"architecture": "kuramoto", "n_layers": 1, "d_model": 6}
OSCILLATORS = [
    KURAMOTO | {"bos": True, "oscillator_dim": 3, "kuramoto_steps": 1, "coupled": True},
    KURAMOTO | {"bos": False, "oscillator_dim": 2, "kuramoto_steps": 2, "coupled": False},
]
SELECTIVE = [
    {"architecture": "selective_ssm", "n_layers": n_layers, "d_model": 6, "d_state": d_state, "bos": bos}
    for n_layers, d_state, bos in ((2, 2, False), (1, 3, True))
]
SHAPES = [*CELLS, *OSCILLATORS, *SELECTIVE]
IDS = ["rnn-bos", "gru", "lstm-bos", "kuramoto-bos", "uncoupled", "selective", "selective-bos"]


def random_network(model, n_tokens=2, seed=0):
    network = build_network(n_tokens, CONTEXT, model).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.7)
    return network


def states_by_torch(network, model, word):
    """The states of all layers after a word, by PyTorch's own module for whole words."""
    module = getattr(nn, model["architecture"].upper())(model["d_model"], model["d_model"], model["n_layers"]).double()
    weights = {
        f"{name.rpartition('.')[2]}_l{name.split('.')[1]}": value
        for name, value in network.state_dict().items()
        if name.startswith("layers.")
    }
    module.load_state_dict(weights)
    _, last = module(network.embed.weight[torch.tensor(word)])
    named = {"hook_h": last} if model["architecture"] != "lstm" else dict(zip(("hook_h", "hook_c"), last, strict=True))
    return {f"layers.{n}.{name}": h for name, layers in named.items() for n, h in enumerate(layers)}


def oscillators_by_loop(network, model, word):
    """The oscillators after a word, by a loop over oscillators, each with a matrix of its own from every other."""
    p = {name.removeprefix("layers.0."): value.numpy() for name, value in network.state_dict().items()}
    dim = model["oscillator_dim"]
    n = model["d_model"] // dim
    x = np.stack([row / np.linalg.norm(row) for row in p["x_0"]])
    for token in word:
        for _ in range(model["kuramoto_steps"]):
            new = []
            for i in range(n):
                y = p["embed.weight"][token][i * dim : (i + 1) * dim].copy()
                for j in range(n) if model["coupled"] else ():
                    y += p["J"][i * dim : (i + 1) * dim, j * dim : (j + 1) * dim] @ x[j]
                turn = (p["W_Omega"][i] - p["W_Omega"][i].T) @ x[i]
                moved = x[i] + p["gamma"][0] * (turn + y - (y @ x[i]) * x[i])
                new.append(moved / np.linalg.norm(moved))
            x = np.stack(new)
    return {"layers.0.hook_x": torch.from_numpy(x.ravel())}


def selective_by_loop(network, model, word):
    """States and residual streams after a word, by a loop over tokens, channels and components (arXiv 2312.00752)."""
    n_state, found = model["d_state"], {}
    n_channels = model["d_model"] // n_state
    stream = [network.embed.weight[token].detach().numpy() for token in word]
    for n in range(model["n_layers"]):
        p = {k.removeprefix(f"layers.{n}."): v.numpy() for k, v in network.state_dict().items()}
        h = np.zeros((n_channels, n_state))
        for place, x in enumerate(stream):
            normalized = x / np.sqrt((x**2).mean() + 1e-5)
            rows = iter(p["in_proj.weight"] @ normalized + p["in_proj.bias"])
            u, z, raw = ([next(rows) for _ in range(n_channels)] for _ in range(3))
            B, C = ([next(rows) for _ in range(n_state)] for _ in range(2))
            y = np.zeros(n_channels)
            for c in range(n_channels):
                delta = np.log(1 + np.exp(raw[c]))
                for s in range(n_state):
                    h[c, s] = np.exp(delta * -np.exp(p["A_log"][c, s])) * h[c, s] + delta * B[s] * u[c]
                    y[c] += C[s] * h[c, s]
                y[c] = (y[c] + p["D"][c] * u[c]) * z[c] / (1 + np.exp(-z[c]))
            stream[place] = x + p["out_proj.weight"] @ y + p["out_proj.bias"]
        found |= {f"layers.{n}.hook_h": h.ravel(), f"layers.{n}.hook_resid_post": stream[-1]}
    return {name: torch.from_numpy(value) for name, value in found.items()}


SLOW = {"kuramoto": oscillators_by_loop, "selective_ssm": selective_by_loop}


def slow(network, model, word):
    """Every hook point and the logits after a word."""
    states = SLOW.get(model["architecture"], states_by_torch)
    found = states(network, model, word) | {"hook_embed": network.embed.weight[word[-1]]}
    last = found[hook_point_names(model)[-1]]
    found["logits"] = network.unembed.weight @ last + network.unembed.bias
    return {name: value.detach() for name, value in found.items()}


@pytest.fixture(params=zip(SHAPES, IDS, strict=True), ids=lambda param: param[1])
def known(request):
    """A random network, a tree for it, and what each prefix leads to by the slow definition."""
    model = request.param[0]
    network, tree = random_network(model), complete_tree(RRXOR, CONTEXT, 10**4)
    words = [[2] * model["bos"] + list(prefix) for prefix in words_of(tree)]
    return model, network, tree, words, [slow(network, model, word) for word in words]


def test_tree_in_one_or_many_pieces_has_the_states_of_the_slow_network(known):
    model, network, tree, _, expected = known
    bos, names = int(model["bos"]), hook_point_names(model)
    nodes = tree.network_input(2 if bos else None)
    tokens, parent, position = map(torch.from_numpy, nodes)
    with network.recording(names) as record:
        logits = network(tokens, PackedTree(parent, position, CONTEXT + bos))
    read = [(range(len(tokens)), dict(record), logits)]
    for at_once in (1, 7, 1000):
        with torch.no_grad():
            chunks = tree_activations(network, *nodes, names, at_once, bos)
            read += [(range(chunk.start, chunk.stop), dict(found), logits) for chunk, found, logits in chunks]
    assert sum(len(nodes) for nodes, _, _ in read) == 4 * len(tokens)
    for nodes, found, logits in read:
        for name, values in (found | {"logits": logits}).items():
            assert len(values) == len(nodes)
            for node, value in zip(nodes, values, strict=True):
                if node >= bos:
                    torch.testing.assert_close(value, expected[node - bos][name], rtol=1e-10, atol=1e-12)


def test_words_side_by_side_have_the_states_of_the_slow_network(known):
    model, network, _, words, expected = known
    longest = [node for node, word in enumerate(words) if len(word) == CONTEXT + model["bos"]]
    tokens = torch.tensor([words[node] for node in longest])
    with network.recording(hook_point_names(model)) as record:
        logits = network(tokens.flatten(), DenseSequences(*tokens.shape, CPU))
    for name, values in (record | {"logits": logits}).items():
        last = values.view(*tokens.shape, -1)[:, -1]
        torch.testing.assert_close(last, torch.stack([expected[node][name] for node in longest]))


def test_tree_has_the_loss_and_gradient_of_the_words_side_by_side(known):
    model, network, *_ = known
    words = sample_process(RRXOR, 60, CONTEXT + 1, np.random.default_rng(0))
    run = TrainingRun(network, RECIPE)
    batches = [form(words, RRXOR, model["bos"], "exact", True) for form in (packed_batch, dense_batch)]
    packed, plain = (gradient_engine(run.model, run.vector, batch.kind)(batch) for batch in batches)
    assert packed[0].item() == pytest.approx(plain[0].item(), rel=1e-12)
    torch.testing.assert_close(packed[2], plain[2], rtol=1e-9, atol=1e-12)
    assert all(part.any() for part in packed[2].split([p.numel() for p in network.parameters()]))


@pytest.mark.parametrize("model", SHAPES, ids=IDS)
def test_training_learns_and_goes_on_from_its_saved_state_to_the_same_bytes(model):
    process = process_from_config("even", {})
    words = sample_process(process, 41 * 32, CONTEXT + 1, np.random.default_rng(0)).reshape(41, 32, -1)
    batches = [packed_batch(batch, process, model["bos"], "exact", True) for batch in words]
    runs, saved = [], {}
    for seed in (0, 1):
        network = build_network(2, CONTEXT, model)
        network.initialize(torch.Generator().manual_seed(seed))
        runs.append(TrainingRun(network, RECIPE))
    whole, resumed = runs

    def train_on(run, batches, each_step):
        train(run, gradient_engine(run.model, run.vector, "packed"), batches, [0, 40], {0, 40}, each_step)

    train_on(whole, batches, lambda run: saved.update(run.state() if run.step == 17 else {}))
    resumed.restore(saved)
    train_on(resumed, batches[17:], lambda run: None)
    np.testing.assert_equal([astuple(row) for row in resumed.rows], [astuple(row) for row in whole.rows])
    for name, array in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[name], array)
    assert 0 <= whole.rows[-1].gap_nats < 0.5 * whole.rows[0].gap_nats


@pytest.mark.parametrize("model", SHAPES, ids=IDS)
def test_change_of_a_state_is_read_now_and_handed_on_to_the_next_token(model):
    network, tree, bos = random_network(model, n_tokens=3), complete_tree(MESS3, CONTEXT, 10**4), model["bos"]
    rng = np.random.default_rng(0)
    prefix = rng.choice(len(tree), 12)
    change = rng.normal(size=(len(prefix), model["d_model"]))
    words, patched = words_of(tree), PatchedPrefixes(network, tree, prefix, np.tile(np.arange(3), (12, 1)), bos)
    for site in [name for name in hook_point_names(model) if name.startswith("layers.")]:
        found, later = patched.steer(site, change), patched.later()
        followed = dict(zip(patched.has_room.tolist(), later, strict=True))
        for pair, node in enumerate(prefix):
            word = [3] * bos + list(words[node])
            for token in (0, 1, 2) if pair in followed else (0,):
                now, next_one = read_stepwise(network, [*word, token], site, change[pair], len(word) - 1)
                np.testing.assert_allclose(found[pair], now, atol=1e-10)
                if pair in followed:
                    np.testing.assert_allclose(followed[pair][token], next_one, atol=1e-10)
        moved = np.abs(found - patched.unchanged).max()
        assert moved == 0 if site.endswith("hook_c") else moved > 0.01  # c is read a token later
        assert np.abs(patched.steer(site, 0 * change) - patched.unchanged).max() < 1e-12
        handed_on = np.abs(later - patched.later()).max()
        assert handed_on < 1e-12 if site == LAST_STREAM.get(IDS[SHAPES.index(model)]) else handed_on > 0.01


@pytest.mark.parametrize("model", SHAPES, ids=IDS)
def test_ablation_is_that_of_the_words_side_by_side_and_leaves_no_trace(model):
    network, tree = random_network({**model, "bos": False}, n_tokens=3), complete_tree(MESS3, CONTEXT, 10**4)
    rng = np.random.default_rng(0)
    mean, basis = rng.normal(size=6), np.linalg.qr(rng.normal(size=(6, 2)))[0].T
    prefix = rng.choice(np.flatnonzero(tree.length == CONTEXT), 8)
    tokens = torch.tensor([words_of(tree)[node] for node in prefix])
    patched = PatchedPrefixes(network, tree, prefix, np.tile(np.arange(3), (8, 1)), False)

    def without(x):
        return x - (x - torch.from_numpy(mean)) @ torch.from_numpy(basis.T @ basis)

    for site in [name for name in hook_point_names(model) if name.startswith("layers.")]:
        with torch.no_grad(), changing(network, site, without):
            logits = network(tokens.flatten(), DenseSequences(*tokens.shape, CPU)).view(*tokens.shape, -1)[:, -1]
        np.testing.assert_allclose(patched.ablate(site, mean, basis), logits.log_softmax(1), atol=1e-10)
        np.testing.assert_array_equal(patched.ablate(site, mean, basis[:0]), patched.unchanged)


LAST_STREAM = {"selective": "layers.1.hook_resid_post", "selective-bos": "layers.0.hook_resid_post"}
"""The residual stream that the prediction alone reads."""


def read_stepwise(network, word, site, change, at):
    """Log-probabilities at the last two positions of a word, read token by token, a state changed at one position."""
    states, said = [layer.initial()[None] for layer in network.layers], []
    for position, token in enumerate(word):
        added = torch.from_numpy(change) if position == at else 0
        x = network.embed.weight[token][None]
        with torch.no_grad(), changing(network, site, lambda value, added=added: value + added):
            for index, layer in enumerate(network.layers):

                def carry(step, _initial, inputs, index=index):
                    states[index] = step(inputs, states[index])
                    return states[index]

                x = layer(x, carry)
            said.append(network.unembed(x).log_softmax(1)[0, :3].numpy())
    return said[-2:]


def test_words_and_tree_of_one_batch_are_told_apart_by_their_order():
    """A hook point that is called position by position is recorded node by node."""
    words = np.array([[0, 1, 0], [1, 1, 0]])
    network = random_network({**CELLS[1], "n_layers": 1})
    tree, nodes = tree_of_sequences(words)
    with network.recording(["layers.0.hook_h"]) as side_by_side:
        network(torch.from_numpy(words).flatten(), DenseSequences(2, 3, CPU))
    tokens, parent, position = map(torch.from_numpy, tree.network_input(None))
    with network.recording(["layers.0.hook_h"]) as packed:
        network(tokens, PackedTree(parent, position, 3))
    torch.testing.assert_close(side_by_side["layers.0.hook_h"], packed["layers.0.hook_h"][nodes.ravel()])
