"""Processes as people write them: printed digits, fractions, two matrices, and one clear sentence for what is none."""

import json
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.processes.catalog import PROCESSES, process_from_config
from geometry.processes.custom_matrices import custom
from geometry.processes.printed_matrices import half_units
from geometry.processes.process import ProcessError

CHAIN, EMISSION = [[0.5, 0.5], ["1/3", "2/3"]], [[0.2, 0.8, 0], ["1/6", "1/2", "2/6"]]
PAIR = {"transition_matrix": CHAIN, "emission_matrix": EMISSION}
ENTERED = PAIR | {"emitting_state": "to_state"}


def rows(*tokens_of_state):
    """A tensor of one state for each row of probabilities, in which each token leads to the state of its number."""
    n = len(tokens_of_state)
    tensor = np.zeros((n, n, n)).tolist()
    for state, row in enumerate(tokens_of_state):
        for token, value in enumerate(row):
            tensor[token][state][token] = value
    return tensor


def explained(*row):
    return half_units(np.array(row, dtype=float), np.array([isinstance(value, int) for value in row])).sum()


@pytest.mark.parametrize(
    ("row", "allowed"),
    [
        ((0.3152, 0.6847), 1e-4),
        ((0.3152, 0.6847, 0, 0), 1e-4),
        ((0.333, 0.333, 0.333), 1.5e-3),
        ((0.33333333,) * 3, 1.5e-8),
        ((0.5, 0.4), 1e-3),  # taken for 0.500 and 0.400
        ((0.99, 0.011), 1e-3),
        ((0.9999, 5.0e-5), 5e-5 + 5e-9),  # four digits each: the second stood there as 5.000e-05
        ((0.985, 0.0149, 0.000123), 5e-4 + 5e-5 + 5e-7),  # three digits each
        ((1, 0), 0),
        ((0.1234567890123456, 0.8765432109), 0.5e-10),  # the first was computed
        ((0.1234567890123456, 0.8765432109876543), 0),
    ],
)
def test_rounding_explains_half_a_unit_of_each_last_digit(row, allowed):
    assert explained(*row) == pytest.approx(allowed, rel=0.02, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(3, 8), st.booleans())
def test_printed_rows_are_accepted_and_normalised(seed, n, digits, by_decimals):
    rng = np.random.default_rng(seed)
    exact = rng.dirichlet(np.full(n, 0.7), n) * (1 - n * 1e-6) + 1e-6
    form = f".{digits}f" if by_decimals else f".{digits - 1}e"
    printed = [[float(format(value, form)) for value in row] for row in exact]
    process = custom(rows(*printed), initial_state=printed[0])
    np.testing.assert_allclose(process.transition_tensor.sum(axis=(0, 2)), 1, atol=1e-15)
    np.testing.assert_allclose(process.initial_state.sum(), 1, atol=1e-15)
    found = process.transition_tensor[range(n), :, range(n)].T
    np.testing.assert_allclose(found, np.array(printed) / np.sum(printed, axis=1, keepdims=True), rtol=1e-14)
    is_changed = np.abs(np.sum(printed, axis=1) - 1) > 1e-9
    assert len(process.notes) == int(is_changed.any()) + int(is_changed[0])
    worse = [list(row) for row in printed]
    worse[0][0] += n * 10.0 ** (1 - digits)
    with pytest.raises(ProcessError, match="state 0"):
        custom(rows(*worse))


def test_note_says_what_was_done_to_which_state():
    tensor = rows([0.3152, 0.6847], [0.5, 0.5])
    note = "the probabilities of leaving state A summed to 0.9999 and were divided by it"
    assert custom(tensor, state_names=["A", "B"]).notes == (note,)
    assert custom(rows([0.5, 0.5], [0.25, 0.75])).notes == ()
    many = custom(rows(*[[0.33333333] * 3] * 3)).notes
    others = "and so were those of 2 other states, by theirs"
    assert many[0].endswith(f"state 0 summed to 0.99999999 and were divided by it, {others}")
    start = custom(rows([0.5, 0.5], [0.25, 0.75]), initial_state=[0.333, 0.666]).notes
    assert start == ("initial_state: the probabilities summed to 0.999 and were divided by it",)


def test_fractions_are_exact():
    process = custom(rows(["1/6", "5/6"], [0.5, "1/2"]), initial_state=["1/3", "2/3"])
    assert process.notes == () and process.transition_tensor[0, 0, 0] == pytest.approx(1 / 6, abs=1e-16)
    with pytest.raises(ProcessError, match=r"state 0 sum to 0.999.*rounding explains 0 at most"):
        custom(rows(["999/2000", "999/2000"], [0.5, 0.5]))


@pytest.mark.parametrize("emitting", ["from_state", "to_state"])
def test_two_matrices_give_the_tensor(emitting):
    process = custom(**PAIR, emitting_state=emitting)
    chain, emission = np.array([[1 / 2, 1 / 2], [1 / 3, 2 / 3]]), np.array([[0.2, 0.8, 0], [1 / 6, 1 / 2, 1 / 3]])
    for token, start, end in np.ndindex(3, 2, 2):
        drawn = emission[start if emitting == "from_state" else end, token]
        assert process.transition_tensor[token, start, end] == pytest.approx(chain[start, end] * drawn)


def test_mess3_is_a_pair_whose_entered_state_emits():
    x, a, b = 0.05, 0.85, 0.075
    chain, emission = np.full((3, 3), x) + (1 - 3 * x) * np.eye(3), np.full((3, 3), b) + (a - b) * np.eye(3)
    process = custom(transition_matrix=chain.tolist(), emission_matrix=emission.tolist(), emitting_state="to_state")
    np.testing.assert_allclose(process.transition_tensor, PROCESSES["mess3"](x, a).transition_tensor, atol=1e-15)


@pytest.mark.parametrize("decimals", [3, 5, 8])
@pytest.mark.parametrize("name", ["fanizza", "moon", "bloch_walk"])
def test_printed_generalized_process_keeps_eigenvalue_one(name, decimals):
    exact = PROCESSES[name]()
    process = custom(exact.transition_tensor.round(decimals).tolist(), generalized=True)
    chain = process.transition_tensor.sum(axis=0)
    np.testing.assert_allclose(chain @ process.readout, process.readout, atol=1e-9)
    np.testing.assert_allclose(process.transition_tensor, exact.transition_tensor, atol=3 * 10.0**-decimals)


BROKEN = [[[11.6, -10.6], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]]]
EVEN, UNEVEN = rows([0.5, 0.5], [0.5, 0.5]), rows([0.5, 0.4], [0.5, 0.5])


def of_tensor(values, **others):
    return {"transition_tensor": values, **others}


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "'transition_tensor' is missing; .*a transition_matrix with an emission_matrix"),
        ({"transition_matrix": CHAIN}, "'emission_matrix' is missing"),
        ({"emission_matrix": EMISSION}, "'transition_matrix' is missing"),
        (PAIR, "'emitting_state' is missing; it must be from_state, .* left, or to_state, .* entered"),
        ({**PAIR, "emitting_state": "state"}, "'emitting_state' is state; it must be from_state"),
        ({**ENTERED, "generalized": True}, "needs a transition_tensor"),
        ({**PAIR, "transition_tensor": BROKEN}, "transition_matrix stands beside transition_tensor"),
        ({**ENTERED, "emission_matrix": [[1, 0]]}, "has 1 rows; .* has 2 states"),
        ({**ENTERED, "transition_matrix": [[1, 0]]}, r"shape \(1, 2\).*one column per state"),
        ({**ENTERED, "transition_matrix": [[1, 0], [1]]}, "rows differ in length"),
        ({**ENTERED, "transition_matrix": [[1, "a"], [1, 0]]}, "such as 1/6: .*'a'"),
        ({**ENTERED, "transition_matrix": [[1, "1/0"], [1, 0]]}, "such as 1/6: .*zero"),
        ({**ENTERED, "transition_matrix": [[1, nan], [1, 0]]}, r"matrix\[0, 1\] is nan"),
        ({**ENTERED, "transition_matrix": [[1, True], [1, 0]]}, "True is no number"),
        (
            {**ENTERED, "transition_matrix": [[0.9, 0.2], [0.1, 0.8]], "state_names": "AB"},
            "transition_matrix: .*leaving state A sum to 1.1; .*explains 0.001 at most; the columns do.*transposed",
        ),
        (
            {**ENTERED, "emission_matrix": [[1, 0], [0.4, 0.5]], "state_names": "AB"},
            "emission_matrix: the probabilities of the tokens of state B sum to 0.9; .*fractions such as 1/6",
        ),
        (
            {**ENTERED, "emission_matrix": [[1, 0], [1.4, -0.4]], "state_names": "AB"},
            r"emission_matrix\[1, \d\] is .* \(state B\); .*between 0 and 1; .*a fit that failed",
        ),
        (of_tensor(BROKEN), r"tensor\[0, 0, [01]\] is .* \(state 0\); .*between 0 and 1; .*fit that failed$"),
        (of_tensor(UNEVEN), "leaving state 0 sum to 0.9 over tokens and next states"),
        (of_tensor(EVEN, initial_state=[0.5, 0.4]), "initial_state: .* sum to 0.9"),
        (of_tensor(EVEN, initial_state=[1.5, -0.5]), "between 0 and 1"),
        (of_tensor(UNEVEN, state_names=["a\nb", "c"]), r"leaving state 'a\\nb' sum"),
    ],
)
def test_impossible_custom_process_is_refused_in_one_sentence(parameters, sentence):
    with pytest.raises(ProcessError, match=f"^custom: .*{sentence}") as error:
        process_from_config("custom", parameters)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["bloch_walk", "moon", "fanizza"])
def test_valid_generalized_process_is_told_what_it_is(name):
    tensor = PROCESSES[name]().transition_tensor
    if np.allclose(tensor.sum(axis=(0, 2)), 1):
        with pytest.raises(ProcessError, match=r"\(negative entries need generalized: true\)"):
            custom(tensor)
    with pytest.raises(ProcessError, match="between 0 and 1"):
        custom(tensor)


def test_negative_rounding_is_zero():
    process = custom(rows([1 - 0.9 - 0.1, 1.0], [0.5, 0.5]))
    assert process.transition_tensor.min() == 0
    assert PROCESSES["mr_name"](0.9, 0.1).transition_tensor.min() == 0


def test_parameters_go_through_the_config_as_they_are_written():
    parameters = json.loads(json.dumps(ENTERED))
    assert process_from_config("custom", parameters).n_tokens == 3
