"""Many tokens: what is tried, multiplied and held is bounded, and what is bounded says the same of few tokens."""

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from run_datasets import activations_dataset

from alphabets import random_tensor, study
from configuration import SYMMETRY_LIMITS, resolve
from find_symmetries import find_symmetries
from geometry.config.job_costs import BYTES, SECONDS, Estimates
from geometry.figures.recovered_maps import MOST_TOKENS, frequent_tokens
from geometry.interventions import steering
from geometry.interventions.steering import MOST_FOLLOWED, SteeringScorer, draw_following
from geometry.probing import baselines
from geometry.probing.baselines import (
    MOST_PREDICTION_COLUMNS,
    MOST_TOKEN_FEATURES,
    prediction_features,
    token_coordinates,
)
from geometry.probing.control_targets import group_ids
from geometry.processes import entropy
from geometry.processes import fractal_dimension as dimension
from geometry.processes import prefix_tree as prefixes
from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.entropy import entropy_rate_bounds_nats
from geometry.processes.fractal_dimension import exponents_of_sequences, has_finite_beliefs
from geometry.processes.prefix_tree import tree_of, tree_of_sequences, two_token_probabilities
from geometry.processes.process import build_process
from geometry.processes.sampling import draw_tokens
from geometry.recovery import recovery_scores
from geometry.recovery.next_token_model import NextTokenModel
from geometry.recovery.recovery_scores import MOST_PAIRS, RecoveryScorer, probable_pairs, products
from geometry.recovery.spectral_learning import Recovery, generator
from geometry.recovery.token_symmetry import MOST_SWAPS, cycles, image_of_prefixes, swap_changes, token_permutations
from geometry.tasks.ground_truth import markov_ground_truth

OF_MODULAR = ["measure_circuit", "find_shift_symmetry", "measure_surgery"]


def rng():
    return np.random.default_rng(0)


def process_of(n_tokens, n_states=2, n_alike=2):
    return build_process("random", random_tensor(n_tokens, n_states, n_alike))


def words_of(process):
    """The probability of each word of two tokens."""
    tensor = process.transition_tensor
    return np.einsum("s,asu,but->ab", process.stationary_distribution, tensor, tensor)


# --- Permutations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_tokens", [13, 64, 1000])
def test_swaps_that_are_tried_are_few_and_hold_those_of_tokens_that_are_alike(n_tokens):
    tried = token_permutations(words_of(process_of(n_tokens, n_alike=4)))
    assert len(tried) == 1 + MOST_SWAPS and tried[0] == tuple(range(n_tokens))
    assert {f"({a} {b})" for a, b in combinations(range(4), 2)} <= set(map(cycles, tried))


def test_every_swap_of_up_to_12_tokens_is_tried_whatever_their_probabilities():
    for n_tokens in (5, 12):
        swaps = [f"({a} {b})" for a, b in combinations(range(n_tokens), 2)]
        assert list(map(cycles, token_permutations(words_of(process_of(n_tokens))))) == ["()", *swaps]


def test_tokens_that_never_occur_are_not_swapped():
    words = np.zeros((20, 20))
    words[:3, :3] = rng().random((3, 3))
    assert list(map(cycles, token_permutations(words))) == ["()", "(0 1)", "(0 2)", "(1 2)"]


def test_change_by_a_swap_is_the_distance_of_the_distributions_for_the_words_that_it_changes():
    words = rng().dirichlet(np.ones(36)).reshape(6, 6)
    for change, (a, b) in zip(swap_changes(words), combinations(range(6), 2), strict=True):
        order = np.arange(6)
        order[[a, b]] = b, a
        with_either = np.isin(np.arange(6), [a, b])
        share = words[with_either[:, None] | with_either].sum()
        assert change == pytest.approx(np.abs(words[np.ix_(order, order)] - words).sum() / 2 / share)


def test_image_of_a_prefix_takes_no_table_of_prefixes_and_tokens():
    n_tokens = 10**5
    words = rng().integers(0, n_tokens, (300, 3))
    swapped = words.copy()
    swapped[swapped == words[0, 0]], swapped[words == words[1, 2]] = words[1, 2], words[0, 0]
    tree, nodes = tree_of_sequences(np.vstack([words, swapped]))
    g = np.arange(n_tokens)
    g[[words[0, 0], words[1, 2]]] = words[1, 2], words[0, 0]
    tracemalloc.start()
    image = image_of_prefixes(tree, tuple(g.tolist()))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(image[nodes[:300]], nodes[300:])
    assert most_bytes < 8 * len(tree) * n_tokens / 10


def test_noise_has_no_symmetry_of_many_tokens_and_the_planted_belief_has_that_of_its_process():
    """Though any swap of two of 40 tokens leaves most prefixes, and so most of the variance, as they are."""
    process = process_of(40, 3)
    truth = markov_ground_truth(process, 2, 10**4, seed=0)
    belief = truth["target"].values @ rng().normal(size=(3, 8))
    values = np.stack([rng().normal(size=belief.shape), belief])[:, None].astype(np.float32)
    output = np.log(truth["next_token_probability"].values)
    activations = activations_dataset(values, np.stack([output, output]), ["blocks.0.hook_resid_post"])
    table = find_symmetries(truth, activations, [0, 1], 2, SYMMETRY_LIMITS)
    accepted = table[(table["measure"] == "is_symmetry") & (table["value"] == 1)]
    assert set(accepted.loc[accepted["step"] == 0, "permutation"]) == {"()"}
    assert {"()", "(0 1)"} <= set(accepted.loc[accepted["step"] == 9, "permutation"])
    assert (accepted["step"] == 9).sum() < MOST_SWAPS / 10
    tree, first = tree_of(truth), ("probability", "next_token_probability")
    assert table["permutation"].nunique() == 2 + MOST_SWAPS  # with the identity, and with none
    tried = token_permutations(two_token_probabilities(tree, *(truth[name].values for name in first)))
    assert set(map(cycles, tried)) == set(table["permutation"]) - {""}


# --- Processes ----------------------------------------------------------------------------------------------------


def test_pairs_of_tokens_are_all_of_few_tokens_and_of_many_the_most_probable():
    every = np.divmod(np.arange(31**2), 31)
    np.testing.assert_array_equal(probable_pairs(process_of(31)), every)
    process = process_of(200)
    pairs, words = probable_pairs(process), words_of(process)
    assert products(process, pairs).shape == (MOST_PAIRS, 2, 2)
    kept = np.zeros(words.shape, bool)
    kept[pairs] = True
    assert words[kept].min() > words[~kept].max() - 1e-12


@pytest.mark.parametrize("name", ["rrxor", "mess3"])
def test_operators_are_those_of_a_regression_for_each_token(name):
    process = process_from_config(name, {"x": 0.1, "alpha": 0.7} if name == "mess3" else {})
    tree = complete_tree(process, 6, 10**5)
    belief, weight = belief_states(process, tree)
    language = NextTokenModel(tree, process.next_token_probability(belief))
    found = generator(language, belief, weight)
    n_from = tree.levels[-1].start
    scale = np.sqrt(weight[:n_from, None])
    for token, operator in enumerate(found.transition_tensor):
        child = tree.continuation(np.arange(n_from), np.full(n_from, token))
        image = language.next_token_probability[:n_from, [token]] * np.where(child[:, None] >= 0, belief[child], 0)
        expected = np.linalg.lstsq(scale * belief[:n_from], scale * image, rcond=None)[0]
        np.testing.assert_allclose(operator, expected, atol=1e-9)


def test_scores_and_draws_are_the_same_a_few_rows_at_a_time(monkeypatch):
    process = process_of(20, 3)
    tree = complete_tree(process, 3, 10**5)
    belief, _ = belief_states(process, tree)
    model = NextTokenModel(tree, process.next_token_probability(belief))
    recovered = Recovery(model, rng(), 0.01).from_outputs(2).process
    monkeypatch.setattr(recovery_scores, "N_SEQUENCES", 20)

    def found():
        scorer = RecoveryScorer(process, tree, rng())
        return scorer.scores(recovered), scorer.kl_rate_of_unigram_nats(), draw_tokens(process, belief, rng())

    scores, guess, drawn = found()
    sizes, limit = [], 20 * 7
    monkeypatch.setattr(prefixes, "NUMBERS_AT_ONCE", limit)
    next_token_probability = type(process).next_token_probability

    def recorded(self, belief):
        sizes.append(len(belief) * self.n_tokens)
        return next_token_probability(self, belief)

    monkeypatch.setattr(type(process), "next_token_probability", recorded)
    in_parts = found()
    assert max(sizes) == limit
    assert in_parts[0] == pytest.approx(scores) and in_parts[1] == pytest.approx(guess)
    np.testing.assert_array_equal(in_parts[2], drawn)


def test_exponents_of_many_tokens_are_those_of_a_sample_of_words(monkeypatch):
    tensor = random_tensor(100, 3)
    process = build_process("blurred", (tensor + tensor.mean(axis=0)) / 2)  # no token is next to impossible
    whole, sizes, svd = exponents_of_sequences(process), [], np.linalg.svd
    monkeypatch.setattr(dimension, "MOST_SEQUENCES", 1000)
    monkeypatch.setattr(np.linalg, "svd", lambda matrix, **how: sizes.append(len(matrix)) or svd(matrix, **how))
    sampled = exponents_of_sequences(process)
    assert max(sizes) == 1000
    np.testing.assert_allclose(sampled, whole, atol=0.1)
    assert (sampled != whole).any()


def test_finite_beliefs_are_told_without_looking_at_all_continuations(monkeypatch):
    looked, after = [], dimension._after
    monkeypatch.setattr(dimension, "_after", lambda *given: looked.append(len(given[2])) or after(*given))
    assert not has_finite_beliefs(process_of(500, 3))
    assert max(looked) <= dimension.MOST_SEQUENCES and sum(looked) < 500**2
    for name, expected in (("rrxor", True), ("z1r", True), ("sns", False), ("mess3", False)):
        process = process_from_config(name, {"x": 0.1, "alpha": 0.7} if name == "mess3" else {})
        assert has_finite_beliefs(process) == expected


def test_entropy_rate_looks_at_a_bounded_number_of_continuations(monkeypatch):
    looked, extend = [], entropy.extend_beliefs
    monkeypatch.setattr(entropy, "extend_beliefs", lambda p, b: looked.append(len(b) * p.n_tokens) or extend(p, b))
    lower, upper = entropy_rate_bounds_nats(process_of(200, 3), max_beliefs=1000)
    assert lower < upper < np.log(200)
    assert 200 <= max(looked) <= entropy.MOST_CHILDREN * 1000


# --- The probe ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_tokens", "n_lags"), [(64, 3), (64, 40), (1000, 3), (1000, 100)])
def test_columns_that_say_which_tokens_stand_where_are_bounded(n_tokens, n_lags):
    coordinates = token_coordinates(process_of(n_tokens, 3), n_lags)
    assert len(coordinates) == n_tokens and coordinates.shape[1] * n_lags <= MOST_TOKEN_FEATURES
    if n_tokens * n_lags <= MOST_TOKEN_FEATURES:
        np.testing.assert_array_equal(coordinates, np.eye(n_tokens))


def test_mean_belief_after_a_token_and_that_there_is_one_are_linear_in_its_coordinates(monkeypatch):
    monkeypatch.setattr(baselines, "MOST_TOKEN_FEATURES", 40)
    process = process_of(50, 3)
    mean = process.stationary_distribution @ process.transition_tensor
    mean /= mean.sum(axis=1, keepdims=True)
    coordinates = token_coordinates(process, 4).astype(np.float64)
    known = np.hstack([mean, np.ones((50, 1))])
    left = known - coordinates @ np.linalg.lstsq(coordinates, known, rcond=None)[0]
    assert coordinates.shape[1] <= 9 and np.abs(left).max() < 1e-5


def test_predictions_of_many_tokens_lose_nothing_that_they_tell():
    belief, weight = rng().dirichlet(np.ones(4), 500), rng().random(500)
    few, many = (belief @ rng().dirichlet(np.ones(n), 4) for n in (MOST_PREDICTION_COLUMNS, 300))
    assert prediction_features(few, weight) is few
    found = prediction_features(many, weight)
    assert found.shape == (500, 3)
    columns = np.hstack([found, np.ones((500, 1))])
    np.testing.assert_allclose(columns @ np.linalg.lstsq(columns, belief, rcond=None)[0], belief, atol=1e-9)
    assert prediction_features(np.log(rng().random((500, 300))), weight).shape == (500, MOST_PREDICTION_COLUMNS)


@pytest.mark.parametrize("n_columns", [1, 3, 200])
def test_labels_are_in_the_order_of_the_rows(n_columns):
    rows = rng().normal(size=(40, n_columns))[rng().integers(0, 40, 300)]
    rows[:, : n_columns // 2] = 0.5
    cells = np.floor(rows / 1e-9 + 1 / np.e)
    np.testing.assert_array_equal(group_ids(rows), np.unique(cells, axis=0, return_inverse=True)[1].ravel())


# --- What jobs ask for --------------------------------------------------------------------------------------------


def estimates(n_tokens):
    experiments = resolve(study((n_tokens, 3, 3)), {"memory_gb": 1000})
    return Estimates(experiments, 20000), {"experiment": f"tokens_{n_tokens}"}


def test_estimates_know_the_number_of_tokens():
    few, many = estimates(27), estimates(1000)
    of_points = {"write_report", "animate_emergence", "build_explorer", "record_activations", "measure_distances"}
    of_points |= {"describe_process", "judge_claims", "write_findings"}
    for rule in sorted(SECONDS.keys() & BYTES.keys() - of_points - set(OF_MODULAR)):
        held, took = (
            [getattr(of, what)(rule, name) for of, name in (few, many)] for what in ("memory_bytes", "seconds")
        )
        assert held[0] < held[1] < 8e9, rule
        assert took[0] < took[1] < 600, rule


def test_estimates_count_what_is_tried():
    """Permutations of up to four tokens, swaps of up to twelve, and no more of more."""
    counts = {n: size_of_tokens(n).n_permutations for n in (4, 6, 12, 13, 1000)}
    tried = {n: len(token_permutations(words_of(process_of(n)))) for n in counts}
    assert counts == tried


def size_of_tokens(n_tokens):
    known, name = estimates(n_tokens)
    return known.sizes[name["experiment"]]


# --- Steering and figures -----------------------------------------------------------------------------------------


def test_predictions_after_a_draw_of_tokens_are_in_the_mean_those_after_all(monkeypatch):
    process = process_of(MOST_FOLLOWED, 3)
    belief, other = (rng().dirichlet(np.ones(3), 400)[part] for part in (slice(200), slice(200, None)))
    every = draw_following(process, belief, rng())
    np.testing.assert_array_equal(every, np.tile(np.arange(MOST_FOLLOWED), (200, 1)))
    uniform = np.full((200, MOST_FOLLOWED, MOST_FOLLOWED), -np.log(MOST_FOLLOWED))
    whole = SteeringScorer(process, belief, other, every).later(uniform)
    monkeypatch.setattr(steering, "MOST_FOLLOWED", 8)
    some = draw_following(process, belief, rng())
    assert some.shape == (200, 8)
    drawn = SteeringScorer(process, belief, other, some).later(uniform[:, :8])
    assert drawn == pytest.approx(whole, rel=0.05) and drawn != whole
    assert draw_following(process_of(1000), np.full((5, 2), 0.5), rng()).shape == (5, 8)


def test_figure_of_eigenvalues_draws_the_most_frequent_tokens():
    truth = markov_ground_truth(process_of(50), 1, 10**4, seed=0)
    shown = frequent_tokens(truth)
    weight = truth["weight"].values
    assert len(shown) == MOST_TOKENS and shown == sorted(shown)
    assert weight[shown].min() >= np.delete(weight, shown).max()
    assert frequent_tokens(markov_ground_truth(process_of(3), 2, 10**4, seed=0)) == [0, 1, 2]
