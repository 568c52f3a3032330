"""Constrained updates against their definition, on processes without any symmetry."""

import numpy as np
import pytest
from reference_tree import words_of

from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.catalog import mess3, process_from_config
from geometry.processes.constrained_updates import constrained_updates, decay_of_evidence, single_token_evidence
from geometry.processes.process import build_process

ASYMMETRIC = [
    [[0.30, 0.05, 0.10], [0.02, 0.40, 0.08], [0.20, 0.15, 0.05]],
    [[0.10, 0.25, 0.20], [0.30, 0.10, 0.10], [0.05, 0.35, 0.20]],
]
"""Of two tokens and three states."""


def direct_sum(process, word):
    """The published sum with the powers of M; before each token, what is known without any evidence."""
    chain, power = process.transition_tensor.sum(axis=0), np.linalg.matrix_power
    total = process.initial_state @ power(chain, len(word))
    for place, token in enumerate(word):
        before = process.initial_state @ power(chain, place)
        image = before @ process.transition_tensor[token]
        rest = len(word) - place - 1
        total = total + image / (image @ process.readout) @ power(chain, rest) - before @ power(chain, rest + 1)
    return total


@pytest.mark.parametrize(
    "process",
    [
        build_process("asymmetric", ASYMMETRIC),
        build_process("started", ASYMMETRIC, initial_state=[0.7, 0.1, 0.2]),
        process_from_config("rrxor", {"p1": 0.3, "p2": 0.7}),
        process_from_config("moon", {}),
    ],
    ids=lambda process: process.name,
)
def test_recursion_along_the_tree_is_the_sum_over_tokens(process):
    tree = complete_tree(process, 5, 10_000)
    expected = [direct_sum(process, word) for word in words_of(tree)]
    np.testing.assert_allclose(constrained_updates(process, tree), expected, atol=1e-12)


def test_from_the_stationary_law_it_is_the_published_formula():
    process = build_process("asymmetric", ASYMMETRIC)
    pi, chain = process.stationary_distribution, process.transition_tensor.sum(axis=0)
    tree = complete_tree(process, 3, 100)
    after = [pi @ T / (pi @ T).sum() for T in process.transition_tensor]
    place = words_of(tree).index((1, 0, 0))
    by_hand = pi + (after[1] @ chain @ chain - pi) + (after[0] @ chain - pi) + (after[0] - pi)
    np.testing.assert_allclose(constrained_updates(process, tree)[place], by_hand, atol=1e-14)


@pytest.mark.parametrize("initial", [None, [0.7, 0.1, 0.2]])
def test_after_one_token_it_is_the_belief_and_later_it_is_not(initial):
    process = build_process("asymmetric", ASYMMETRIC, initial_state=initial)
    tree = complete_tree(process, 4, 1000)
    updates, beliefs = constrained_updates(process, tree), belief_states(process, tree)[0]
    np.testing.assert_allclose(updates[tree.levels[0]], beliefs[tree.levels[0]], atol=1e-14)
    assert np.abs(updates - beliefs)[tree.levels[1]].max() > 0.005
    np.testing.assert_allclose(updates.sum(axis=1), 1)


def test_evidence_vanishes_in_the_mean_over_tokens():
    process = build_process("started", ASYMMETRIC, initial_state=[0.7, 0.1, 0.2])
    evidence, before = single_token_evidence(process, 2), process.initial_state
    for of_position in evidence:
        probability = (before @ process.transition_tensor).sum(axis=1)
        np.testing.assert_allclose(probability @ of_position, 0, atol=1e-15)
        before = before @ process.transition_tensor.sum(axis=0)
    assert np.abs(evidence).max() > 0.05


def test_token_that_is_impossible_at_a_position_has_no_evidence():
    process = process_from_config("z1r", {"p": 0.5})
    started = build_process("started", process.transition_tensor, initial_state=[1, 0, 0])
    evidence = single_token_evidence(started, 1)
    assert (evidence[0, 1] == 0).all() and np.isfinite(evidence).all()


def decay(process):
    return decay_of_evidence(process.transition_tensor.sum(axis=0))


def test_evidence_of_mess3_decays_by_one_minus_three_x():
    assert decay(mess3(0.15, 0.6)) == pytest.approx(0.55)
    assert decay(mess3(0.5, 0.6)) == pytest.approx(-0.5)
    process = mess3(0.5, 0.6)
    evidence = single_token_evidence(process, 1)[0]
    np.testing.assert_allclose(evidence @ process.transition_tensor.sum(axis=0), -0.5 * evidence, atol=1e-15)


def test_decay_is_that_of_the_slowest_direction_and_none_where_it_turns():
    chain = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])  # eigenvalues 1, 0.7 and 0.3
    two = build_process("two", [chain * [[0.2], [0.9], [0.5]], chain * [[0.8], [0.1], [0.5]]])
    assert decay(two) == pytest.approx(0.7)
    turning = np.roll(np.eye(3), 1, axis=1) * 0.8 + 0.2 / 3
    assert np.isnan(decay(build_process("turning", [0.4 * turning, 0.6 * turning])))
