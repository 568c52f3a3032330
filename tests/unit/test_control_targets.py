"""Baselines, wrong targets and splits: the published numbers, and what each must mean."""

from itertools import pairwise

import numpy as np
import pytest
from reference_tree import words_of

from geometry.probing.baselines import in_context_bigrams, log_probability, token_features
from geometry.probing.control_targets import control_targets, group_ids, true_targets
from geometry.probing.cross_validation import CELLS_AT_ONCE, by_length, by_prefix, by_stem, passes
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.kgram import kgram_ids, kgram_predictions
from geometry.probing.regression import Fold, score
from geometry.processes.belief_states import belief_states, complete_tree, complete_tree_with_beliefs
from geometry.processes.catalog import process_from_config
from geometry.processes.observability import hidden_directions
from geometry.processes.prefix_tree import n_sequences_below
from geometry.processes.process import build_process


@pytest.fixture(scope="module")
def mess3():
    process = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
    return process, *complete_tree_with_beliefs(process, 10, 10**6)


def in_sample_r2(features, target, weight):
    whole = cell_gram_matrices(features, target, weight[None], np.zeros(len(target), dtype=int))[0]
    return score(Fold(whole, whole))[1][""].r2()


def test_floors_of_mess3_by_the_published_protocol(mess3):
    process, tree, belief, _ = mess3
    tokens, uniform = token_features(tree, np.eye(3)), n_sequences_below(tree).astype(float)
    optimum = log_probability(process.next_token_probability(belief))
    for features, published in ((tokens[:, :3], 0.722), (tokens, 0.945), (optimum, 0.985)):
        assert in_sample_r2(features, belief, uniform) == pytest.approx(published, abs=0.002)


def test_tables_of_the_last_tokens_of_mess3(mess3):
    _, tree, belief, probability = mess3
    spread = (probability @ (belief - probability @ belief / probability.sum()) ** 2).sum()
    tables = list(kgram_predictions(belief, probability, kgram_ids(tree, 4)))[1:]
    for predicted, known in zip(tables, (0.828, 0.946, 0.990, 0.9975), strict=True):
        assert 1 - (probability @ (belief - predicted) ** 2).sum() / spread == pytest.approx(known, abs=0.002)


def test_table_is_the_belief_of_who_recalls_only_the_last_tokens(mess3):
    """The mean belief after the same k tokens is the belief from the stationary law after these k alone."""
    process, tree, belief, probability = mess3
    table, words = list(kgram_predictions(belief, probability, kgram_ids(tree, 2)))[2], words_of(tree)
    for row in (100, 5000, 60000):
        image = process.stationary_distribution
        for token in words[row][-2:]:
            image = image @ process.transition_tensor[token]
        np.testing.assert_allclose(table[row], image / image.sum(), atol=1e-9)


def test_held_out_table_never_sees_its_own_fold():
    tree = complete_tree(process_from_config("even", {}), 6, 10**4)
    rng = np.random.default_rng(0)
    target, weight = rng.normal(size=(len(tree), 2)), rng.uniform(0.5, 1, len(tree))
    fold, words = by_prefix(len(tree), 4, 1, rng)[0], words_of(tree)
    *_, table = kgram_predictions(target, weight, kgram_ids(tree, 3), fold)
    shorter = 0
    for row, word in enumerate(words):
        for k in (3, 2, 1, 0):
            like = [i for i, w in enumerate(words) if fold[i] != fold[row] and (w[-k:] == word[-k:] if k else True)]
            like = [i for i in like if len(words[i]) >= k or words[i] == word] if len(word) >= k else like * (k == 0)
            if like:
                break
            shorter += k == 3
        expected = np.average(target[like], axis=0, weights=weight[like])
        np.testing.assert_allclose(table[row], expected, rtol=1e-9)
    assert shorter > 0


def test_token_features_tell_each_lag(mess3):
    tree, words = mess3[1], words_of(mess3[1])
    features = token_features(tree, np.eye(3)).reshape(len(tree), 10, 3)
    for row in (0, 2, 50, 80000):
        expected = [*reversed(words[row])]
        assert features[row, : len(expected)].argmax(axis=1).tolist() == expected
        assert features[row].sum() == len(expected)


def test_in_context_bigrams_are_those_of_the_whole_prefix_beside_its_last_tokens(mess3):
    tree, words = mess3[1], words_of(mess3[1])
    features = in_context_bigrams(tree, kgram_ids(tree, 3))
    assert features.shape == (len(tree), 9 + 3 + (3 + 9) + (3 + 9 + 27))
    ends = {}
    for row in (0, 2, 11, 50, 80_000, 88_000):
        pairs = list(pairwise(words[row]))
        expected = [pairs.count(divmod(pair, 3)) / max(len(pairs), 1) for pair in range(9)]
        np.testing.assert_allclose(features[row, :9], expected, rtol=1e-6)
        assert set(features[row, 9:]) == {0, 1} and features[row, 9:].sum() == 3
        ends.setdefault(tuple(words[row][-3:]), set()).add(tuple(features[row, 9:].nonzero()[0]))
    assert len(ends) == 6 and all(len(columns) == 1 for columns in ends.values())


def test_in_context_bigrams_of_many_tokens_are_left_out():
    tree = complete_tree(build_process("many", np.full((23, 1, 1), 1 / 23)), 2, 10**4)
    assert in_context_bigrams(tree, kgram_ids(tree, 3)) is None


# --- Targets ------------------------------------------------------------------------------------------------------


def test_belief_that_predictions_hide_is_known_by_hand_for_z1r():
    """R emits like an even mixture of 0 and 1: predictions cannot tell (1, 1, 0) / 2 from R."""
    invisible, unobservable = hidden_directions(process_from_config("z1r", {}))
    np.testing.assert_allclose(np.abs(invisible), np.array([[1, 1, 2]]) / 6**0.5, atol=1e-12)
    assert len(unobservable) == 0


@pytest.mark.parametrize(
    ("name", "n"), [("mess3", 0), ("even", 0), ("rrxor", 3), ("leaky_rrxor", 3), ("z1r", 1), ("zrr", 1), ("fanizza", 2)]
)
def test_hidden_directions_alter_later_predictions_only(name, n):
    process = process_from_config(name, {"x": 0.05, "alpha": 0.85} if name == "mess3" else {})
    invisible, unobservable = hidden_directions(process)
    assert (len(invisible), len(unobservable)) == (n, 0)
    np.testing.assert_allclose(invisible @ process.emission_matrix, 0, atol=1e-9)
    continuation_probabilities = [process.emission_matrix]
    for _ in range(3):  # rrxor hides a direction for three tokens
        continuation_probabilities.append(np.hstack([*(process.transition_tensor @ continuation_probabilities[-1])]))
    assert all(np.abs(row).max() > 1e-9 for row in invisible @ np.hstack(continuation_probabilities))


def test_duplicated_state_changes_nothing_but_what_cannot_be_observed():
    parameters = {"x": 0.05, "alpha": 0.85}
    single, copied = (process_from_config(name, parameters) for name in ("mess3", "mess3_duplicated"))
    invisible, unobservable = hidden_directions(copied)
    assert len(invisible) == 0
    np.testing.assert_allclose(np.abs(unobservable), np.array([[1, 1, 0, 0]]) / 2**0.5, atol=1e-12)
    (tree, belief, probability), (same, merged, also) = (
        complete_tree_with_beliefs(process, 6, 10**4) for process in (copied, single)
    )
    assert (tree.last_token == same.last_token).all()
    np.testing.assert_allclose(probability, also, rtol=1e-12)
    np.testing.assert_allclose(np.hstack([belief[:, :1] + belief[:, 1:2], belief[:, 2:]]), merged, atol=1e-12)
    assert np.std(belief[:, 0] - belief[:, 1]) > 0.05


def test_coin_that_is_spent_is_all_that_no_prediction_depends_on():
    process = process_from_config("coin", {"q": 0.3})
    tree, belief, _ = complete_tree_with_beliefs(process, 6, 10**4)
    words, asked = words_of(tree), []
    for word in words:
        first = word.index(2) if 2 in word else np.inf
        assert first == np.inf or len(word) < first + 2 or word[first + 1] == word[0]
        asked.append(len(word) >= first + 2)
    coin, asked = np.array([1 if word[0] else -1 for word in words]), np.array(asked)
    spent = true_targets(process, belief)["unobservable_belief_state"]
    assert spent.shape[1] == 1 and 0.2 < asked.mean() < 0.8
    np.testing.assert_allclose(abs(np.corrcoef(spent[asked, 0], coin[asked])[0, 1]), 1)
    np.testing.assert_allclose(spent[~asked], 0, atol=1e-12)
    prediction = process.next_token_probability(belief)
    np.testing.assert_allclose(prediction[asked], np.tile([0.35, 0.35, 0.3], (asked.sum(), 1)), atol=1e-12)


def test_what_never_varies_is_no_target():
    """Two copies of a state that are entered by halves are never told apart, and never need be."""
    half = [[[0.5, 0.25, 0.25], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[0, 0, 0], [1, 0, 0], [1, 0, 0]]]
    process = build_process("halves", half)
    assert [len(found) for found in hidden_directions(process)] == [0, 1]
    _, belief, _ = complete_tree_with_beliefs(process, 6, 10**4)
    assert list(true_targets(process, belief)) == ["belief_state"]


def test_wrong_targets_are_wrong_in_the_way_they_say():
    process, other = process_from_config("rrxor", {}), process_from_config("rrxor", {"p1": 0.3, "p2": 0.7})
    tree, belief, probability = complete_tree_with_beliefs(process, 8, 10**4)
    wrong = control_targets(process, tree, belief, probability, other, np.random.default_rng(0))
    ordered = np.sort(belief.round(9), axis=0)
    for name in ("shuffled_belief_state", "class_shuffled_belief_state"):
        np.testing.assert_allclose(np.sort(wrong[name].round(9), axis=0), ordered)
        assert np.abs(wrong[name] - belief).max() > 0.1
    predicted = [process.next_token_probability(b) for b in (belief, wrong["class_shuffled_belief_state"])]
    np.testing.assert_allclose(*predicted, atol=1e-8)
    np.testing.assert_allclose(wrong["control_parameters_belief_state"], belief_states(other, tree)[0])
    assert (wrong["markov_1_state"].argmax(axis=1) == tree.last_token).all()
    numbers = [tuple(w[-2:]) for w in words_of(tree)]
    assert len(np.unique(wrong["markov_2_state"], axis=0)) == len(set(numbers)) == 6


def test_class_shuffle_is_left_out_where_predictions_tell_the_belief(mess3):
    process, tree, belief, probability = mess3
    wrong = control_targets(process, tree, belief, probability, None, np.random.default_rng(0))
    assert "class_shuffled_belief_state" not in wrong and "control_parameters_belief_state" not in wrong
    assert list(true_targets(process, belief)) == ["belief_state"]
    assert len(np.unique(group_ids(process.next_token_probability(belief)))) > 80_000


# --- Splits -------------------------------------------------------------------------------------------------------


def test_no_stem_is_both_fitted_and_scored(mess3):
    tree, words = mess3[1], words_of(mess3[1])
    assert (by_length(tree)[0] == tree.length - 1).all()
    fold = by_stem(tree, 5, 2, np.random.default_rng(0))[1]
    assert (fold[tree.length < 3] == -1).all() and (fold[tree.length >= 3] >= 0).all()
    folds_of = {}
    for word, k in zip(words, fold.tolist(), strict=True):
        if len(word) >= 3:
            folds_of.setdefault(word[:3], set()).add(k)
    assert len(folds_of) == 27 and all(len(folds) == 1 for folds in folds_of.values())


@pytest.mark.parametrize("name", ["even", "z1r", "rrxor"])
@pytest.mark.parametrize("context", [1, 2, 4, 7])
def test_every_split_has_rows_to_fit_and_rows_to_score(name, context):
    tree, draws = complete_tree(process_from_config(name, {}), context, 10**5), (5, 3, np.random.default_rng(0))
    folds = {"prefix": by_prefix(len(tree), *draws), "stem": by_stem(tree, *draws), "length": by_length(tree)}
    found = [split for splits in passes(folds) for split in splits]
    assert context < 4 or {split.name for split in found} == {"prefix", "stem", "length"}
    for split in found:
        for fold in split.fold:
            sizes = np.bincount(fold[fold >= 0])
            assert len(sizes) > 1 and sizes.min() > 0 and sizes.max() < len(tree)
    for way, drawn in folds.items():
        if drawn.max() > 0:  # of one length, or of too few stems, none is held out
            kept = np.concatenate([split.fold for split in found if split.name == way])
            np.testing.assert_array_equal(kept, drawn)


def test_draws_of_folds_share_cells_that_stay_few(mess3):
    tree, rng = mess3[1], np.random.default_rng(0)
    folds = {"length": by_length(tree), "stem": by_stem(tree, 5, 4, rng), "prefix": by_prefix(len(tree), 5, 4, rng)}
    shared = list(passes(folds))
    assert 1 < len(shared) < 9
    for splits in shared:
        cell = splits[0].cell
        assert cell.max() < CELLS_AT_ONCE and all((split.cell == cell).all() for split in splits)
