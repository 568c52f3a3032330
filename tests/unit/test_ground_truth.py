"""Ground truth against a brute-force definition written without it, and against golden values of the field."""

import math

import numpy as np
import pytest
import reference_process
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reference_tree import words_of

from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.entropy import check_descent, entropy_rate_bounds_nats
from geometry.processes.prefix_tree import n_sequences_below, tree_of_sequences
from geometry.processes.process import ProcessError, build_process, check_distributions
from geometry.processes.sampling import sample_process, sampled_tree
from geometry.tasks.ground_truth import check_truth, markov_ground_truth

MESS3 = {"x": 0.05, "alpha": 0.85}


def random_process(seed, n_tokens=3, n_states=4):
    """An asymmetric process with forbidden transitions and a random start."""
    rng = np.random.default_rng(seed)
    tensor = rng.random((n_tokens, n_states, n_states)) * (rng.random((n_tokens, n_states, n_states)) < 0.5)
    tensor[0] += 0.1 * np.roll(np.eye(n_states), 1, axis=1)  # keeps the chain irreducible
    tensor /= tensor.sum(axis=(0, 2))[:, None]
    return build_process("random", tensor, initial_state=rng.dirichlet(np.ones(n_states)))


NAMED = {"rrxor": 4, "bloch_walk": 4, "moon": 4, "fanizza": 4, "days_of_week": 2}


@pytest.mark.parametrize(("which", "context"), [*((seed, 5) for seed in range(5)), *NAMED.items()])
def test_ground_truth_equals_brute_force(which, context):
    """Of asymmetric processes with forbidden transitions, by seed, and of named ones."""
    process = process_from_config(which, {}) if which in NAMED else random_process(which)
    definition = process.transition_tensor, process.initial_state, process.readout
    expected = reference_process.ground_truth(*definition, context)
    truth = markov_ground_truth(process, context, max_prefixes=10**6, seed=0)
    assert truth.sizes["prefix"] == len(expected)
    for name in ("length", "last_token", "parent"):
        assert truth[name].values.tolist() == [node[name] for node in expected]
    for name in ("probability", "belief", "next_token_probability"):
        found = truth["target" if name == "belief" else name].values
        np.testing.assert_allclose(found, [node[name] for node in expected], rtol=0, atol=1e-12)
    loss = reference_process.optimal_loss_nats(*definition, context)
    np.testing.assert_allclose(truth["optimal_loss_nats"].values, loss, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "parameters", "golden", "tolerance"),
    [
        ("mess3", MESS3, 0.793457, 1e-6),
        ("mess3", {"x": 0.15, "alpha": 0.6}, 1.088888, 1e-6),
        ("rrxor", {}, 2 / 3 * math.log(2), 1e-9),
        ("z1r", {}, math.log(2) / 3, 1e-9),
        ("even", {}, 2 / 3 * math.log(2), 1e-9),
        ("golden_mean", {}, 2 / 3 * math.log(2), 1e-9),
        ("sns", {}, 0.469862, 1e-6),
    ],
)
def test_entropy_rate_bounds_meet_at_the_golden_value(name, parameters, golden, tolerance):
    lower, upper = entropy_rate_bounds_nats(process_from_config(name, parameters))
    assert lower <= upper
    assert (lower + upper) / 2 == pytest.approx(golden, abs=tolerance)
    assert upper - lower < 1e-6


def test_entropy_rate_of_a_generalized_process_is_bounded_from_above_past_a_plateau():
    rrxor = process_from_config("rrxor", {})
    disguised = build_process("disguised", rrxor.transition_tensor, generalized=True)
    lower, upper = entropy_rate_bounds_nats(disguised)
    assert math.isnan(lower) and upper == pytest.approx(2 / 3 * math.log(2), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "parameters", "n_beliefs"),
    [
        ("mess3", MESS3, 87_622),
        ("mess3", {"x": 0.15, "alpha": 0.6}, 88_573),
        ("rrxor", {}, 36),
        ("z1r", {}, 7),
        ("even", {}, 4),
        ("golden_mean", {}, 3),
        ("sns", {}, 12),
    ],
)
def test_number_of_distinct_beliefs(name, parameters, n_beliefs):
    truth = markov_ground_truth(process_from_config(name, parameters), 10, max_prefixes=10**6, seed=0)
    assert truth.attrs["n_distinct_targets"] == n_beliefs


@pytest.mark.parametrize(("name", "parameters", "golden"), [("mess3", MESS3, 0.802512), ("rrxor", {}, 0.578185)])
def test_mean_optimal_loss_over_positions(name, parameters, golden):
    truth = markov_ground_truth(process_from_config(name, parameters), 10, max_prefixes=10**6, seed=0)
    assert truth["optimal_loss_nats"].values[1:].mean() == pytest.approx(golden, abs=1e-6)


def test_beliefs_of_the_golden_mean_by_hand():
    truth = markov_ground_truth(process_from_config("golden_mean", {}), 2, max_prefixes=100, seed=0)
    # Words 0, 1, 00, 01, 10: a one leads to the second state for certain, a zero to the first.
    np.testing.assert_allclose(truth["target"].values, [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(truth["probability"].values, [2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3], atol=1e-12)


def test_negative_probability_along_the_tree_is_refused():
    # Eigenvalue 1 and a stationary law that looks fine, but the word 00 has a negative probability.
    tensor = [[[0.5, 0.5], [-0.6, 0.3]], [[0.0, 0.0], [0.6, 0.7]]]
    process = build_process("broken", tensor, generalized=True)
    with pytest.raises(ProcessError, match="must be at least 0"):
        complete_tree(process, 6, 10_000)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (2, 3, 3), elements=st.floats(0.01, 1)), st.integers(1, 6))
def test_beliefs_are_a_martingale(weights, context):
    """The mean of the belief after one more token is the belief carried through the chain."""
    process = build_process("random", weights / weights.sum(axis=(0, 2))[:, None])
    tree = complete_tree(process, context, 10**6)
    belief, probability = belief_states(process, tree)
    for level in tree.levels:
        np.testing.assert_allclose(probability[level].sum(), 1, atol=1e-9)
        np.testing.assert_allclose(probability[level] @ belief[level], process.stationary_distribution, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=st.integers(0, 2)))
def test_tree_of_words_holds_each_prefix_once(words):
    tree, nodes = tree_of_sequences(words)
    prefixes = sorted({(i + 1, *word[: i + 1].tolist()) for word in words for i in range(len(word))})
    read = words_of(tree)
    assert [(len(prefix), *prefix) for prefix in read] == prefixes
    for word, places in zip(words, nodes, strict=True):
        assert [read[place] for place in places] == [tuple(word[: i + 1].tolist()) for i in range(len(word))]


def test_words_below_counts_full_words():
    process = process_from_config("golden_mean", {})
    tree = complete_tree(process, 3, 100)
    # 000 001 010 100 101 begin with 0, 00, 01; 1, 10
    assert n_sequences_below(tree).tolist() == [3, 2, 2, 1, 2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(("name", "parameters", "n"), [("rrxor", {"p1": 0.3, "p2": 0.8}, 4), ("bloch_walk", {}, 2)])
def test_sampled_words_follow_the_process(name, parameters, n):
    """A generalized process too."""
    process = process_from_config(name, parameters)
    words = sample_process(process, 40_000, n, np.random.default_rng(0))
    tree, nodes = tree_of_sequences(words)
    share = np.bincount(nodes.ravel(), minlength=len(tree)) / len(words)
    _, probability = belief_states(process, tree)
    assert np.abs(share - probability).max() < 5 * 0.5 / 40_000**0.5


@pytest.mark.parametrize("name", ["rrxor", "z1r", "even", "golden_mean", "days_of_week"])
def test_sampled_words_are_possible(name):
    process = process_from_config(name, {})
    words = sample_process(process, 20_000, 3, np.random.default_rng(0))
    possible = set(words_of(complete_tree(process, 3, 10**4)))
    assert set(map(tuple, words.tolist())) <= possible


def test_sampled_tree_estimates_without_bias_and_stays_within_its_limit():
    process = process_from_config("mess3", MESS3)
    complete = complete_tree(process, 6, 10**6)
    belief, probability = belief_states(process, complete)
    truth = probability @ belief[:, 0] ** 2 / 6
    estimates = []
    for seed in range(40):
        tree, weight = sampled_tree(process, 6, 900, np.random.default_rng(seed))
        assert len(tree) <= 900
        estimates.append(weight @ belief_states(process, tree)[0][:, 0] ** 2 / 6)
    error = np.std(estimates, ddof=1) / 40**0.5
    assert abs(np.mean(estimates) - truth) < 4 * error


def test_large_alphabets_are_stored_in_two_bytes():
    tensor = np.full((300, 1, 1), 1 / 300)
    words = sample_process(build_process("many", tensor), 2000, 2, np.random.default_rng(0))
    assert words.dtype == np.uint16 and words.max() > 255


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (2, 3, 3), elements=st.floats(1e-12, 1)), st.integers(1, 6), st.booleans())
def test_ground_truth_is_within_what_theory_allows(weights, context, is_stationary):
    """The loss never rises from the stationary start, ends no lower than the entropy rate, and is at most ln 2."""
    start = None if is_stationary else [1, 0, 0]
    process = build_process("random", weights / weights.sum(axis=(0, 2))[:, None], initial_state=start)
    truth = markov_ground_truth(process, context, 10**4, seed=0)
    loss = truth["optimal_loss_nats"].values
    assert (loss > -1e-9).all() and (loss < math.log(2) + 1e-9).all()
    if is_stationary:
        assert (np.diff(loss) < 1e-9).all() and loss[-1] > truth.attrs["entropy_rate_nats"] - 1e-9
    for level in range(1, context + 1):
        assert truth["weight"].values[truth["length"].values == level].sum() == pytest.approx(1, abs=1e-9)


def test_loss_may_rise_from_a_known_start():
    process = build_process("known", [[[0.99, 0.01], [0, 0.5]], [[0, 0], [0, 0.5]]], initial_state=[1, 0])
    truth = markov_ground_truth(process, 4, 1000, seed=0)
    assert np.diff(truth["optimal_loss_nats"].values).max() > 0.001


def test_what_cannot_be_is_refused_in_one_sentence():
    process = process_from_config("golden_mean", {})
    truth = markov_ground_truth(process, 2, 100, seed=0)
    tree = complete_tree(process, 2, 100)
    good = [truth[name].values for name in ("target", "weight", "next_token_probability")]
    check_truth(process, tree, *good)
    for place, sentence in enumerate(("belief state .*sum to 1.05", "some length have probability 1", "prediction")):
        bad = [values * 1.05 if k == place else values for k, values in enumerate(good)]
        with pytest.raises(ProcessError, match=sentence):
            check_truth(process, tree, *bad)
    with pytest.raises(ProcessError, match=r"the law .*least is -0.5"):
        check_distributions("the law", np.array([[0.5, 0.5], [1.5, -0.5]]))
    sentences = {(0.3, -0.1): "is -0.1 to", (0.7, 0.6): "0.693147181$", (0.1, 0.2): "rises by 0.1 nats"}
    for nats, sentence in sentences.items():
        with pytest.raises(ProcessError, match=sentence):
            check_descent("the loss", np.array(nats), 2)
    check_descent("the loss", np.array([0.1, 0.2]), 2, may_rise=True)
    with pytest.raises(ProcessError):
        check_descent("the loss", np.array([0.1, np.nan]), 2)
