"""Symmetries: planted groups are found with their eigenvalues, and what is no symmetry is not."""

from itertools import permutations, product

import numpy as np
import pytest
from reference_tree import words_of
from run_datasets import activations_dataset

from configuration import SYMMETRY_LIMITS
from find_symmetries import find_symmetries
from geometry.probing.principal_components import principal_scores
from geometry.processes.belief_states import complete_tree, complete_tree_with_beliefs
from geometry.processes.catalog import process_from_config
from geometry.processes.process import build_process
from geometry.recovery.token_symmetry import (
    composed,
    composition_error,
    cycles,
    equivariances,
    image_of_prefixes,
    inverse,
    is_group,
    prediction_change,
    token_permutations,
)
from geometry.tasks.ground_truth import markov_ground_truth

MESS3 = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
DIHEDRAL = {"()", "(0 1)", "(2 3)", "(0 1)(2 3)", "(0 2)(1 3)", "(0 3)(1 2)", "(0 2 1 3)", "(0 3 1 2)"}
SITES = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post"]
ROTATION, SWAP = (1, 2, 0), (1, 0, 2)


def rng():
    return np.random.default_rng(0)


def permutations_of(n_tokens):
    """Those that are tried where no two tokens are alike and all words are."""
    return token_permutations(np.ones((n_tokens, n_tokens)))


def lopsided():
    """Three states and tokens like mess3's, in which every word occurs too, but that go round at different speeds."""
    move = np.array([[0.8, 0.2, 0], [0, 0.5, 0.5], [0.9, 0, 0.1]])
    emit = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])
    return build_process("lopsided", [move * emit[:, token] for token in range(3)])


def nearly_symmetric():
    """Two of three tokens may all but be swapped: the geometry hardly tells that they may not, the predictions do."""
    move = np.array([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    emit = np.array([[0.9, 0.05, 0.05], [0.2, 0.6, 0.2], [0.3, 0.1, 0.6]])
    return build_process("nearly_symmetric", [move * emit[:, token] for token in range(3)])


def activations_of(truth, features):
    """A run whose first site is noise; its outputs are the optimum."""
    values = rng().normal(size=(2, 2, *features.shape)).astype(np.float32)
    values[1, 1] = features
    with np.errstate(divide="ignore"):
        output = np.log(truth["next_token_probability"].values)
    return activations_dataset(values, np.stack([output, output]), SITES)


# --- Permutations -------------------------------------------------------------------------------------------------


def test_permutations_compose_from_right_to_left():
    assert composed(ROTATION, SWAP) == (2, 1, 0) and composed(SWAP, ROTATION) == (0, 2, 1)
    for g in permutations(range(4)):
        assert composed(g, inverse(g)) == composed(inverse(g), g) == (0, 1, 2, 3)


def test_cycles_name_a_permutation():
    names = {(0, 1, 2): "()", SWAP: "(0 1)", ROTATION: "(0 1 2)", (2, 0, 1): "(0 2 1)", (1, 0, 3, 2): "(0 1)(2 3)"}
    assert {g: cycles(g) for g in names} == names


def test_permutations_that_are_tried():
    assert [len(permutations_of(n)) for n in (1, 2, 3, 4, 5, 11)] == [1, 2, 6, 24, 11, 56]
    for n in (4, 6):
        tried = permutations_of(n)
        assert len(set(tried)) == len(tried) and tried[0] == tuple(range(n))
        assert all(sorted(g) == list(range(n)) for g in tried)


def test_group_is_told_from_what_is_none():
    tried, e = permutations_of(3), (0, 1, 2)
    for subset in ([e], [e, SWAP], [e, ROTATION, inverse(ROTATION)], tried):
        assert is_group(subset, tried)
    for subset in ([e, ROTATION], [e, SWAP, (0, 2, 1)], [SWAP], tried[1:]):
        assert not is_group(subset, tried)
    swaps = permutations_of(5)
    with_first_three = [g for g in swaps if g[3:] == (3, 4)]
    assert len(with_first_three) == 4 and is_group(with_first_three, swaps)
    assert not is_group(with_first_three[:3], swaps)


@pytest.mark.parametrize("name", ["z1r", "golden_mean", "rrxor"])
def test_image_is_the_word_with_its_tokens_changed(name):
    tree = complete_tree(process_from_config(name, {}), 6, 10**4)
    words = words_of(tree)
    image = image_of_prefixes(tree, (1, 0))
    for word, node in zip(words, image.tolist(), strict=True):
        changed = tuple(1 - token for token in word)
        assert (node >= 0) == (changed in words) and (node < 0 or words[node] == changed)
    assert (image_of_prefixes(tree, (0, 1)) == np.arange(len(tree))).all()


# --- Maps ---------------------------------------------------------------------------------------------------------


def test_scores_are_principal_components():
    x, weight = rng().normal(size=(9000, 5)) * [5, 3, 1, 0.5, 0.2] + 7, rng().uniform(size=9000)
    scores, share = principal_scores(x, weight, 3), weight / weight.sum()
    centred = x - share @ x
    covariance = centred.T @ (share[:, None] * centred)
    np.testing.assert_allclose(share @ scores, 0, atol=1e-12)
    expected = np.diag(np.linalg.eigvalsh(covariance)[:-4:-1])
    np.testing.assert_allclose(scores.T @ (share[:, None] * scores), expected, atol=1e-9)


def test_map_and_what_it_leaves_are_those_of_least_squares():
    scores, weight, image = rng().normal(size=(50, 3)), rng().uniform(size=50), rng().permutation(50)
    image[::5] = -1
    kept = image >= 0
    for d, found in enumerate(equivariances(scores, weight, image), 1):
        root, source, target = np.sqrt(weight[kept, None]), scores[kept, :d], scores[image[kept], :d]
        solution, left, *_ = np.linalg.lstsq(root * source, root * target, rcond=None)
        np.testing.assert_allclose(found.matrix, solution.T, atol=1e-10)
        assert found.error == pytest.approx(left.sum() / ((root * target) ** 2).sum())
        assert found.coverage == pytest.approx(weight[kept].sum() / weight.sum())


def test_group_of_mess3_acts_on_its_beliefs():
    """Rotations have the eigenvalues exp(+-2 pi i / 3), swaps 1 and -1, and maps compose like permutations."""
    tree, belief, probability = complete_tree_with_beliefs(MESS3, 6, 10**4)
    scores = principal_scores(belief @ rng().normal(size=(3, 8)), probability, 2)
    maps = {g: equivariances(scores, probability, image_of_prefixes(tree, g))[1] for g in permutations_of(3)}
    assert max(one.error for one in maps.values()) < 1e-9
    angles = {g: np.angle(one.eigenvalues) * 3 / np.pi for g, one in maps.items()}
    np.testing.assert_allclose(angles[ROTATION], [-2, 2], atol=1e-6)
    np.testing.assert_allclose(np.sort(maps[SWAP].eigenvalues.real), [-1, 1], atol=1e-6)
    for g, h in product(maps, maps):
        assert composition_error(maps[g], maps[h], maps[composed(g, h)]) < 1e-6
    wrong = composition_error(maps[ROTATION], maps[SWAP], maps[composed(SWAP, ROTATION)])
    assert wrong > 0.5


def test_predictions_change_only_without_the_symmetry():
    for process, symmetric in ((MESS3, True), (lopsided(), False)):
        tree, belief, probability = complete_tree_with_beliefs(process, 5, 10**4)
        said = process.next_token_probability(belief)
        for g in permutations_of(3)[1:]:
            change = prediction_change(said, probability, image_of_prefixes(tree, g), g)
            assert change < 1e-9 if symmetric else 0.1 < change < 1


# --- The table ----------------------------------------------------------------------------------------------------


def accepted(table, step, site):
    rows = table[(table["measure"] == "is_symmetry") & (table["step"] == step) & (table["site"] == site)]
    return set(rows.loc[rows["value"] == 1, "permutation"])


@pytest.mark.parametrize(
    ("process", "group"),
    [
        (MESS3, {"()", "(0 1)", "(0 2)", "(1 2)", "(0 1 2)", "(0 2 1)"}),
        (process_from_config("bloch_walk", {}), DIHEDRAL),
        (lopsided(), {"()"}),
        (nearly_symmetric(), {"()"}),
        (process_from_config("rrxor", {}), {"()"}),
        (process_from_config("z1r", {}), {"()"}),
        (process_from_config("golden_mean", {}), {"()"}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_group_of_planted_beliefs_is_found_and_no_other(process, group):
    """In the belief plus a little noise; in noise alone, which stands for no training, only the identity is accepted.

    The tokens of bloch_walk are the ends of two axes of a circle: of their 24 permutations, those of a square.
    """
    truth = markov_ground_truth(process, 6, 10**4, seed=0)
    belief = truth["target"].values @ rng().normal(size=(process.n_states, 8))
    noise = 0.02 * belief.std() * rng().normal(size=belief.shape)
    activations, n_dimensions = activations_of(truth, belief + noise), min(process.n_states - 1, 2)
    table = find_symmetries(truth, activations, [0, 1], n_dimensions, SYMMETRY_LIMITS)
    assert accepted(table, 9, SITES[1]) == group
    for step, site in ((0, SITES[0]), (0, SITES[1]), (9, SITES[0])):
        assert accepted(table, step, site) == {"()"}
    assert table.loc[table["measure"] == "is_group", "value"].eq(1).all()
    errors = table[(table["measure"] == "error") & (table["step"] == 0) & (table["permutation"] != "()")]
    assert errors["value"].min() > 3 * SYMMETRY_LIMITS[0]
