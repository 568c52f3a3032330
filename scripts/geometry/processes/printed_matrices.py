"""Numbers in nested lists of the config, printed with a few digits or written as fractions."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from geometry.processes.process import ProcessError

FEWEST_DIGITS = 3
"""The least number of decimals or digits that printed numbers are assumed to have: 0.5 is one half."""

COMPUTED = 12
"""The number of digits from which on a number is assumed to be computed, not printed."""

AXES = {
    "transition_tensor": ("token, state, state", "one row and one column per state"),
    "transition_matrix": ("state, state", "one row and one column per state"),
    "emission_matrix": ("state, token", "one row per state"),
    "initial_state": ("state", "one entry per state"),
}


def read_numbers(key: str, values) -> tuple[ndarray, ndarray]:
    """The numbers of nested lists, and True where exact (whole numbers and fractions); raises `ProcessError`."""
    axes, meaning = AXES[key]
    form = f"custom: {key} must be nested lists of numbers with shape ({axes})"
    try:
        nested = _mapped(_number, values)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise ProcessError(f"{form}, or of fractions such as 1/6: {error}") from None
    try:
        numbers, is_exact = np.array(nested, dtype=np.float64), np.array(_mapped(_is_exact, values))
    except ValueError:
        raise ProcessError(f"{form}, and some of its rows differ in length") from None
    is_square = "state, state" not in axes or numbers.ndim < 2 or numbers.shape[-2] == numbers.shape[-1]
    if numbers.ndim != len(axes.split(",")) or not numbers.size or not is_square:
        raise ProcessError(f"custom: {key} has shape {numbers.shape}; it must be ({axes}), with {meaning}")
    if not np.isfinite(numbers).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(numbers))[0]]
        raise ProcessError(f"custom: {key}{where} is {numbers[tuple(where)]}; every entry must be a finite number")
    return numbers, is_exact


def _mapped(function: Callable, values):
    values = values.tolist() if isinstance(values, ndarray) else values
    return [_mapped(function, value) for value in values] if isinstance(values, list | tuple) else function(values)


def _number(value) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} is no number")
    numerator, is_fraction, denominator = str(value).partition("/")
    return float(numerator) / float(denominator) if is_fraction else float(value)


def _is_exact(value) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and "/" in value)


def half_units(numbers: Float[ndarray, " entry"], is_exact: Bool[ndarray, " entry"]) -> Float[ndarray, " entry"]:
    """The largest rounding error of each number: half a unit of its last digit if it was printed, else 0.

    All are assumed to be printed with the same number of decimals, or of digits: the largest of any entry, since
    trailing zeros are not visible. The assumption with the larger total error is used.
    """
    found = np.zeros(len(numbers))
    texts = [Decimal(repr(value)).normalize().as_tuple() for value in numbers.tolist()]
    is_printed = ~is_exact & [text.exponent < 0 and len(text.digits) < COMPUTED for text in texts]
    if is_printed.any():
        printed = [text for text, one in zip(texts, is_printed, strict=True) if one]
        n_decimals = max(FEWEST_DIGITS, *(-text.exponent for text in printed))
        n_digits = max(FEWEST_DIGITS, *(len(text.digits) for text in printed))
        leading = np.array([len(text.digits) + text.exponent for text in printed])
        by_decimals, by_digits = np.full(len(printed), 10.0**-n_decimals), 10.0 ** (leading - n_digits)
        found[is_printed] = max(by_decimals, by_digits, key=np.sum) / 2
    return found
