"""Steering: who is whose partner, which way a belief is written, and that nothing else is touched."""

import numpy as np
import pytest
import torch
import xarray as xr
from reference_tree import words_of
from test_transformer import SHAPES, random_network

from geometry.interventions.patching import PatchedPrefixes, changing
from geometry.interventions.steering import SteeringScorer, draw_pairs, fit_site, kl_nats, random_basis
from geometry.networks.input_layout import DenseSequences
from geometry.probing.control_targets import group_ids
from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.catalog import COMPOSED, PROCESSES, process_from_config
from geometry.processes.prefix_tree import tree_of
from geometry.tables import select
from geometry.tasks.ground_truth import markov_ground_truth
from steer_network import steer_network

CONTEXT = 4
MESS3 = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
SITES = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]


def table_of_prefixes(process, context):
    tree = complete_tree(process, context, 10**5)
    belief, probability = belief_states(process, tree)
    return tree, belief, probability, process.next_token_probability(belief)


@pytest.mark.parametrize("name", ["rrxor", "z1r", "leaky_rrxor", "zrr"])
def test_partners_agree_in_length_and_prediction_but_not_in_belief(name):
    tree, belief, weight, optimal = table_of_prefixes(process_from_config(name, {}), 7)
    length = tree.length[:, None].astype(float)
    pairs = draw_pairs(belief, np.hstack([length, optimal]), weight, 500, np.random.default_rng(0))
    assert len(pairs) == 500
    np.testing.assert_array_equal(tree.length[pairs.prefix], tree.length[pairs.partner])
    np.testing.assert_allclose(optimal[pairs.prefix], optimal[pairs.partner], atol=2e-9)
    assert np.abs(belief[pairs.prefix] - belief[pairs.partner]).max(axis=1).min() > 1e-9


@pytest.mark.parametrize("process", [MESS3, process_from_config("even", {})], ids=["mess3", "even"])
def test_no_partner_where_the_prediction_tells_the_belief(process):
    tree, belief, weight, optimal = table_of_prefixes(process, 5)
    alike = np.hstack([tree.length[:, None], optimal])
    assert len(draw_pairs(belief, alike, weight, 500, np.random.default_rng(0))) == 0


def test_pairs_are_drawn_by_weight():
    belief = np.array([0.1, 0.1, 0.3, 0.7, 0.2, 0.5])[:, None]
    alike = np.array([1.0, 1, 1, 1, 2, 3])[:, None]  # the last two have nobody like them
    weight = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.0])
    pairs = draw_pairs(belief, alike, weight, 200_000, np.random.default_rng(0))
    found = np.zeros((6, 6))
    np.add.at(found, (pairs.prefix, pairs.partner), 1 / len(pairs))
    others = weight[:4] * (belief[:4] != belief[:4].T)
    expected = weight[:4, None] * others / others.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[:4, :4], expected, atol=5e-3)
    assert found[4:].sum() == found[:, 4:].sum() == 0


def test_beliefs_that_differ_by_rounding_are_one():
    ties = np.arange(1, 1024, 2)[:, None] / 1024  # half-way between two numbers of nine decimals
    rows = np.vstack([np.nextafter(ties, 0), np.nextafter(ties, 1), ties + 1e-8])
    below, above, other = group_ids(rows).reshape(3, -1)
    assert (below == above).all() and (below != other).all()


@pytest.fixture
def planted():
    """Activations that hold the belief along some directions, and much else along the same and along others."""
    rng = np.random.default_rng(0)
    _, belief, weight, _ = table_of_prefixes(MESS3, 6)
    known = np.hstack([np.ones((len(belief), 1)), belief])
    other = rng.normal(size=(len(belief), 4))
    other -= known @ least_squares(known, other, weight)  # nothing that varies with the belief
    directions = rng.normal(size=(3, 10))
    shared, apart = rng.normal(size=(4, 3)) @ directions, rng.normal(size=(4, 10))
    return belief, weight, directions, belief @ directions + other @ (shared + 0.1 * apart) + 1


def least_squares(x, y, weight):
    side = np.sqrt(weight)[:, None]
    return np.linalg.lstsq(side * x, side * y, rcond=None)[0]


def test_pattern_is_how_the_belief_was_written_and_filter_is_not(planted):
    belief, weight, directions, activation = planted
    written = (belief[::-1] - belief) @ directions
    changes = fit_site(activation, belief, weight).changes(belief[::-1] - belief, np.random.default_rng(0))
    np.testing.assert_allclose(changes["pattern"], written, atol=1e-9)
    assert np.linalg.norm(changes["filter"] - written) > 0.5 * np.linalg.norm(written)
    norms = (np.linalg.norm(changes[name], axis=1) for name in ("pattern", "random"))
    np.testing.assert_allclose(*norms)


def test_filter_is_read_by_the_probe_as_the_change_of_belief(planted):
    belief, weight, _, activation = planted
    maps, change = fit_site(activation, belief, weight), belief[::-1] - belief
    probe = least_squares(np.hstack([activation, np.ones((len(belief), 1))]), belief, weight)[:-1]
    np.testing.assert_allclose(change @ maps.filter @ probe, change, atol=1e-7)
    np.testing.assert_allclose(maps.mean, weight @ activation / weight.sum())
    assert maps.basis.shape == (2, 10)  # three beliefs that sum to one


def test_divergence_counts_impossible_tokens_nothing():
    found = kl_nats(np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]), np.log([[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]]))
    np.testing.assert_allclose(found, [0.5 * np.log(2), np.log(2)])


@pytest.mark.parametrize("name", sorted(PROCESSES.keys() - {"custom", "days_of_week", "mess", *COMPOSED}))
def test_optimum_a_token_later_is_that_of_the_longer_prefix(name):
    """Generalized processes, and tokens that cannot follow, included."""
    process = process_from_config(name, {"x": 0.05, "alpha": 0.85} if name.startswith("mess3") else {})
    tree, belief, probability, optimal = table_of_prefixes(process, 4)
    parent = np.flatnonzero(tree.length == 3)
    later = np.full((len(parent), process.n_tokens, process.n_tokens), -np.inf)
    children = np.flatnonzero(tree.length == 4)
    place = np.searchsorted(parent, tree.parent[children])
    later[place, tree.last_token[children]] = np.log(np.maximum(optimal[children], 1e-300))
    reached = later > -np.inf
    every = np.tile(np.arange(process.n_tokens), (len(parent), 1))
    scorer = SteeringScorer(process, belief[parent], belief[parent], every)
    scores = scorer.later(np.where(reached, later, 0))
    assert list(scores.values()) == pytest.approx([0, 0], abs=1e-9)
    uniform = scorer.later(np.full_like(later, -np.log(process.n_tokens)))
    conditional = probability[children] / probability[tree.parent[children]] / len(parent)
    expected = conditional @ kl_nats(optimal[children], np.full_like(optimal[children], -np.log(process.n_tokens)))
    assert uniform["kl_to_original_nats"] == pytest.approx(expected)


def test_token_that_the_original_belief_excludes_is_left_out():
    """The states of z1r are 0, 1 and R; from 0 only token 0 comes and leads to 1, from R both do and lead to 0."""
    process = process_from_config("z1r", {})
    after, every = np.eye(3)[:, None], np.array([[0, 1]])
    found = SteeringScorer(process, after[2], after[0], every).later(np.log([[[0.25, 0.75], [0.5, 0.5]]]))
    assert list(found.values()) == pytest.approx([np.log(4), np.log(4 / 3)])
    assert SteeringScorer(process, after[1], after[0], every).later(np.zeros((1, 2, 2))) == {}


@pytest.fixture(params=[(0, False), (0, True), (1, True)], ids=["layernorm", "layernorm-bos", "plain-bos"])
def steered(request):
    """A random network, and some prefixes of mess3 with their patched; the network reads words side by side too."""
    shape, bos = request.param
    network = random_network({**SHAPES[shape], "bos": bos}, 3, CONTEXT)
    tree = complete_tree(MESS3, CONTEXT, 10**4)
    prefix, every = np.random.default_rng(0).choice(len(tree), 30), np.tile(np.arange(3), (30, 1))
    words = [[3] * bos + list(words_of(tree)[node]) for node in prefix]
    return network, PatchedPrefixes(network, tree, prefix, every, bos), words, len(tree.levels) - tree.length[prefix]


def read_word(network, word, site=None, change=None):
    """Log-probabilities at each position of one word, its activations at a site changed position by position."""
    tokens = torch.tensor(word)
    with torch.no_grad(), changing(network, site or SITES[0], lambda x: x if change is None else change(x)):
        logits = network(tokens, DenseSequences(1, len(word), tokens.device))
    return logits.log_softmax(1).numpy()[:, :3]


def adding(change, at):
    """A change at one position of a word."""
    return lambda x: x + change * (torch.arange(len(x)) == at)[:, None]


def test_patched_prefix_without_a_change_is_its_prefix(steered):
    network, patched, words, _ = steered
    found = patched.steer(SITES[1], np.zeros((len(words), network.config.d_model)))
    np.testing.assert_allclose(found, patched.unchanged, atol=1e-12)
    np.testing.assert_allclose(found, [read_word(network, word)[-1] for word in words], atol=1e-12)


@pytest.mark.parametrize("site", SITES)
def test_change_is_made_at_the_last_position_alone_and_seen_from_the_next(steered, site):
    network, patched, words, room = steered
    change = np.random.default_rng(1).normal(size=(len(words), network.config.d_model))
    found, later = patched.steer(site, change), patched.later()
    assert np.abs(found - patched.unchanged).max() > 0.01
    np.testing.assert_array_equal(patched.has_room, np.flatnonzero(room))
    followed = dict(zip(patched.has_room.tolist(), later, strict=True))
    for pair, word in enumerate(words):
        add = adding(torch.from_numpy(change[pair]), len(word) - 1)
        np.testing.assert_allclose(found[pair], read_word(network, word, site, add)[-1], atol=1e-11)
        for token in range(3) if pair in followed else ():
            expected = read_word(network, [*word, token], site, add)[-1]
            np.testing.assert_allclose(followed[pair][token], expected, atol=1e-11)


def test_change_at_the_last_stream_is_all_that_the_output_reads(steered):
    network, patched, words, _ = steered
    last = f"blocks.{network.config.n_layers - 1}.hook_resid_post"
    change = np.ones((len(words), network.config.d_model))
    with network.recording([last]) as record:
        read_word(network, words[0])
    with torch.no_grad():
        stream = network.ln_final(record[last][-1:] + torch.from_numpy(change[:1]))
        expected = (stream @ network.unembed.W_U + network.unembed.b_U).log_softmax(1)[0, :3]
    np.testing.assert_allclose(patched.steer(last, change)[0], expected, atol=1e-12)


def test_ablation_of_everything_leaves_the_mean_at_every_prefix_and_no_trace(steered):
    network, patched, words, room = steered
    rng = np.random.default_rng(0)
    mean, whole = rng.normal(size=network.config.d_model), np.eye(network.config.d_model)
    bos = network.config.d_vocab - 3
    for site in SITES:
        found = patched.ablate(site, mean, whole)

        def replace(x):
            return torch.stack([row if position < bos else torch.from_numpy(mean) for position, row in enumerate(x)])

        np.testing.assert_allclose(found, [read_word(network, word, site, replace)[-1] for word in words], atol=1e-11)
    np.testing.assert_allclose(patched.steer(SITES[0], 0 * np.outer(room, mean)), patched.unchanged, atol=1e-12)
    np.testing.assert_array_equal(patched.ablate(SITES[0], mean, whole[:0]), patched.unchanged)


def test_random_subspaces_are_as_large_as_that_of_the_belief():
    basis = random_basis(np.empty((2, 7)), np.random.default_rng(0))
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-12)


def test_network_that_reads_the_belief_off_its_stream_does_what_the_table_says():
    """A chain whose state is its last token, and a network that looks that token's row up: both are known."""
    chain = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.7, 0.2]])
    process = process_from_config("custom", {"transition_tensor": (chain * np.eye(3)[:, None]).tolist()})
    truth = markov_ground_truth(process, CONTEXT, 10**4, seed=0)
    network = random_network({**SHAPES[1], "bos": False}, 3, CONTEXT)
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.zero_()
            if name == "embed.W_E":
                parameter.copy_(torch.from_numpy(directions[:3]))
            if name == "pos_embed.W_pos":  # no belief, and nothing that the output reads
                parameter.copy_(torch.from_numpy(directions[4:]))
            if name == "unembed.W_U":
                parameter.copy_(torch.from_numpy(directions[:3].T @ np.log(chain)))
    tree = tree_of(truth)
    activation = directions[tree.last_token] + directions[3 + tree.length]
    activations = xr.Dataset(
        {"activation": (("snapshot", "site", "prefix", "feature"), np.tile(activation, (1, 3, 1, 1)))},
        coords={"site": SITES},
    )
    table = steer_network(process, truth, activations, -1, network, 200, [0, 0.5, 1], seed=0)
    assert set(table["partner"]) == {"any"} and set(table["dose"]) == {0, 0.5, 1}

    def values(**where):
        found = select(table, **where)["value"]
        assert len(found) == 3  # sites
        return found.to_numpy()

    now = {"tokens_later": 0, "metric": "kl_to_counterfactual_nats"}
    steered, unsteered = (values(intervention="pattern", dose=dose, **now) for dose in (1, 0))
    np.testing.assert_allclose(steered, 0, atol=1e-9)
    assert min(values(intervention="random", dose=1, **now)) > 0.5 * unsteered[0] > 0.1
    now["metric"] = "kl_to_original_nats"
    np.testing.assert_allclose(values(intervention="pattern", dose=0, **now), 0, atol=1e-9)
    assert min(values(intervention="pattern", dose=1, **now)) > 0.1
    later = select(table, tokens_later=1)  # without attention, the next token alone decides
    assert later["value"].abs().max() < 1e-9 and (later["n_pairs"] < 200).all()
    ablated = {name: values(intervention=name, tokens_later=0) for name in ("none", "ablate_belief", "ablate_random")}
    np.testing.assert_allclose(ablated["none"], 0, atol=1e-9)
    assert (ablated["ablate_belief"] > 2 * ablated["ablate_random"]).all()
