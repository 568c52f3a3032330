"""Memory: observers who recall only the last tokens, and how far a decoded belief reaches."""

import numpy as np
import pytest
from reference_tree import words_of
from run_datasets import decoded_dataset

from geometry.processes.belief_states import complete_tree_with_beliefs
from geometry.processes.catalog import process_from_config
from geometry.processes.finite_memory import memory_reached, mixing_rate, observer_beliefs, rms_errors
from geometry.processes.prefix_tree import tree_of
from geometry.processes.process import build_process
from geometry.tasks.ground_truth import markov_ground_truth
from measure_convergence import errors_at_longest, measure_convergence
from measure_process import convergence_table

MESS3 = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
SITES = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post"]


def test_observer_is_bayesian_about_what_it_recalls():
    process = build_process("uneven", [[[0.5, 0.1], [0.2, 0.1]], [[0.1, 0.3], [0.3, 0.4]]], initial_state=[1, 0])
    tree, belief, _ = complete_tree_with_beliefs(process, 6, 10**4)
    words, observers = words_of(tree), list(observer_beliefs(process, tree, belief))
    assert len(observers) == 6
    for recalled, observer in enumerate(observers, 1):
        for row, word in enumerate(words):
            expected = process.stationary_distribution if len(word) > recalled else process.initial_state
            for token in word[-recalled:]:
                expected = expected @ process.transition_tensor[token]
            np.testing.assert_allclose(observer[row], expected / expected.sum(), atol=1e-12)


def test_impossible_recollection_tells_nothing():
    """The second token of the first word can only follow the state that never recurs."""
    first, second = [[0, 0.5, 0], [0, 0.5, 0], [0, 0.5, 0]], [[0, 0, 0], [0, 0, 0.5], [0, 0, 0.5]]
    tensor = [first, second, [[0.5, 0, 0], [0, 0, 0], [0, 0, 0]]]
    process = build_process("begins", tensor, initial_state=[1, 0, 0])
    tree, belief, _ = complete_tree_with_beliefs(process, 3, 100)
    for observer in observer_beliefs(process, tree, belief):
        assert np.isfinite(observer).all()
    row = words_of(tree).index((2, 2))
    np.testing.assert_allclose(next(observer_beliefs(process, tree, belief))[row], process.stationary_distribution)


def test_who_recalls_all_makes_no_error_and_error_falls_with_recollection():
    tree, belief, probability = complete_tree_with_beliefs(MESS3, 7, 10**4)
    errors = [rms_errors(tree, probability, belief, o) for o in observer_beliefs(MESS3, tree, belief)]
    at_longest = np.array(errors)[:, -1]
    assert at_longest[-1] == 0 and (np.diff(at_longest) < 0).all()
    assert all((error[: k + 1] == 0).all() and (error[k + 1 :] > 0).all() for k, error in enumerate(errors))


def test_mixing_rate_is_known_for_mess3():
    assert mixing_rate(MESS3) == pytest.approx(1 - 3 * 0.05)
    assert mixing_rate(process_from_config("z1r", {})) == pytest.approx(1)
    assert mixing_rate(build_process("coin", [[[0.5]], [[0.5]]])) == 0


def test_memory_reached_by_hand():
    observers = np.array([1.0, 0.1, 0.001, 0.0])
    for error, recalled in ((2.0, 0), (1.0, 0), (0.1, 1), (0.01, 1.5), (0.001, 2), (1e-5, 2), (0.0, 2)):
        assert memory_reached(error, observers) == pytest.approx(recalled)
    assert memory_reached(0.1, np.zeros(3)) == 0


@pytest.mark.parametrize("recalled", [1, 2, 4])
def test_planted_observer_is_recognised_and_noise_is_not(recalled):
    """The beliefs of who recalls so many tokens are found at one site; the prior at the other reaches nothing."""
    truth = markov_ground_truth(MESS3, 6, 10**4, seed=0)
    tree, belief = tree_of(truth), truth["target"].values
    decoded = np.zeros((2, 2, 2, *belief.shape), np.float32) + 1 / 3
    decoded[0, 1, 1] = list(observer_beliefs(MESS3, tree, belief))[recalled - 1]
    decoded[1] = belief  # in sample: not to be read
    dataset = decoded_dataset(decoded, SITES)
    of_process = convergence_table(truth, MESS3, 0)
    table = measure_convergence(truth, dataset, errors_at_longest(of_process))
    reached = table[table["measure"] == "memory_reached"].set_index(["step", "site"])["value"]
    assert reached[9, SITES[1]] == pytest.approx(recalled, abs=1e-3)
    assert reached.drop((9, SITES[1])).max() < 1e-6
    errors = table[(table["measure"] == "belief_error") & (table["site"] == SITES[1]) & (table["step"] == 9)]
    rates = of_process[of_process["measure"] == "mixing"]["value"].to_numpy()
    np.testing.assert_allclose(rates[1:] / rates[:-1], 0.85)
    assert (errors["value"].iloc[:recalled] < 1e-6).all() and (errors["value"].iloc[recalled:] > 1e-3).all()


def test_last_site_stands_for_the_streams_where_none_is_probed():
    truth = markov_ground_truth(MESS3, 3, 10**4, seed=0)
    decoded = np.zeros((2, 2, 2, *truth["target"].shape), np.float32)
    sites = ["blocks.0.hook_attn_out", "blocks.0.hook_mlp_out"]
    observers = errors_at_longest(convergence_table(truth, MESS3, 0))
    table = measure_convergence(truth, decoded_dataset(decoded, sites), observers)
    assert set(table["site"]) == {"blocks.0.hook_mlp_out"}
