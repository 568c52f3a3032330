"""The first attention: its tables against the network's own pass, and measures of attention that was planted."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_constrained_updates import ASYMMETRIC
from test_transformer import SHAPES, random_network

from geometry.networks.extraction import tree_activations
from geometry.networks.first_attention import branches, first_attention, patterns
from geometry.networks.hook_points import FIRST_BLOCK
from geometry.probing.attention_measures import (
    Theory,
    attention_rows,
    cosines,
    effective_rows,
    encoding,
    position_means,
    regression_rows,
    token_share,
    written_of_tokens,
)
from geometry.processes.belief_states import complete_tree, complete_tree_with_beliefs
from geometry.processes.catalog import mess3
from geometry.processes.composed import noisy, product
from geometry.processes.constrained_updates import constrained_updates, single_token_evidence
from geometry.processes.process import build_process
from geometry.tables import select
from geometry.tasks.ground_truth import markov_ground_truth
from measure_attention import Comparison
from plot_attention import plot_attention

SHAPE = SHAPES[0] | {"biases": "all"}
PROBE = {"folds": 3, "repeats": 2, "seed": 0}


@pytest.mark.parametrize("normalization", ["LN", "none"])
@pytest.mark.parametrize("bos", [False, True])
def test_tables_give_what_the_network_computes(normalization, bos):
    """A wrong scale, LayerNorm, position or head would give another output of the attention."""
    process, context = mess3(0.15, 0.6), 4
    model = SHAPE | {"normalization": normalization, "bos": bos}
    network = random_network(model, 3, context)
    tree, bos_token = complete_tree(process, context, 1000), 3 if bos else None
    chunks = tree_activations(network, *tree.network_input(bos_token), FIRST_BLOCK[:1], 1024, int(bos))
    computed = torch.cat([record[FIRST_BLOCK[0]] for _, record, _ in chunks])[int(bos) :].numpy()
    attention, found = first_attention(network), []
    for tokens in branches(tree, bos_token):
        written = attention.written[np.arange(tokens.shape[1]), tokens]
        found.append(np.einsum("nsh,nshm->nm", patterns(attention, tokens), written))
    np.testing.assert_allclose(np.concatenate(found) + network.blocks[0].attn.b_O.detach().numpy(), computed, atol=1e-9)


def planted(process, context, kernel, written, by_token=None):
    """The rows of attention that is `kernel` by lag and head, times a factor for each token attended to."""
    tree, _, weight = complete_tree_with_beliefs(process, context, 100_000)
    encoder = np.random.default_rng(1).normal(size=(process.n_states, 8))
    encoder -= encoder.mean(axis=0)
    evidence, chain = single_token_evidence(process, context), process.transition_tensor.sum(axis=0)
    means = []
    for level, tokens in zip(tree.levels, branches(tree, None), strict=True):
        pattern = np.broadcast_to(kernel[: tokens.shape[1]][::-1], (len(tokens), tokens.shape[1], kernel.shape[1]))
        if by_token is not None:
            pattern = pattern * by_token[tokens][:, :, None]
        means.append(position_means(tokens, pattern, weight[level], process.n_tokens))
    theory = Theory(evidence, chain, np.linalg.pinv(encoder))
    return pd.DataFrame(attention_rows(means, written(evidence, encoder), theory, encoder))


def value(table, measure, head=None, **where):
    rows = select(table, measure=measure, **where)
    rows = rows[rows["head"].isna()] if head is None else select(rows, head=head)
    return rows[rows["position"].isna()]["value"].to_numpy(float)


def evidence_by_all(signs):
    """Heads that each write a token's evidence, with a sign, and something that is the same for all tokens."""
    return lambda evidence, encoder: (evidence @ encoder)[:, :, None] * np.array(signs)[:, None] + 3.0


def test_planted_kernel_is_found_by_lag_with_its_decay():
    zeta = 0.55
    table = planted(mess3(0.15, 0.6), 8, zeta ** np.arange(8)[:, None], evidence_by_all([1]))
    np.testing.assert_allclose(value(table, "attention", head=0), zeta ** np.arange(4))
    np.testing.assert_allclose(value(table, "attention_decay", head=0), zeta)
    np.testing.assert_allclose(value(table, "effective_attention"), zeta ** np.arange(4))
    np.testing.assert_allclose(value(table, "effective_attention_cosine"), 1)
    np.testing.assert_allclose(value(table, "output_value_cosine"), 1)
    np.testing.assert_allclose(value(table, "token_share", head=0), 0, atol=1e-9)
    assert value(table, "zeta") == pytest.approx(zeta)


def test_two_heads_of_opposite_sign_write_powers_of_a_negative_rate():
    powers = 0.5 ** np.arange(8)
    kernel = np.stack([powers * (np.arange(8) % 2 == 0), powers * (np.arange(8) % 2 == 1)], axis=1)
    both = planted(mess3(0.5, 0.6), 8, kernel, evidence_by_all([1, -1]))
    np.testing.assert_allclose(value(both, "effective_attention"), (-0.5) ** np.arange(4))
    np.testing.assert_allclose(value(both, "effective_attention_cosine"), 1)
    np.testing.assert_allclose(value(both, "evidence_cosine"), 1)
    assert value(both, "attention_cosine")[0] < 0.7  # attention itself is never negative
    one = planted(mess3(0.5, 0.6), 8, kernel, evidence_by_all([1, 1]))
    np.testing.assert_allclose(value(one, "output_value_cosine").reshape(4, 3)[:, 0], [1, -1, 1, -1])
    assert value(one, "effective_attention_cosine")[0] < 0.7


def test_each_factor_of_a_product_has_the_kernel_of_the_head_that_writes_it():
    process = product([mess3(0.1, 0.6), mess3(0.2, 0.6)])
    comparison = Comparison(process, markov_ground_truth(process, 4, 10_000, 0), PROBE, 4)
    tree, maps = comparison.tree, [part.marginal for part in process.composition.parts]
    encoder = np.random.default_rng(1).normal(size=(6, 12))
    stream = comparison.updates @ np.hstack(maps) @ encoder
    kernel = np.stack([0.7 ** np.arange(4), 0.4 ** np.arange(4)], axis=1)
    by_head = zip(maps, np.split(encoder, 2), strict=True)
    written = np.stack([comparison.evidence @ own @ part for own, part in by_head], axis=2)
    means = []
    for level, tokens in zip(tree.levels, branches(tree, None), strict=True):
        pattern = np.broadcast_to(kernel[: tokens.shape[1]][::-1], (*tokens.shape, 2))
        means.append(position_means(tokens, pattern, comparison.weight[level], process.n_tokens))
    of_tokens = [written_of_tokens(of, written) for of in means]
    theories = list(comparison.of_factors(stream, comparison.weight))
    assert [one.target for one in theories] == ["belief_of_mess3_1", "belief_of_mess3_2"]
    for theory, zeta in zip(theories, (0.7, 0.4), strict=True):
        assert theory.decay == pytest.approx(zeta)
        table = pd.DataFrame(effective_rows(means, of_tokens, theory))
        np.testing.assert_allclose(value(table, "effective_attention"), zeta ** np.arange(2))
        np.testing.assert_allclose(value(table, "effective_attention_cosine"), 1)


def test_factors_that_depend_on_each_other_have_no_kernels_of_their_own():
    process = noisy(product([mess3(0.1, 0.6), mess3(0.2, 0.6)]), 0.1)
    comparison = Comparison(process, markov_ground_truth(process, 3, 10_000, 0), PROBE, 3)
    assert list(comparison.of_factors(comparison.updates, comparison.weight)) == []


def test_what_is_written_beside_the_evidence_lowers_the_cosine_in_the_stream_alone():
    def written(evidence, encoder):
        outside = np.linalg.svd(encoder)[2][-1]  # orthogonal to what any state writes
        extra = np.array([1.0, -2.0, 1.0])[:, None] * outside
        return ((evidence @ encoder) + extra)[:, :, None]

    table = planted(mess3(0.15, 0.6), 6, 0.55 ** np.arange(6)[:, None], written)
    assert (value(table, "output_value_cosine") < 0.95).all()
    np.testing.assert_allclose(value(table, "evidence_cosine"), 1)


def test_evidence_of_another_token_is_not_its_own():
    table = planted(mess3(0.15, 0.6), 6, 0.55 ** np.arange(6)[:, None], lambda g, m: (g[:, [1, 2, 0]] @ m)[:, :, None])
    np.testing.assert_allclose(value(table, "evidence_cosine"), -0.5)


def test_share_of_the_tokens_in_the_variance_by_hand():
    """Attention 1 to token 0 and 3 to token 1, both as probable, at the only lag: all of its variance."""
    tokens, pattern = np.array([[0], [1]]), np.array([[[1.0, 2.0]], [[3.0, 2.0]]])
    means = position_means(tokens, pattern, np.array([0.5, 0.5]), 2)
    share = token_share([means])
    assert share[0] == pytest.approx(1) and np.isnan(share[1])
    # A second length in which attention is 4 to both tokens: between lengths (2 - 3)^2, within the first 1.
    second = position_means(tokens, np.full((2, 1, 1), 4.0), np.array([0.5, 0.5]), 2)
    first = position_means(tokens, pattern[:, :, :1], np.array([0.5, 0.5]), 2)
    assert token_share([first, second])[0] == pytest.approx(0.5 / (0.5 + 1))


def test_attention_by_token_shows_in_its_share():
    kernel = 0.55 ** np.arange(6)[:, None]
    shares = [
        value(planted(mess3(0.15, 0.6), 6, kernel, evidence_by_all([1]), np.array(of)), "token_share", head=0)[0]
        for of in ([1, 1, 1], [1, 1.2, 0.8], [0.2, 2, 1])
    ]
    assert shares[0] == pytest.approx(0, abs=1e-9) and shares[0] < shares[1] < 0.1 < shares[2]


def test_means_are_weighted_by_probability_on_an_asymmetric_process():
    process = build_process("asymmetric", ASYMMETRIC)
    tree, _, weight = complete_tree_with_beliefs(process, 3, 1000)
    *_, tokens = branches(tree, None)
    pattern = np.random.default_rng(0).random((*tokens.shape, 2))
    means = position_means(tokens, pattern, weight[tree.levels[2]], 2)
    own = weight[tree.levels[2]]
    np.testing.assert_allclose(means.by_lag[0], own @ pattern[:, -1])
    is_one = tokens[:, 0] == 1
    np.testing.assert_allclose(means.attention[2, 1], own[is_one] @ pattern[is_one, 0] / own[is_one].sum())
    np.testing.assert_allclose(means.probability[2, 1], own[is_one].sum())


def test_encoding_is_the_map_from_states_to_the_stream():
    rng = np.random.default_rng(0)
    state, matrix = rng.dirichlet(np.ones(3), 500), rng.normal(size=(3, 6))
    noise = rng.normal(size=(500, 6))  # that no state explains: it widens a probe's inverse, not this
    found = encoding(state, state @ matrix + 1e-3 * noise + 2, np.ones(500))
    change = np.array([1.0, -1.0, 0.0])
    assert cosines(change @ found, change @ matrix) > 0.999
    assert np.linalg.norm(change @ found) == pytest.approx(np.linalg.norm(change @ matrix), rel=0.01)


@pytest.fixture(scope="module")
def measured():
    """The rows of two networks that nothing was planted in."""
    process = mess3(0.15, 0.6)
    comparison = Comparison(process, markov_ground_truth(process, 5, 1000, 0), PROBE, 4)
    tables = []
    for seed in (1, 2):
        network = random_network(SHAPE | {"normalization": "LN", "bos": True}, 3, 5, torch.float32, seed)
        tables.append(pd.DataFrame(comparison.rows_of(network, 3)).assign(seed=seed))
    return pd.concat(tables)


def test_position_that_was_never_trained_is_left_out(measured):
    assert measured["position"].max() == 4 and measured["lag"].max() == 3


def test_regressions_have_both_targets_at_the_sites_of_the_first_block(measured):
    r2 = select(measured, measure="r2_of_draw", seed=1)
    assert r2.groupby(["site", "target", "draw"]).size().eq(1).all() and len(r2) == 3 * 2 * 2
    assert (r2["value"] < 1).all() and r2["value"].nunique() == len(r2)


def test_regression_finds_planted_constrained_updates_and_belief():
    """Features that are linear in one target decode it, and the other less, after two tokens or more."""
    process = mess3(0.15, 0.6)
    truth = markov_ground_truth(process, 6, 10_000, 0)
    comparison = Comparison(process, truth, PROBE, 5)
    assert set(comparison.design.length) == {2, 3, 4, 5}
    mix = np.random.default_rng(0).normal(size=(3, 7))
    for name, target in comparison.design.true.items():
        table = pd.DataFrame(regression_rows(comparison.design, {"here": (target @ mix).astype(np.float32)}))
        r2 = select(table, measure="r2").set_index("target")["value"]
        assert r2[name] > 0.9999 and r2.drop(name).item() < 0.999
    updates = constrained_updates(process, comparison.tree)[comparison.rows]
    np.testing.assert_allclose(comparison.design.true["constrained_update"], updates)


def test_figure_is_drawn_with_and_without_a_decay(measured):
    table = measured.astype(dict.fromkeys(["head", "position", "lag"], "Int64"))
    figure = plot_attention(table, table)
    assert len(figure.axes) == 4 and any("ζ" in text for text in figure.axes[1].get_legend_handles_labels()[1])
    table = table.assign(value=table["value"].where(table["measure"] != "zeta"))
    assert not any("ζ" in text for text in plot_attention(table, table).axes[1].get_legend_handles_labels()[1])
