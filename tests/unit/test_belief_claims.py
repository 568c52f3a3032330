"""Verdicts follow the rule, whatever the data; claims read the rows that they say."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from configuration import ANALYSIS
from geometry.claims.claim import Claim, best_elsewhere, best_random_init
from geometry.claims.evidence import Evidence
from geometry.claims.verdicts import bootstrap_interval, interval, verdict
from geometry.probing.probe_table import PROBED
from geometry.tables import select
from judge_claims import claim_row, judge


def test_interval_of_two_seeds_by_hand():
    # Two values 1 apart: standard error 1/2, Student's t with one degree of freedom at 97.5 %: 12.706.
    low, high = interval(np.array([[0.0], [1.0]]), 0.95)
    assert (low, high) == (pytest.approx(0.5 - 6.353, abs=1e-3), pytest.approx(0.5 + 6.353, abs=1e-3))


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    found = [interval(rng.normal(size=(5, 1)), 0.95) for _ in range(2000)]
    assert 0.935 < np.mean([low < 0 < high for low, high in found]) < 0.965


@pytest.mark.parametrize(("n", "n_draws"), [(2, 10), (5, 2), (5, 10)])
@pytest.mark.parametrize("of_draws", [0.1, 1, 3])
def test_interval_counts_what_the_draw_of_folds_adds(of_draws, n, n_draws):
    """Draws that all seeds share move all of them alike: seeds alone do not show it."""
    rng = np.random.default_rng(1)
    covered, by_seeds = [], []
    for _ in range(2000):
        drawn = of_draws * np.sqrt(n_draws) * rng.normal(size=n_draws)
        values = rng.normal(size=(n, 1)) + drawn + 0.3 * rng.normal(size=(n, n_draws))
        for found, shown in ((covered, values), (by_seeds, values.mean(axis=1, keepdims=True))):
            low, high = interval(shown, 0.95)
            found.append(low < 0 < high)
    assert np.mean(covered) > 0.93
    assert np.mean(by_seeds) < 0.93 or of_draws < 1


def test_interval_of_draws_alike_is_that_of_seeds():
    values = np.random.default_rng(1).normal(size=(6, 1))
    np.testing.assert_allclose(interval(np.repeat(values, 3, axis=1), 0.9), interval(values, 0.9))


def test_bootstrap_stays_among_the_values_and_near_students_t():
    values = np.random.default_rng(1).normal(size=12)
    low, high = bootstrap_interval(values, 0.95)
    assert values.min() <= low < values.mean() < high <= values.max()
    np.testing.assert_allclose([low, high], interval(values[:, None], 0.95), atol=0.15 * values.std())
    assert np.isnan(bootstrap_interval(values[:4], 0.95)).all()


@pytest.mark.parametrize(
    ("gain", "kind", "expected"),
    [
        ([0.2, 0.21, 0.2], "more", "supported"),
        ([0.01, 0.02, 0.01], "more", "not supported"),
        ([0.0, 0.2, 0.4], "more", "undecided"),
        ([0.9], "more", "undecided"),
        ([np.nan, 0.9, 0.9], "more", "undecided"),
        ([np.nan, np.nan, np.nan], "more", "not testable"),
        ([-0.01, -0.02, -0.01], "no less", "supported"),
        ([-0.2, -0.21, -0.2], "no less", "not supported"),
        ([0.01, 0.02, 0.01], "no more", "supported"),
        ([0.2, 0.21, 0.2], "no more", "not supported"),
    ],
)
def test_verdict_needs_the_whole_interval(gain, kind, expected):
    assert verdict(np.array(gain)[:, None], margin=0.05, confidence=0.95, kind=kind) == expected


STREAMS = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]
TARGETS = ["belief_state", "shuffled_belief_state", "belief_beyond_next_token", "unobservable_belief_state"]
BASELINES = {
    "input": ["last_token", "additive_tokens", "3_gram"],
    "optimal_output": ["next_token_probability", "next_token_log_probability"],
    "output": ["network_probability", "network_log_probability"],
}
WAYS = [(split, way) for split in ("held_out_prefix", "held_out_subtree") for way in ("ridge", "least_squares")]


def probe_table(seeds, steps, scores, targets):
    """A table in which each score is its own number, unless it is given: by site or features, target, split, step."""
    places = [(site, "activations") for site in [*STREAMS, "concatenated"]]
    places += [(site, features) for site, names in BASELINES.items() for features in names]
    rows = []
    for seed in seeds:
        for step in steps:
            for site, features in places:
                for target in targets:
                    for split, estimator in [*WAYS, ("held_out_prefix", "k_gram")]:
                        name = site if features == "activations" else features
                        value = scores.get((name, target, split, step), scores.get((name, target, split), 0.01))
                        for (weighting, v), draw in product((("probability", value), ("uniform", 0.5)), (1, 2)):
                            place = "e", seed, step, site, features, target, weighting, split, estimator
                            rows.append((*place, "r2_of_draw", v + 0.002 * (3 - 2 * draw) * (v < 1), draw))
    key = ["experiment", "seed", "step", "site", "features", "target", "weighting", "split", "estimator"]
    return pd.DataFrame(rows, columns=[*key, "metric", "value", "draw"])


def recovery_table(seeds, rows):
    """Ranks and rates of divergence of each source, by step; a rate of None is of what is no process."""
    found = []
    for seed in seeds:
        for source, step, rank, rate in rows:
            found.append(("e", seed, step, source, "rank", rank))
            found += [("e", seed, step, source, "kl_rate_nats", rate)] * (rate is not None)
    return pd.DataFrame(found, columns=["experiment", "seed", "step", "source", "measure", "value"])


RECOVERED = [
    ("blocks.1.hook_resid_post", 0, 1, None),
    ("blocks.1.hook_resid_post", 10, 4, 0.1),
    ("blocks.0.hook_resid_post", 10, 2, 0.3),
    ("process", 10, 5, None),
    ("exact", 10, 5, 0.0),
    ("sampled_sequences", 10, 5, 0.05),
    ("support", 10, 1, 0.35),
    ("unigram", 10, 1, 0.5),
]


def symmetry_table(seeds, errors):
    """The error of each permutation, by step, at each stream, in one and in two dimensions."""
    rows = [
        ("e", seed, step, site, n_dimensions, permutation, "error", error if n_dimensions == 2 else 0.9)
        for seed in seeds
        for (step, permutation), error in errors.items()
        for site in STREAMS[1:]
        for n_dimensions in (1, 2)
    ]
    columns = ["experiment", "seed", "step", "site", "n_dimensions", "permutation", "measure", "value"]
    return pd.DataFrame(rows, columns=columns)


ALL_SWAPS = "()", "(0 1)", "(0 2)"
SYMMETRY = {(0, "(0 1)"): 0.5, (10, "()"): 0.0, (10, "(0 1)"): 0.1, (10, "(0 2)"): 0.9}


def attention_table(seeds, scores):
    """R2 of each draw at the sites of the first block, by site and target; 0.01 unless it is given."""
    rows = [
        ("e", seed, "r2_of_draw", site, target, scores.get((site, target), 0.01) + 0.002 * (3 - 2 * draw), draw)
        for seed in seeds
        for site in ("blocks.0.hook_attn_out", "blocks.0.hook_resid_mid", "blocks.0.hook_resid_post")
        for target in ("belief_state", "constrained_update")
        for draw in (1, 2)
    ]
    return pd.DataFrame(rows, columns=["experiment", "seed", "measure", "site", "target", "value", "draw"])


NOT_MEASURED = pd.DataFrame({"experiment": []})
NO_ATTENTION = NOT_MEASURED, NOT_MEASURED


def claims_of_tables(
    scores, targets=TARGETS, symmetries=("()", "(0 1)"), recovered=RECOVERED, attention=NO_ATTENTION, is_recording=False
):
    ways = [("any", 0), ("equal_next_token", 1)]
    level = {"pattern": [0.1, 0.2, 0.1], "filter": [0.9] * 3, "random": [0.5, 0.6, 0.5]}  # by stream, at full dose
    steering = [
        ("e", seed, site, way, partner, dose, later, "kl_to_counterfactual_nats", level[way][place] if dose else 1.0)
        for seed in (1, 2)
        for place, site in enumerate(STREAMS)
        for way in level
        for partner, later in ways
        for dose in (0.0, 1.0)
    ]
    columns = ["experiment", "seed", "site", "intervention", "partner", "dose", "tokens_later", "metric", "value"]
    probe = probe_table((1, 2), (0, 10), scores, targets)
    is_baseline = probe["site"].isin(["input", "optimal_output"])
    baselines = select(probe[is_baseline], seed=1, step=10).drop(columns="step").assign(seed=pd.NA)
    recovery = recovery_table((1, 2), recovered)
    is_network = recovery["source"].str.contains("blocks|sampled")
    never_trained = {("blocks.1.hook_resid_post", "belief_state", "held_out_prefix"): 0.3}
    tables = {
        "probe": probe[~is_baseline].copy(),
        "baselines": baselines,
        "random_init": probe_table((7, 8), (0,), never_trained, targets),
        "loss": pd.DataFrame(
            {"experiment": "e", "seed": [1, 1, 2, 2], "step": [0, 10, 0, 10], "gap_nats": [1, 0.1, 2, 0.4]}
            | {"position": 1, "loss_nats": [1, 0.1, 2, 7.4], "optimal_loss_nats": [0.0, 0, 0, 7]}
            | dict.fromkeys(["uniform_loss_nats", "unigram_loss_nats"], 5.0)
        ),
        "steering": pd.DataFrame(steering, columns=columns),
        "circuit": pd.DataFrame({"experiment": []}),
        "recovery": recovery[is_network].copy(),
        "process_recovery": select(recovery[~is_network], seed=1).drop(columns=["seed", "step"]),
        "random_init_recovery": recovery_table((7, 8), [("blocks.1.hook_resid_post", 0, 2, 0.4)]),
        "symmetry": symmetry_table((1, 2), SYMMETRY),
        "process_symmetry": pd.DataFrame(
            {"permutation": g, "measure": "is_symmetry", "value": float(g in symmetries)} for g in ALL_SWAPS
        ),
        "random_init_symmetry": symmetry_table((7, 8), {(0, "(0 1)"): 0.4}),
        **dict(zip(("attention", "random_init_attention"), attention, strict=True)),
        **dict.fromkeys(("subspaces", "random_init_subspaces"), pd.DataFrame(columns=["experiment"])),
    }
    for name in ("probe", "loss", "recovery", "symmetry"):
        tables[name]["origin"] = np.where(tables[name]["step"] == 0, "random_init", "trained")
        if is_recording:  # without a random network
            tables[name] = select(tables[name], step=10)
            of_random = "random_init" if name == "probe" else f"random_init_{name}"
            tables[of_random] = tables[name].iloc[:0]
    if is_recording:
        tables["steering"] = NOT_MEASURED
    found = judge(tables, "e", "markov", {"confidence": 0.95, "margin": 0.1}, ANALYSIS)
    at_site = found["claim"].where(found["claim"] != "causal", found["claim"] + " " + found["site"])
    return found.assign(claim=at_site).set_index("claim")


def test_recording_without_a_random_network_is_compared_with_what_there_is():
    last = "blocks.1.hook_resid_post"
    found = claims_of_tables({(last, "belief_state", "held_out_prefix", 10): 0.8}, is_recording=True)
    testable = found[found["verdict"] != "not testable"]
    assert {"linear, beyond token baselines", "exceeds the 3-gram baseline", "spread across layers"} <= set(
        testable.index
    )
    assert testable["gain"].notna().all() and "at initialisation" not in set(found["baseline_name"])
    lacking = found[found["baseline"].isna()]
    assert lacking["verdict"].eq("not testable").all() and lacking["p_value"].isna().all()
    assert lacking["baseline_name"].to_dict() == {
        "causal layer outputs": "no network to write into",
        **dict.fromkeys(
            [
                "predicts near the optimum",
                "emerges with training",
                "not an artefact of the probe",
                "beyond next-token prediction",
                "does not linearly distinguish duplicate states",
                "holds what no prediction needs any more",
                "shows the dimension of its process",
                "its process can be recovered from it",
                "has the symmetry of its process",
            ],
            "no random network",
        ),
    }
    assert lacking.loc["emerges with training", "estimate"] == pytest.approx(0.8, abs=0.01)


def test_baseline_of_fewer_draws_stands_for_the_others_by_its_mean():
    place = "blocks.1.hook_resid_post", "belief_state", "held_out_prefix"
    scores = {(*place, 10): 0.8, (*place, 0): 0.5}
    every = claims_of_tables(scores).loc["emerges with training"]
    assert every["baseline_name"] == "at initialisation" and every["n_draws"] == 2
    claim = Claim("c", "s", pd.DataFrame([[0.8, 0.6]]), {"b": pd.DataFrame([[0.5]], columns=[0])})
    row = claim_row(claim, "e", {"confidence": 0.95, "margin": 0.1})
    assert row["gain"] == pytest.approx(((0.5 - 0.2) / 0.5 + (0.5 - 0.4) / 0.5) / 2)


def test_claims_read_the_right_rows():
    last = "blocks.1.hook_resid_post"
    claims = claims_of_tables(
        {
            (last, "belief_state", "held_out_prefix", 10): 0.8,
            (last, "belief_state", "held_out_prefix", 0): 0.2,
            (last, "belief_state", "held_out_subtree", 10): 0.75,
            (last, "shuffled_belief_state", "held_out_subtree"): 0.05,
            ("concatenated", "belief_state", "held_out_prefix", 10): 0.9,
            ("additive_tokens", "belief_state", "held_out_prefix"): 0.4,
            ("3_gram", "belief_state", "held_out_prefix"): 0.6,
            (last, "belief_beyond_next_token", "held_out_prefix", 10): 0.5,
            ("network_log_probability", "belief_beyond_next_token", "held_out_prefix"): 0.35,
            ("blocks.0.hook_resid_post", "belief_beyond_next_token", "held_out_prefix", 10): 0.7,
            ("blocks.0.hook_resid_post", "unobservable_belief_state", "held_out_prefix", 10): 0.03,
            (last, "unobservable_belief_state", "held_out_prefix", 10): 0.02,
        }
    )
    expected = {
        "predicts near the optimum": (0.85, 1, "an optimal predictor"),
        "linear, beyond token baselines": (0.8, 0.4, "all tokens, additive"),
        "not an artefact of the probe": (0.75, 0.05, "shuffled beliefs"),
        "emerges with training": (0.8, 0.3, "best of 2 random networks"),
        "exceeds the 3-gram baseline": (0.8, 0.6, "3-gram"),
        "beyond next-token prediction": (0.5, 0.35, "network's log-probabilities"),
        "spread across layers": (0.9, 0.8, "best single layer output"),
        "fades towards the last layer where predictions do not need it": (0.7, 0.5, "last layer output"),
        "does not linearly distinguish duplicate states": (0.03, 0.01, "last token"),
        "holds what no prediction needs any more": (0.02, 0.01, "last token"),
        "causal blocks.0.hook_resid_post": (0.8, 0.4, "random direction"),
        "causal blocks.1.hook_resid_post": (0.9, 0.5, "random direction"),
        "causal for what only later tokens reveal": (0.8, 0.4, "random direction"),
        "shows the dimension of its process": (0.8, 0.4, "best of 2 random networks"),
        "its process can be recovered from it": (0.8, 0.3, "support"),
        "has the symmetry of its process": (0.9, 0.6, "best of 2 random networks"),
        "recovers its process better than its training data do": (0.8, 0.9, "spectral learning on as many sequences"),
    }
    assert set(claims.index) == set(expected)
    assert set(claims["caution"]) == {"seed 2: position 1 predicts worse than uniform (7.400 nats against 5.000)"}
    for name, (estimate, baseline, baseline_name) in expected.items():
        row = claims.loc[name]
        assert row["baseline_name"] == baseline_name
        assert (row["estimate"], row["baseline"]) == (pytest.approx(estimate), pytest.approx(baseline))
        scale = max(estimate, baseline) if row["kind"] == "no less" else 1 - min(estimate, baseline)
        assert row["gain"] == pytest.approx((estimate - baseline) / scale, abs=1e-4)
        assert (row["n_draws"] == 2) == ("R2" in row["measure"])
        if row["n_draws"] == 2:
            assert row["sd_over_draws"] == pytest.approx(0.004 / np.sqrt(2))
    assert claims.loc["does not linearly distinguish duplicate states", "verdict"] == "supported"


RANK, PROCESS = "shows the dimension of its process", "its process can be recovered from it"


@pytest.mark.parametrize("rate", [None, 0.3])
def test_nothing_is_said_of_a_process_that_exact_predictions_do_not_give_back(rate):
    """Where the prefixes are too short, what comes out of a network has nothing to be compared with."""
    short = [row if row[0] != "exact" else ("exact", 10, 4, rate) for row in RECOVERED]
    claims = claims_of_tables({}, targets=["belief_state", "shuffled_belief_state"], recovered=short)
    assert claims.loc[[RANK, PROCESS], "verdict"].tolist() == ["not testable"] * 2
    np.testing.assert_allclose(claims.loc[[RANK, PROCESS], "exact"], [0.8, 0 if rate is None else 0.4])
    assert claims.loc[RANK, "estimate"] == 0.8  # as far from the true five dimensions as the exact predictions are


def test_true_number_of_dimensions_is_that_of_the_process():
    """A network that shows as many as exact predictions do, but fewer than the process has, does not show them all."""
    claims = claims_of_tables({}, recovered=[row if row[0] != "exact" else ("exact", 10, 4, 0.0) for row in RECOVERED])
    assert claims.loc[RANK, "verdict"] == "not testable" and claims.loc[RANK, "exact"] == 0.8
    assert claims.loc[PROCESS, "verdict"] != "not testable" and claims.loc[PROCESS, "exact"] == 1


def test_layer_is_chosen_on_the_other_seeds():
    means = [0.9, 0.1, 0.1], [0.3, 0.4, 0.5]
    scores = [pd.DataFrame({draw: np.array(values) + 0.01 * draw for draw in (-1, 1)}, [1, 2, 3]) for values in means]
    np.testing.assert_allclose(best_elsewhere(scores), [[0.29, 0.31], [0.09, 0.11], [0.09, 0.11]])
    np.testing.assert_allclose(best_elsewhere([score[:1] for score in scores]), [[0.89, 0.91]])


def test_what_predictions_tell_must_persist_and_cannot_be_told_from_them():
    """Of a process whose next-token predictions show the whole belief."""
    scores = {
        ("blocks.1.hook_resid_post", "belief_state", "held_out_prefix", 10): 0.9,
        ("blocks.0.hook_resid_post", "belief_state", "held_out_prefix", 10): 0.905,
        ("next_token_probability", "belief_state", "held_out_prefix"): 1.0,
    }
    claims = claims_of_tables(scores, targets=["belief_state", "shuffled_belief_state"], symmetries=["()"])
    assert claims.loc["persists to the last layer where predictions need it", "verdict"] == "supported"
    assert claims.loc["beyond next-token prediction", "verdict"] == "not testable"
    assert not [name for name in claims.index if "fades" in name or "duplicate" in name or "symmetry" in name]


ATTENTION, MLP = "first attention adds up evidence token by token", "first MLP turns evidence into the belief"


@pytest.mark.parametrize(
    ("never", "expected"),
    [
        ({}, {ATTENTION: (0.9, 0.8, "the belief there"), MLP: (0.99, 0.95, "the sum of evidence there")}),
        (
            {
                ("blocks.0.hook_attn_out", "constrained_update"): 0.85,
                ("blocks.0.hook_resid_post", "belief_state"): 0.97,
            },
            {ATTENTION: (0.9, 0.85, "best of 2 random networks"), MLP: (0.99, 0.97, "best of 2 random networks")},
        ),
    ],
)
def test_claims_on_attention_read_the_right_rows(never, expected):
    scores = {
        ("blocks.0.hook_attn_out", "constrained_update"): 0.9,
        ("blocks.0.hook_attn_out", "belief_state"): 0.8,
        ("blocks.0.hook_resid_mid", "constrained_update"): 0.98,
        ("blocks.0.hook_resid_mid", "belief_state"): 0.94,
        ("blocks.0.hook_resid_post", "constrained_update"): 0.95,
        ("blocks.0.hook_resid_post", "belief_state"): 0.99,
    }
    claims = claims_of_tables({}, attention=(attention_table((1, 2), scores), attention_table((7, 8), never)))
    for name, (estimate, baseline, baseline_name) in expected.items():
        row = claims.loc[name]
        assert row["baseline_name"] == baseline_name and row["n_draws"] == 2
        assert (row["estimate"], row["baseline"]) == (pytest.approx(estimate), pytest.approx(baseline))
        assert row["verdict"] == "supported"
    assert claims.loc[ATTENTION, "site"] == "blocks.0.hook_attn_out"


def test_belief_that_was_there_before_the_mlp_is_not_made_by_it():
    scores = dict.fromkeys([(f"blocks.0.hook_resid_{place}", "belief_state") for place in ("mid", "post")], 0.99)
    tables = attention_table((1, 2), scores), attention_table((7, 8), {})
    row = claims_of_tables({}, attention=tables).loc[MLP]
    assert (row["baseline_name"], row["verdict"]) == ("the belief before the MLP", "not supported")


def test_a_random_network_that_has_read_the_words_of_a_seed_is_the_baseline_of_this_seed_alone():
    like = pd.DataFrame([[0.9, 0.9], [0.8, 0.8]], pd.Index([1, 2], name="seed"), [1, 2])
    same_words, others = like - 0.5, (like - 0.5).set_axis(pd.Index([7, 8], name="seed"))
    assert best_random_init(like, same_words)["random network"].equals(same_words)
    assert (best_random_init(like, others)["best of 2 random networks"] == 0.4).all(axis=None)


@pytest.mark.parametrize("by_seed", [True, False])
def test_baselines_of_samples_of_words_are_those_of_each_seed(by_seed):
    like = pd.DataFrame(0.9, pd.Index([1, 2], name="seed"), [1, 2])
    rows = [(1, 1, 0.1), (1, 2, 0.2), (2, 1, 0.3), (2, 2, 0.4)] if by_seed else [(None, 1, 0.1), (None, 2, 0.2)]
    table = pd.DataFrame(rows, columns=["seed", "draw", "value"])
    where = {"site": "input", "features": "3_gram", "target": "belief_state", "metric": "r2_of_draw"}
    evidence = SimpleNamespace(baselines=table.assign(**where, **PROBED | {"estimator": "k_gram"}))
    found = Evidence.baseline(evidence, like, "3-gram", estimator="k_gram")
    assert found.to_numpy().tolist() == [[0.1, 0.2], [0.3, 0.4] if by_seed else [0.1, 0.2]]
    assert found.index.equals(like.index)
