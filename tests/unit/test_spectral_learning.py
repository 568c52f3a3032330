"""A process comes back exactly out of what computes it, and not out of what remembers words or knows nothing."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.catalog import PROCESSES
from geometry.processes.process import build_process
from geometry.processes.sampling import sampled_tree
from geometry.recovery.next_token_model import (
    NextTokenModel,
    complete_part,
    counted_model,
    exact_model,
    sampled_model,
    support_model,
)
from geometry.recovery.recovery_scores import (
    RecoveryScorer,
    eigenvalue_error,
    eigenvalues,
    probable_pairs,
    products,
    simulate,
)
from geometry.recovery.spectral_learning import Recovery, filter_beliefs, recovered_process, spectrum, tokens_ahead
from geometry.tasks.ground_truth import complete_length
from score_recovery import nearest

STAY = [[0.8, 0.15, 0.05], [0.1, 0.85, 0.05], [0.1, 0.3, 0.6]]
EMIT = [[0.9, 0.05, 0.05], [0.2, 0.75, 0.05], [0, 0.1, 0.9]]
SKEW = build_process("skew", np.array(STAY) * np.transpose(EMIT)[:, None, :])
"""An asymmetric process of three states and three tokens."""

WHOLE = {
    "mess3": (PROCESSES["mess3"](x=0.05, alpha=0.85), 7, 3),
    "skew": (SKEW, 6, 3),
    "rrxor": (PROCESSES["rrxor"](), 10, 5),
    "bloch_walk": (PROCESSES["bloch_walk"](), 6, 3),
    "mess3_duplicated": (PROCESSES["mess3_duplicated"](x=0.05, alpha=0.85), 6, 3),
}
"""A process, a context, and how many dimensions its continuation probabilities have."""


def rng():
    return np.random.default_rng(0)


def optimum(process, context):
    """What an optimal predictor says, and its beliefs."""
    tree = complete_tree(process, context, 10**6)
    belief, probability = belief_states(process, tree)
    return NextTokenModel(tree, process.next_token_probability(belief)), belief, probability


def scorer(process, context):
    language, *_ = optimum(process, context)
    return RecoveryScorer(process, language.tree, rng())


@pytest.mark.parametrize("name", WHOLE)
def test_bayes_filter_gives_back_its_process_exactly(name):
    process, context, n_dimensions = WHOLE[name]
    language, belief, _ = optimum(process, context)
    features = belief @ rng().normal(size=(belief.shape[1], 20)) + 3
    found, truth = Recovery(language, rng(), 0.01).from_features(features), scorer(process, context)
    assert found.spectrum.rank == n_dimensions and found.spectrum.gaps.max() > 1e6
    scores = truth.scores(found.process)
    assert scores["kl_rate_nats"] < 1e-8 and scores["invalid_share"] == 0
    assert scores["eigenvalue_error"] < 1e-8 and scores["eigenvalue_error_of_pairs"] < 1e-8
    if name != "mess3_duplicated":  # of whose beliefs no prediction tells all
        assert scores["belief_r2"] > 1 - 1e-8


def test_exact_eigenvalues_are_those_of_the_transition_tensor():
    process, context, _ = WHOLE["mess3"]
    language, *_ = optimum(process, context)
    found = Recovery(language, rng(), 0.01).from_outputs().process
    expected = np.sort(np.linalg.eigvals(process.transition_tensor).real)
    np.testing.assert_allclose(np.sort(eigenvalues(found.transition_tensor, 3).real), expected, rtol=1e-8)


@pytest.mark.parametrize("name", ["skew", "rrxor"])
def test_memoriser_and_noise_give_back_no_process(name):
    """Though the memoriser's outputs are optimal, and each word's features tell it from all others."""
    process, context, _ = WHOLE[name]
    language, belief, _ = optimum(process, context)
    truth = scorer(process, context)
    for features in (np.eye(len(belief)), rng().normal(size=(len(belief), 30))):
        found = Recovery(language, rng(), 0.01).from_features(features)
        assert found.spectrum.rank == 1
        rate = truth.scores(found.process)["kl_rate_nats"] if found.process is not None else np.inf
        assert rate > 0.5 * truth.kl_rate_of_unigram_nats()


def test_language_knows_the_probability_of_prefixes_and_of_futures():
    language, belief, probability = optimum(SKEW, 6)
    np.testing.assert_allclose(language.prefix_probability, probability, rtol=1e-9)
    continuation_probabilities = language.continuation_probabilities(2)
    assert len(continuation_probabilities) == language.tree.levels[4].stop
    tensor = SKEW.transition_tensor
    np.testing.assert_allclose(
        continuation_probabilities[:, 1],
        (belief @ tensor[0] @ tensor[1]).sum(axis=1)[: len(continuation_probabilities)],
        rtol=1e-9,
    )
    np.testing.assert_allclose(continuation_probabilities.sum(axis=1), 1)


def test_futures_are_as_long_as_dimensions_come_to_light():
    assert tokens_ahead(optimum(PROCESSES["rrxor"](), 10)[0], 0.01) == 4  # five dimensions need four tokens
    assert tokens_ahead(optimum(WHOLE["mess3"][0], 7)[0], 0.01) == 2
    assert tokens_ahead(optimum(SKEW, 3)[0], 0.01) == 1


def test_rank_is_where_the_gap_is_unless_it_is_too_faint_to_be_looked_for():
    columns = np.diag([1, 0.5, 0.4, 0.01, 0.005, 1e-9])
    found = spectrum(columns, columns, np.ones(6), 0.01)
    assert found.rank == 3
    np.testing.assert_allclose(found.gaps[2], 40)


def test_sampled_words_tell_the_process_the_better_the_more_they_are():
    process, context, _ = WHOLE["skew"]
    language, *_ = optimum(process, context)
    truth, rates = scorer(process, context), []
    for n_sequences in (1000, 1_000_000):
        sample = counted_model(language, n_sequences, rng())
        seen = sample.next_token_probability.sum(axis=1)
        assert np.isin(seen.round(9), [0, 1]).all()
        rates.append(truth.scores(Recovery(sample, rng(), 0.01).from_outputs().process)["kl_rate_nats"])
    assert 0 < rates[1] < rates[0] / 10
    np.testing.assert_allclose(sample.next_token_probability[:6], language.next_token_probability[:6], atol=5e-3)


def truth_of(name, context):
    """What `exact_model` reads of a ground truth."""
    language, *_ = optimum(PROCESSES[name](), context)
    tree = language.tree
    arrays = {"last_token": tree.last_token, "parent": tree.parent, "length": tree.length}
    variables = {key: ("prefix", value) for key, value in arrays.items()}
    variables["next_token_probability"] = ("prefix", "token"), language.next_token_probability
    return xr.Dataset(variables, attrs={"complete_length": context})


@pytest.mark.parametrize(("name", "context", "is_all"), [("z1r", 8, True), ("rrxor", 10, False)])
def test_which_words_occur_tells_a_process_whose_free_tokens_are_fair(name, context, is_all):
    """So a network that tells no more than that has told nothing: it is what the tree of prefixes gives away."""
    support = support_model(exact_model(truth_of(name, context)))
    truth = scorer(PROCESSES[name](), context)
    rate = truth.kl_rate_of_nats(Recovery(support, rng(), 0.01).from_outputs().process)
    assert (rate < 1e-6) == is_all and rate < 0.2 * truth.kl_rate_of_unigram_nats()


def test_sampled_words_are_read_in_the_dimensions_that_come_nearest_to_the_truth():
    """As noise may hide the gap; each network's words are its own."""
    process, context, _ = WHOLE["skew"]
    language, *_ = optimum(process, context)
    truth, recovery = scorer(process, context), Recovery(counted_model(language, 300, rng()), rng(), 0.01)
    by_rule = truth.kl_rate_of_nats(recovery.from_outputs().process)
    found = truth.kl_rate_of_nats(nearest(recovery, truth).process)
    assert found < by_rule
    assert found == min(truth.kl_rate_of_nats(recovery.from_outputs(rank).process) for rank in (1, 2, 3, 4))
    exact = exact_model(truth_of("rrxor", 6))
    first, second = (sampled_model(exact, 200, 6, np.random.default_rng(seed)) for seed in (1, 2))
    assert (first.next_token_probability != second.next_token_probability).any()


@pytest.mark.parametrize(("name", "rank"), [("rrxor", 5), ("mess3_duplicated", 3)])
def test_operators_are_compared_with_those_of_the_process_itself(name, rank):
    """However few dimensions exact predictions show on short prefixes."""
    parameters = {"x": 0.05, "alpha": 0.85} if name.startswith("mess3") else {}
    found = scorer(PROCESSES[name](**parameters), 4)
    assert found.exact.n_states == rank and found.kl_rate_of_nats(found.exact) < 1e-8


def test_valid_process_is_followed_to_its_beliefs_and_an_invalid_one_to_probabilities():
    language, belief, _ = optimum(SKEW, 5)
    said = filter_beliefs(SKEW, language.tree)
    np.testing.assert_allclose(said.belief, belief)
    np.testing.assert_allclose(said.next_token_probability, language.next_token_probability, atol=1e-8)
    assert not said.is_invalid.any()
    operators = SKEW.transition_tensor * np.array([1.6, 1, -0.2])[:, None, None]
    broken = filter_beliefs(recovered_process(operators, SKEW.stationary_distribution, SKEW.readout), language.tree)
    assert broken.is_invalid.any()
    assert broken.next_token_probability.min() > 0
    np.testing.assert_allclose(broken.next_token_probability.sum(axis=1), 1)


def test_eigenvalue_error_sees_a_change_and_no_change_of_coordinates():
    turn = rng().normal(size=(3, 3))
    exact, pairs = SKEW.transition_tensor, probable_pairs(SKEW)
    turned = np.linalg.inv(turn) @ exact @ turn
    like = replace(SKEW, transition_tensor=turned)
    assert eigenvalue_error(turned, exact) < 1e-9
    assert eigenvalue_error(products(like, pairs), products(SKEW, pairs)) < 1e-9
    assert eigenvalue_error(turned * np.array([1, 1, 1.05])[:, None, None], exact) == pytest.approx(0.05)
    assert eigenvalue_error(exact[:, :2, :2], exact) > 0.3


def test_chaos_game_of_the_exact_process_lands_on_the_true_beliefs_of_the_same_tokens():
    said, true = simulate(SKEW, SKEW, 500, 20, rng())
    np.testing.assert_allclose(said, true)
    assert len(np.unique(said.round(6), axis=0)) > 400
    never = build_process("never", [[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    fair = build_process("fair", [[[0.5]], [[0.5]]])
    assert np.isnan(simulate(fair, never, 500, 20, rng())[1]).all()


def test_complete_part_of_a_sample_has_every_prefix():
    process = WHOLE["mess3"][0]
    whole = complete_tree(process, 6, 10**6)
    assert complete_length(process, whole) == 6
    sample, _ = sampled_tree(process, 9, 2000, rng())
    length = complete_length(process, sample)
    assert 2 <= length < 9
    part = complete_part(sample, length)
    expected = complete_tree(process, length, 10**6)
    np.testing.assert_array_equal(part.last_token, expected.last_token)
    np.testing.assert_array_equal(part.parent, expected.parent)
    assert sample.levels[length].stop < len(complete_tree(process, length + 1, 10**6))
    assert set(complete_part(sample, 0).length) == {1}  # of a sample that lacks a token, those that it has
