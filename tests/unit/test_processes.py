"""Processes: the literature's definitions, and one clear sentence for what is no process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geometry.processes.catalog import PROCESSES, custom, mess3, process_from_config
from geometry.processes.process import ProcessError, build_process

PARAMETERS = {
    "mess3": {"x": 0.05, "alpha": 0.85},
    "mess3_duplicated": {"x": 0.05, "alpha": 0.85},
    "mess": {"n": 4, "x": 0.05, "alpha": 0.85},
    "custom": {"transition_tensor": [[[0.3, 0.7], [0.2, 0.3]], [[0, 0], [0.4, 0.1]]]},
    "mixture": {"components": [{"process": "z1r"}, {"process": "bloch_walk"}]},
    "product": {"factors": [{"process": "z1r"}, {"process": "bloch_walk"}]},
    "chain": {"factors": [{"process": "z1r"}, {"process": "even", "depends_on": "token", "by": [{"p": 0.2}, {}]}]},
    "noisy": {"of": {"process": "moon"}, "epsilon": 0.1},
}


@pytest.mark.parametrize("name", PROCESSES)
def test_process_is_normalised(name):
    process = process_from_config(name, PARAMETERS.get(name, {}))
    chain = process.transition_tensor.sum(axis=0)
    np.testing.assert_allclose(chain @ process.readout, process.readout, atol=1e-9)
    np.testing.assert_allclose(process.stationary_distribution @ chain, process.stationary_distribution, atol=1e-9)
    assert process.stationary_distribution @ process.readout == pytest.approx(1)


def test_mess3_matches_the_published_matrix():
    a, b, x, y = 0.85, 0.075, 0.05, 0.9
    first = [[a * y, b * x, b * x], [a * x, b * y, b * x], [a * x, b * x, b * y]]
    np.testing.assert_allclose(mess3(x, a).transition_tensor[0], first, atol=1e-15)
    second = [[b * y, a * x, b * x], [b * x, a * y, b * x], [b * x, a * x, b * y]]
    np.testing.assert_allclose(mess3(x, a).transition_tensor[1], second, atol=1e-15)


def entries(tensor):
    """The non-zero entries of a tensor by token, from-state and to-state."""
    return {tuple(int(i) for i in place): float(tensor[tuple(place)]) for place in np.argwhere(tensor)}


DEFINITIONS = {
    # At asymmetric parameters: (token, from, to) -> probability. Hidden states in the order of their names.
    ("rrxor", (0.3, 0.8)): {
        (0, 0, 1): 0.3, (1, 0, 2): 0.7, (0, 1, 4): 0.8, (1, 1, 3): 0.2,
        (0, 2, 3): 0.8, (1, 2, 4): 0.2, (1, 3, 0): 1.0, (0, 4, 0): 1.0,
    },
    ("z1r", (0.3,)): {(0, 0, 1): 1.0, (1, 1, 2): 1.0, (0, 2, 0): 0.3, (1, 2, 0): 0.7},
    ("zrr", (0.3, 0.8)): {(0, 0, 1): 1.0, (0, 1, 2): 0.3, (1, 1, 2): 0.7, (0, 2, 0): 0.8, (1, 2, 0): 0.2},
    ("even", (0.3,)): {(0, 0, 0): 0.7, (1, 0, 1): 0.3, (1, 1, 0): 1.0},
    ("golden_mean", (0.3,)): {(0, 0, 0): 0.7, (1, 0, 1): 0.3, (0, 1, 0): 1.0},
    ("sns", (0.3, 0.8)): {(0, 0, 0): 0.7, (0, 0, 1): 0.3, (0, 1, 1): 0.2, (1, 1, 0): 0.8},
    ("mr_name", (0.3, 0.1)): {
        (3, 0, 3): 1.0, (0, 1, 0): 0.1, (1, 1, 1): 0.6, (2, 1, 2): 0.3,
        (0, 2, 0): 0.1, (1, 2, 1): 0.3, (2, 2, 2): 0.6, (1, 3, 1): 0.5, (2, 3, 2): 0.5,
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "parameters"), DEFINITIONS)
def test_process_is_the_one_of_the_literature(name, parameters):
    found = entries(PROCESSES[name](*parameters).transition_tensor)
    assert found == pytest.approx(DEFINITIONS[name, parameters])


def test_leaky_rrxor_leaks_everywhere_alike():
    leaky, plain = PROCESSES["leaky_rrxor"](0.3, 0.8, 0.2), PROCESSES["rrxor"](0.3, 0.8)
    np.testing.assert_allclose(leaky.transition_tensor, 0.8 * plain.transition_tensor + 0.02)


def test_days_of_week_from_a_monday():
    tensor = 15 * PROCESSES["days_of_week"]().transition_tensor
    expected = {(day, 0, day): 1.0 for day in range(7)} | {(1, 0, 1): 5.0, (7, 0, 1): 1.0, (8, 0, 6): 1.0}
    expected |= {(9, 0, day): 1 / 2 for day in (5, 6)} | {(10, 0, day): 1 / 5 for day in range(5)}
    assert {place: p for place, p in entries(tensor).items() if place[1] == 0} == pytest.approx(expected)


def test_bloch_walk_at_asymmetric_parameters():
    # alpha 1, beta 2: scale 1/20, middle -3/20, off-diagonal 4/20.
    tensor = 20 * PROCESSES["bloch_walk"](1.0, 2.0).transition_tensor
    np.testing.assert_allclose(tensor[0], [[5, 0, 4], [0, -3, 0], [4, 0, 5]], atol=1e-12)
    np.testing.assert_allclose(tensor[1], [[5, 0, -4], [0, -3, 0], [-4, 0, 5]], atol=1e-12)
    np.testing.assert_allclose(tensor[2], [[5, 4, 0], [4, 5, 0], [0, 0, -3]], atol=1e-12)
    np.testing.assert_allclose(tensor[3], [[5, -4, 0], [-4, 5, 0], [0, 0, -3]], atol=1e-12)


def test_moon_is_the_published_tensor_scaled():
    e, half = np.e, 0.5
    tensors = [[[1, -1, -1], [1, -1, -1], [0, 0, 0]], [[e, 0, 0], [0, 1, 0], [0, 1, 1]]]
    tensors.append([[half, 0, 0], [0, 1, 0], [0, np.log(half), 1]])
    tensor = PROCESSES["moon"](1.0, 0.5).transition_tensor
    np.testing.assert_allclose(tensor * (tensors[1][0][0] / tensor[1, 0, 0]), tensors, atol=1e-12)


def test_fanizza_resets_or_rotates():
    c, s = 0.3 * np.cos(2.0), 0.3 * np.sin(2.0)
    tensor = PROCESSES["fanizza"](2.0, 0.3).transition_tensor
    np.testing.assert_allclose(tensor[1], [[0, 0, 0, 0], [0, 0.3, 0, 0], [0, 0, c, -s], [0, 0, s, c]], atol=1e-12)
    assert np.linalg.matrix_rank(tensor[0]) == 1
    np.testing.assert_allclose(tensor[0][:, 1], np.array([1, 0.7, 1 + s - c, 1 - s - c]) / 1.4, atol=1e-12)


def test_rrxor_stationary_distribution():
    np.testing.assert_allclose(process_from_config("rrxor", {}).stationary_distribution, np.array([2, 1, 1, 1, 1]) / 6)


def test_stationary_distribution_of_an_asymmetric_chain_by_hand():
    # Two states with P(0 -> 1) = 0.7 and P(1 -> 0) = 0.6: detailed balance gives 6 : 7.
    process = custom([[[0.3, 0.0], [0.6, 0.0]], [[0.0, 0.7], [0.0, 0.4]]])
    np.testing.assert_allclose(process.stationary_distribution, [6 / 13, 7 / 13], atol=1e-12)


def test_initial_state_settles_a_reducible_chain():
    halves = [[[1, 0, 0], [0.5, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0.5], [0, 0, 1]]]
    process = custom(halves, initial_state=[0.2, 0.6, 0.2])
    np.testing.assert_allclose(process.stationary_distribution, [0.5, 0, 0.5], atol=1e-9)


@pytest.mark.parametrize(
    ("chain", "n_classes"),
    [
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], 1),  # a cycle
        ([[0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5]], 1),  # two transient states, one that absorbs
        ([[0.5, 0.25, 0.25], [0, 1, 0], [0, 0, 1]], 2),  # two that absorb
        ([[0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2]], 2),
    ],
)
def test_each_closed_class_has_a_stationary_law_of_its_own(chain, n_classes):
    if n_classes == 1:
        assert custom([chain]).stationary_distribution.sum() == pytest.approx(1)
    else:
        with pytest.raises(ProcessError, match=f"with {n_classes} stationary distributions"):
            custom([chain])


def test_slow_chain_is_not_reducible():
    np.testing.assert_allclose(mess3(1e-7, 0.8).stationary_distribution, np.full(3, 1 / 3), atol=1e-6)


def test_initial_state_of_a_generalized_process_is_normalised_by_its_readout():
    moon = PROCESSES["moon"]()
    process = custom(moon.transition_tensor, initial_state=[0, 1, 0], generalized=True)
    assert process.initial_state @ process.readout == pytest.approx(1)


@given(st.floats(0.001, 0.499), st.floats(0.001, 0.999))
def test_mess3_factorises_into_transition_and_emission(x, alpha):
    process = mess3(x, alpha)
    emission = np.full((3, 3), (1 - alpha) / 2) + np.eye(3) * (alpha - (1 - alpha) / 2)
    chain = process.transition_tensor.sum(axis=0)
    for token in range(3):
        np.testing.assert_allclose(process.transition_tensor[token], chain * emission[:, token], atol=1e-12)


@pytest.mark.parametrize(
    ("tensor", "options", "sentence"),
    [
        ([[0.5, 0.5]], {}, r"shape \(1, 2\)"),
        ([[[0.5, 0.5]]], {}, "one row and one column per state"),
        ([[[0.5, 0.5], [0.5]]], {}, "nested lists of numbers"),
        ([[["a"]]], {}, "nested lists of numbers"),
        ([[[float("nan")]], [[1.0]]], {}, r"\[0, 0, 0\] is nan"),
        ([[[1.5]], [[-0.5]]], {}, r"\[1, 0, 0\] is -0.5"),
        ([[[0.5, 0.0], [0.0, 1.0]], [[0.0, 0.4], [0.0, 0.0]]], {}, "leaving state 0 sum to 0.9"),
        ([[[0.5, 0.0], [0.0, 0.5]], [[0.5, 0.0], [0.0, 0.5]]], {}, "reducible, with 2 stationary"),
        ([[[1.1]]], {"generalized": True}, "leading eigenvalue 1.1"),
        ([[[1.0, 0.0], [0.0, 1.0]]], {"generalized": True}, "must be simple"),
        ([[[1, 0], [0, 1]]], {"initial_state": ["a", "b"]}, "must be a list of numbers"),
        ([[[1, 0], [0, 1]]], {"initial_state": [1]}, r"initial_state has shape \(1,\)"),
        ([[[0.5]], [[0.5]]], {"initial_state": [0.4]}, "total 0.4"),
        ([[[0.5]], [[0.5]]], {"initial_state": [0.5, 0.5]}, r"shape \(2,\)"),
        ([[[0.5]], [[0.5]]], {"token_names": ["a", "a"]}, "2 different names"),
    ],
)
def test_impossible_process_is_refused_in_one_sentence(tensor, options, sentence):
    with pytest.raises(ProcessError, match=sentence) as error:
        build_process("mine", tensor, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("mess4", {}, "'mess4'; allowed are mess3"),
        ("mess3", {"x": 0.1}, "'alpha' is missing"),
        ("mess3", {"x": 0.1, "alpha": 0.5, "beta": 1}, "'beta' is unknown"),
        ("mess3", {"x": "0.1", "alpha": 0.5}, "x is '0.1'"),
        ("mess3", {"x": float("inf"), "alpha": 0.5}, "finite"),
        ("mess3", {"x": 0.7, "alpha": 0.5}, "at least 0"),
        ("moon", {"beta": -1}, "give no finite transition_tensor"),
        ("fanizza", {"lamb": 1}, "give no finite transition_tensor"),
    ],
)
def test_impossible_parameters_are_refused(name, parameters, sentence):
    with pytest.raises(ProcessError, match=sentence):
        process_from_config(name, parameters)
