"""What the scripts call things: each label of a table or archive stands for what it says."""

import logging

import numpy as np
import pandas as pd
import pytest
from reference_tree import words_of
from run_datasets import activations_dataset, decoded_dataset

from geometry.probing.design import markov_design, weightings
from geometry.probing.probe_table import decoded_beliefs, held_out_r2
from geometry.processes.belief_states import belief_states
from geometry.processes.catalog import process_from_config
from geometry.processes.prefix_tree import tree_of
from geometry.schemas.probing import Distances
from geometry.storage import open_dataset
from geometry.tables import checked, select
from geometry.tasks.ground_truth import markov_ground_truth
from measure_distances import agreements, compare_distances, draw_pairs
from measure_loss import loss_table
from probe_beliefs import Probe, probe_run
from score_baselines import score_baselines

MESS3 = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
PROBE = {"folds": 3, "repeats": 2, "seed": 0}
SITES = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "ln_final.hook_normalized"]
STREAMS = SITES[:2]


@pytest.fixture
def truth():
    return markov_ground_truth(MESS3, 5, 10**4, seed=0)


@pytest.fixture
def activations(truth):
    """Noise everywhere, but the belief state in one site of the last snapshot, and the optimum as its output."""
    rng = np.random.default_rng(0)
    n = truth.sizes["prefix"]
    values = rng.normal(size=(2, len(SITES), n, 6)).astype(np.float32)
    values[1, 1] = truth["target"].values @ rng.normal(size=(3, 6)) + 1
    optimal = np.log(truth["next_token_probability"].values)
    return activations_dataset(values, np.stack([np.full((n, 3), -np.log(3)), optimal]), SITES, steps=[0, 7])


@pytest.fixture
def probed(truth, activations, tmp_path):
    path = tmp_path / "decoded.zarr.zip"
    probe = Probe(truth, markov_design(truth, MESS3, None, PROBE), {}, STREAMS)
    table = probe_run(truth, activations, probe, logging.getLogger("test"), path)
    with open_dataset(path) as decoded:
        yield table, decoded.load()


def test_planted_belief_is_found_where_and_when_it_was_planted(probed):
    table, _ = probed
    for site in [*SITES, "concatenated"]:
        scores = held_out_r2(table, site)
        planted = site in ("blocks.0.hook_resid_post", "concatenated")
        assert scores[0] < 0.1 and (scores[7] > 1 - 1e-6) == planted
    shuffled = select(table, target="shuffled_belief_state", metric="r2", split="held_out_prefix")
    assert shuffled["value"].max() < 0.1
    assert set(table[table["site"] == "concatenated"]["n_features"]) == {12}


def test_decoded_beliefs_are_those_of_their_site_and_step(probed, truth):
    _, decoded = probed
    found = decoded_beliefs(decoded, "blocks.0.hook_resid_post")
    np.testing.assert_allclose(found[1], truth["target"].values, atol=1e-4)
    assert np.abs(found[0] - truth["target"].values).max() > 0.3


def test_splits_are_not_swapped(probed, truth):
    """In sample, noise decodes a little of anything; held out, nothing."""
    table, decoded = probed
    decoding = {"target": "belief_state", "step": 0, "features": "activations"}
    uniform = select(table, weighting="uniform", **decoding)
    r2 = select(table, weighting="probability", metric="r2", **decoding).groupby("split")["value"].min()
    assert r2["in_sample"] > 0 > r2["held_out_prefix"]
    weight = truth["n_sequences_below"].values / truth["n_sequences_below"].values.sum()
    in_sample = decoded["decoded_belief"].values[list(decoded["split"].values).index("in_sample"), 0, 0]
    error = weight @ (in_sample - truth["target"].values) ** 2
    expected = select(uniform, metric="mse", site=SITES[0], split="in_sample")["value"].item()
    assert error.mean() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("planted", ["belief_state", "other_process", "prefix"])
def test_verdict_on_planted_networks(planted, tmp_path):
    """A belief planted among noise scores 1; that of another process no better than the tokens tell; a look-up
    table of the prefixes scores 1 in sample and, held out, hardly better than a guess.
    """
    truth = markov_ground_truth(MESS3, 4, 10**4, seed=0)
    rng, n = np.random.default_rng(0), truth.sizes["prefix"]
    tree = tree_of(truth)
    other = process_from_config("mess3", {"x": 0.3, "alpha": 0.4})
    source = {
        "belief_state": truth["target"].values @ rng.normal(size=(3, 20)),
        "other_process": belief_states(other, tree)[0] @ rng.normal(size=(3, 20)),
        "prefix": np.eye(n) * 20,
    }[planted]
    features = np.hstack([source, rng.normal(size=(n, 5))])[None, None].astype(np.float32)
    output = np.full((1, n, 3), -np.log(3), np.float32)
    planted_run = activations_dataset(features, output, SITES[1:2], steps=[9])
    design = markov_design(truth, MESS3, None, {**PROBE, "folds": 5})
    job = logging.getLogger("test")
    table = probe_run(truth, planted_run, Probe(truth, design, {}, []), job, tmp_path / "decoded.zarr.zip")
    where = {"target": "belief_state", "weighting": "probability", "metric": "r2", "estimator": "least_squares"}
    r2 = select(table, features="activations", **where).set_index("split")["value"]
    tokens = select(score_baselines(truth, design, np.eye(3))[0], features="additive_tokens", **where)
    baseline = tokens.set_index("split")["value"]
    if planted == "belief_state":
        assert r2[["in_sample", "held_out_prefix", "held_out_subtree", "held_out_length"]].min() > 1 - 1e-6
    elif planted == "other_process":
        splits = ["held_out_prefix", "held_out_subtree"]
        assert (r2[splits] < baseline[splits]).all()
    else:
        assert r2["in_sample"] > 1 - 1e-6
        assert r2["held_out_prefix"] < 0.3 < baseline["held_out_prefix"]


def test_weightings_are_those_of_the_literature(truth):
    weights = weightings(truth)
    first = truth["length"].values == 1
    np.testing.assert_allclose(weights["uniform"][first], 3**4)
    np.testing.assert_allclose(weights["uniform"][truth["length"].values == 5], 1)
    assert list(weights) == ["probability", "uniform", "distinct_prefix"] and (weights["distinct_prefix"] == 1).all()
    np.testing.assert_allclose(weights["probability"][first], 1 / 3)
    assert weights["probability"].sum() == pytest.approx(5)


def test_sampled_tree_has_no_uniform_weighting():
    sampled = markov_ground_truth(MESS3, 12, 600, seed=0)
    assert not sampled.attrs["complete"] and list(weightings(sampled)) == ["probability"]
    np.testing.assert_allclose(sampled["weight"].groupby(sampled["length"]).sum(), 1)


def test_distances_are_named_after_their_geometry():
    truth = markov_ground_truth(process_from_config("rrxor", {}), 5, 10**4, seed=0)
    noise = np.random.default_rng(0).normal(size=truth["target"].shape)
    beliefs = np.array([[noise, noise], [truth["target"].values, noise]])  # the truth at the last step and first site
    decoded = decoded_dataset(beliefs[None], ["a", "b"], splits=["held_out_prefix"])
    result = compare_distances(truth, decoded, 3000, seed=0)
    np.testing.assert_allclose(result["r2_belief"][0, 1, 0], 1)
    np.testing.assert_allclose(result["r2_next_token"][0, 1, 0], result.attrs["r2_belief_next_token"])
    assert result.attrs["r2_belief_next_token"] < 0.5
    assert result["r2_belief"].values.ravel()[[0, 1, 3]].max() < 0.1


def test_agreements_on_pairs_are_those_of_a_loop_over_them_and_of_a_table_of_the_last_three_tokens():
    truth = markov_ground_truth(process_from_config("rrxor", {}), 5, 10**4, seed=0)
    rng, belief = np.random.default_rng(0), truth["target"].values
    beliefs = rng.normal(size=(2, 4, 1, *belief.shape))
    decoded = decoded_dataset(beliefs, ["a"], steps=[0, 3, 7, 7], seeds=[1, 1, 1, 2])
    table = checked(pd.DataFrame(agreements(truth, decoded, 400, seed=3)).assign(experiment="e"), Distances)
    assert table[["seed", "step"]].drop_duplicates().to_numpy().tolist() == [[1, 0], [1, 7], [2, 7]]
    pairs = draw_pairs(truth["weight"].values, 400, np.random.default_rng(3)).T
    last, weight = [word[-3:] for word in words_of(tree_of(truth))], truth["weight"].values
    groups = [[other == one for other in last] for one in last]
    suffix = np.array([np.average(belief[rows], axis=0, weights=weight[rows]) for rows in groups])
    targets = {"belief_state": belief, "suffix_3_belief_state": suffix}
    targets["next_token_probability"] = truth["next_token_probability"].values
    for row in select(table, seed=2, split="in_sample").itertuples():
        other, own, of_pairs = targets[row.target], beliefs[1, 3, 0], []
        for a, b in pairs:
            cosine = [x[a] @ x[b] / np.sqrt((x[a] @ x[a]) * (x[b] @ x[b])) for x in (own, other)]
            distance = [np.sqrt(((x[a] - x[b]) ** 2).sum()) for x in (own, other)]
            of_pairs.append(cosine if row.measure == "r2_of_cosines" else distance)
        assert row.value == pytest.approx(np.corrcoef(np.transpose(of_pairs))[0, 1] ** 2, abs=1e-9)


def test_loss_of_the_optimum_is_optimal_and_that_of_ignorance_is_known(truth, activations):
    table = loss_table(truth, activations)
    np.testing.assert_allclose(select(table, step=7)["gap_nats"], 0, atol=1e-12)
    np.testing.assert_allclose(select(table, step=0)["loss_nats"], np.log(3), atol=1e-12)
    np.testing.assert_allclose(select(table, step=7)["loss_nats"], truth["optimal_loss_nats"].values[1:], atol=1e-12)
    assert table["position"].tolist() == [1, 2, 3, 4, 5] * 2
