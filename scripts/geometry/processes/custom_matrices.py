"""Processes given by matrices in the config, printed with a few digits or written with fractions.

Rounding changes a printed number by at most half a unit of its last digit. Probabilities whose sum differs from 1 by at
most that are divided by their sum, with a sentence in the process's ``notes``; others are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.belief_states import extend_beliefs
from geometry.processes.printed_matrices import half_units, read_numbers
from geometry.processes.process import TOLERANCE, Process, ProcessError, build_process, checked_names

MOST_TRIED = 2_000
"""Prefixes on which negative entries are tested as those of a generalized process."""

ROWS = {
    "transition_tensor": "the probabilities of leaving state {}",
    "transition_matrix": "transition_matrix: the probabilities of leaving state {}",
    "emission_matrix": "emission_matrix: the probabilities of the tokens of state {}",
    "initial_state": "initial_state: the probabilities",
}

FAILED = "; a matrix with such entries looks like a fit that failed"


def distributions(
    key: str,
    numbers: ndarray,
    is_exact: ndarray,
    states: Sequence[str],
    notes: list[str],
    hint: Callable = lambda: FAILED,
) -> ndarray:
    """The numbers of a key, with those of each state divided by their sum; a note where they were rounded.

    Raises `ProcessError` for numbers that are no probabilities, with the text of `hint`, or do not sum to 1.
    """
    axis = 1 if key == "transition_tensor" else 0
    numbers = np.where((numbers < 0) & (numbers >= -TOLERANCE), 0, numbers)
    outside = np.maximum(-numbers, numbers - 1)
    if outside.max() > TOLERANCE:
        where = np.unravel_index(outside.argmax(), outside.shape)
        of = f" (state {states[where[axis]]})" if len(states) > 1 else ""
        raise ProcessError(
            f"custom: {key}{[int(i) for i in where]} is {numbers[where]:.6g}{of}; it must be a probability, "
            f"between 0 and 1{hint()}"
        )
    by_state = np.moveaxis(numbers, axis, 0)
    rows, exact = by_state.reshape(len(states), -1), np.moveaxis(is_exact, axis, 0).reshape(len(states), -1)
    total = rows.sum(axis=1)
    rounded = np.flatnonzero(np.abs(total - 1) > TOLERANCE)
    allowed = np.array([half_units(rows[k], exact[k]).sum() for k in rounded])
    excess = np.abs(total[rounded] - 1) - allowed
    if len(rounded) and excess.max() > TOLERANCE:
        k = int(excess.argmax())
        raise ProcessError(_wrong_sum(key, numbers, states[rounded[k]], total[rounded[k]], allowed[k]))
    if len(rounded):
        more = f", and so were those of {len(rounded) - 1} other states, by theirs" if len(rounded) > 1 else ""
        first = rounded[0]
        notes.append(f"{ROWS[key].format(states[first])} summed to {total[first]:.9g} and were divided by it{more}")
    return np.moveaxis((rows / total[:, None]).reshape(by_state.shape), 0, axis)


def _wrong_sum(key: str, numbers: ndarray, state: str, total: float, allowed: float) -> str:
    over = " over tokens and next states" if key == "transition_tensor" else ""
    columns = numbers.sum(axis=tuple(range(numbers.ndim - 1)))
    turned = "; the columns do, so that it may be transposed" if np.abs(columns - 1).max() < 0.01 else ""
    return (
        f"custom: {ROWS[key].format(state)} sum to {total:.9g}{over}; they must sum to 1, of which rounding explains "
        f"{allowed:.2g} at most{turned}: correct them, or write more digits or fractions such as 1/6"
    )


def custom(
    transition_tensor=None,
    initial_state=None,
    state_names=None,
    token_names=None,
    generalized: bool = False,
    transition_matrix=None,
    emission_matrix=None,
    emitting_state=None,
) -> Process:
    """A process written out in the config, by its `transition_tensor` [token][from][to] or by two matrices.

    These are the `transition_matrix` [from][to] and the `emission_matrix` [state][token]; the row of the
    token is that of the `emitting_state`: ``from_state``, the state that is left, or ``to_state``, the one entered.
    Numbers may be text, as 1/6. Raises `ProcessError`; see `build_process`.
    """
    pair = {
        "transition_matrix": transition_matrix,
        "emission_matrix": emission_matrix,
        "emitting_state": emitting_state,
    }
    given, notes = [key for key, value in pair.items() if value is not None], []
    if transition_tensor is None:
        tensor = _tensor_of_pair(pair, state_names, generalized, notes)
    elif given:
        raise ProcessError(f"custom: {given[0]} stands beside transition_tensor; give the one or the other")
    else:
        tensor = _tensor(transition_tensor, state_names, generalized, notes)
    if initial_state is not None:
        initial_state, is_exact = read_numbers("initial_state", initial_state)
        if not generalized:
            initial_state = distributions("initial_state", initial_state[None], is_exact[None], [""], notes)[0]
    options = {"state_names": state_names, "token_names": token_names, "generalized": generalized}
    process = build_process("custom", tensor, initial_state=initial_state, **options)
    return replace(process, notes=tuple(notes))


def _tensor(values, state_names, generalized: bool, notes: list[str]) -> Float[ndarray, "token state state"]:
    tensor, is_exact = read_numbers("transition_tensor", values)
    if generalized:
        return _with_eigenvalue_1(tensor, is_exact, notes)
    states = _shown_names(state_names, tensor.shape[1])

    def hint() -> str:
        if tensor.min() < -TOLERANCE and _is_generalized(tensor):
            return " (negative entries need generalized: true)"
        return FAILED

    return distributions("transition_tensor", tensor, is_exact, states, notes, hint)


def _tensor_of_pair(
    pair: Mapping, state_names, generalized: bool, notes: list[str]
) -> Float[ndarray, "token state state"]:
    missing = [key for key in ("transition_matrix", "emission_matrix") if pair[key] is None]
    if missing:
        raise ProcessError(
            f"custom: parameter {'transition_tensor' if len(missing) > 1 else missing[0]!r} is missing; a process is "
            "a transition_tensor, or a transition_matrix with an emission_matrix"
        )
    if generalized:
        raise ProcessError("custom: generalized is true; a generalized process needs a transition_tensor")
    if pair["emitting_state"] not in ("from_state", "to_state"):
        raise ProcessError(
            f"custom: parameter 'emitting_state' is {pair['emitting_state'] or 'missing'}; it must be from_state, "
            "where emission_matrix has the tokens of the state that is left, or to_state, of the one that is entered"
        )
    read = {key: read_numbers(key, pair[key]) for key in ("transition_matrix", "emission_matrix")}
    n_states, n_rows = (len(numbers) for numbers, _ in read.values())
    if n_rows != n_states:
        raise ProcessError(f"custom: emission_matrix has {n_rows} rows; transition_matrix has {n_states} states")
    states = _shown_names(state_names, n_states)
    chain, emission = (distributions(key, *numbers, states, notes) for key, numbers in read.items())
    emitted = emission.T[:, :, None] if pair["emitting_state"] == "from_state" else emission.T[:, None, :]
    return chain * emitted


def _shown_names(state_names, n_states: int) -> list[str]:
    """The names of the states as printable text."""
    names = checked_names("custom", "state_names", state_names, n_states)
    return [name if name.isprintable() else repr(name) for name in names]


def _with_eigenvalue_1(tensor: ndarray, is_exact: ndarray, notes: list[str]) -> ndarray:
    """The tensor of a generalized process divided by its leading eigenvalue, if rounding explains that it is not 1."""
    from scipy.linalg import eig  # of generalized processes alone; every job would wait for it

    chain = tensor.sum(axis=0)
    values, left, right = eig(chain, left=True, right=True)
    leading = values.real.argmax()
    value, left, right = values[leading].real, left[:, leading], right[:, leading]
    if abs(value - 1) > TOLERANCE:
        moved = half_units(tensor.ravel(), is_exact.ravel()).reshape(tensor.shape).sum(axis=0)
        if abs(value - 1) * abs(left.conj() @ right) <= np.abs(left) @ moved @ np.abs(right):  # to first order
            notes.append(f"the summed transition tensor had leading eigenvalue {value:.12g} and was divided by it")
            return tensor / value
    return tensor


def _is_generalized(tensor: ndarray) -> bool:
    """True if a tensor is one of a generalized process, as far as its first prefixes show."""
    try:
        process = build_process("custom", tensor, generalized=True)
        belief = process.initial_state[None]
        for _ in range(20):
            belief = extend_beliefs(process, belief)[3]
            if len(belief) * process.n_tokens > MOST_TRIED:
                break
    except ProcessError:
        return False
    return True
