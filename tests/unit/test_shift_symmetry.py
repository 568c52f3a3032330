"""Translations of numbers: planted circles tell their frequencies, and what has no such symmetry tells none."""

import numpy as np
import pytest
from run_datasets import activations_dataset

from find_shift_symmetry import find_shift_symmetry
from geometry.modular_circuit.shift_symmetry import (
    DOUBLED,
    SHIFT,
    SHUFFLED,
    answer_permutation,
    detected_frequencies,
    leading_scores,
    pair_permutations,
    turned_frequencies,
)
from geometry.recovery.token_symmetry import equivariances
from geometry.tables import select
from geometry.tasks.modular_arithmetic import ModularArithmetic

P, KEYS = 53, [5, 11, 14]
TRANSLATIONS = [SHIFT, "b + 1", "a + 1, b + 1"]
SITES = ["blocks.0.hook_resid_mid", "blocks.0.hook_resid_post"]


def rng():
    return np.random.default_rng(0)


def waves(residue, modulus, keys=KEYS):
    """cos and sin of each key frequency."""
    angle = 2 * np.pi * np.outer(residue, keys) / modulus
    return np.hstack([np.cos(angle), np.sin(angle)])


def turned(features):
    """Features in a space of more dimensions, turned at random and away from its origin."""
    return features @ np.linalg.qr(rng().normal(size=(20, features.shape[1])))[0].T + 1


def maps_of(task, features):
    """How each permutation acts on the components that are chosen."""
    scores, d = leading_scores(features, task.modulus)
    weight = np.ones(len(scores))
    return {name: equivariances(scores, weight, image)[d - 1] for name, image in pair_permutations(task).items()}


# --- Permutations -------------------------------------------------------------------------------------------------


def test_pairs_go_where_the_name_says():
    images = pair_permutations(ModularArithmetic(7))
    moved = {name: divmod(int(image[6 * 7 + 2]), 7) for name, image in images.items() if name != SHUFFLED}
    assert moved == {"a + 1": (0, 2), "b + 1": (6, 3), "a + 1, b + 1": (0, 3), "-a, -b": (1, 5), "2a, 2b": (5, 4)}
    for image in images.values():
        assert sorted(image) == list(range(49))
    assert DOUBLED not in pair_permutations(ModularArithmetic(8))


@pytest.mark.parametrize(
    ("operation", "after_3"),
    [
        ("addition", {"a + 1": 4, "b + 1": 4, "a + 1, b + 1": 5, "-a, -b": 4, "2a, 2b": 6}),
        ("subtraction", {"a + 1": 4, "b + 1": 2, "a + 1, b + 1": 3, "-a, -b": 4, "2a, 2b": 6}),
        ("polynomial", {"-a, -b": 3, "2a, 2b": 5}),
    ],
)
def test_symmetries_of_the_task_are_told_with_what_becomes_of_its_answers(operation, after_3):
    """Modulo 7; of a^2 + ab + b^2, translations are no symmetry, and doubling multiplies by 4."""
    task = ModularArithmetic(7, operation)
    after = {name: answer_permutation(task, image) for name, image in pair_permutations(task).items()}
    assert {name: found[3] for name, found in after.items() if found} == after_3
    assert all(found[task.equals] == task.equals for found in after.values() if found)


# --- Maps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["addition", "subtraction"])
@pytest.mark.parametrize("modulus", [P, 64])
def test_planted_circles_have_the_symmetry_and_tell_their_frequencies(modulus, operation):
    task = ModularArithmetic(modulus, operation)
    maps = maps_of(task, turned(waves(task.answer, modulus)))
    assert max(maps[name].error for name in [*TRANSLATIONS, "-a, -b"]) < 1e-9
    assert min(maps[name].error for name in {DOUBLED, SHUFFLED} & set(maps)) > 0.8
    assert detected_frequencies(maps[SHIFT].eigenvalues, modulus) == KEYS


def test_circles_behind_any_linear_map_are_found_on_as_many_components_as_they_have():
    task = ModularArithmetic(P)
    scores, _ = leading_scores(waves(task.answer, P) @ rng().normal(size=(6, 20)), P)
    found = equivariances(scores, np.ones(P**2), pair_permutations(task)[SHIFT])[5]
    assert found.error < 1e-9 and detected_frequencies(found.eigenvalues, P) == KEYS


def test_sums_of_waves_turn_by_half_their_frequency_and_shorten():
    task = ModularArithmetic(P)
    a, b = task.pairs
    maps = maps_of(task, waves(a, P) + waves(b, P))
    eigenvalues = maps[SHIFT].eigenvalues[len(KEYS) :]  # one of each pair
    np.testing.assert_allclose(turned_frequencies(eigenvalues, P), np.array(KEYS) / 2, atol=1e-6)
    np.testing.assert_allclose(np.abs(eigenvalues), np.cos(np.pi * np.array(KEYS) / P), atol=1e-6)
    assert maps["a + 1, b + 1"].error < 1e-9
    assert detected_frequencies(maps[SHIFT].eigenvalues, P) == []


def test_random_embedding_has_no_symmetry_and_tells_no_frequency():
    task = ModularArithmetic(P)
    embedding, weights = rng().normal(size=(P, 64)), rng().normal(size=(64, 64))
    a, b = task.pairs
    x = embedding[a] + embedding[b]
    maps = maps_of(task, x + np.maximum(x @ weights / 8, 0))
    assert min(one.error for one in maps.values()) > 0.5
    assert detected_frequencies(maps[SHIFT].eigenvalues, P) == []


def test_fewest_components_are_chosen_that_hold_most_of_the_variance():
    noise = rng().normal(size=(P**2, 5))
    x = np.linalg.qr(noise - noise.mean(axis=0))[0] * np.sqrt([60, 29, 8, 2, 1])
    assert leading_scores(x, P)[1] == 3
    assert leading_scores(x, 5)[0].shape == (P**2, 2) and leading_scores(x, 5)[1] == 2  # half of five numbers


# --- The table ----------------------------------------------------------------------------------------------------


def activations_of(task, features):
    """A run whose second site is planted at its end and all else noise; its answers come to be right."""
    values = rng().normal(size=(2, 2, *features.shape)).astype(np.float32)
    values[1, 1] = features
    chance, right = np.full((len(task.answer), task.n_tokens), 1 / task.n_tokens), np.eye(task.n_tokens)[task.answer]
    chance[:, 0] += 0.5 * rng().uniform(size=len(chance))
    probability = np.stack([chance / chance.sum(axis=1, keepdims=True), 0.9 * right + 0.1 / task.n_tokens])
    return activations_dataset(values, np.log(probability), SITES)


def test_table_tells_the_frequencies_where_and_when_they_are_there():
    task = ModularArithmetic(P)
    table = find_shift_symmetry(task, activations_of(task, turned(waves(task.answer, P))))
    told = select(table, measure="detected_frequency")
    assert set(told["step"]) == {9} and set(told["site"]) == {SITES[1]} and told["value"].tolist() == KEYS
    planted = select(table, step=9, site=SITES[1])
    assert set(planted[planted["measure"] != "error_by_dimension"]["n_dimensions"]) == {6}
    assert select(planted, measure="composition_error")["value"].item() < 1e-3
    error, by_dimension = (
        select(planted, measure=f"error{kind}", permutation=SHIFT).set_index("n_dimensions")["value"]
        for kind in ("", "_by_dimension")
    )
    assert list(by_dimension.index) == list(range(1, 21)) and by_dimension[6] == error[6] < 1e-9 < by_dimension[5]


def test_doubling_is_a_symmetry_of_what_is_said_but_not_of_the_geometry():
    task = ModularArithmetic(P)
    table = select(find_shift_symmetry(task, activations_of(task, turned(waves(task.answer, P)))), step=9)
    change = select(table, measure="prediction_change").set_index("permutation")["value"]
    assert set(change.index) == {*TRANSLATIONS, "-a, -b", DOUBLED} and change.max() < 1e-9
    assert select(table, measure="error", permutation=DOUBLED, site=SITES[1])["value"].item() > 0.8


def test_translations_are_rejected_where_the_answer_is_a_polynomial():
    task = ModularArithmetic(P, "polynomial")
    table = select(find_shift_symmetry(task, activations_of(task, turned(waves(task.answer, P)))), step=9)
    assert set(select(table, measure="prediction_change")["permutation"]) == {"-a, -b", DOUBLED}
    errors = select(table, measure="error", site=SITES[1]).set_index("permutation")["value"]
    assert errors[TRANSLATIONS].min() > 0.9 and errors["-a, -b"] < 1e-9
    assert select(table, measure="detected_frequency").empty
