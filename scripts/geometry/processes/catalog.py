"""The processes of the literature, each a pure function of its parameters, and the registry that configs name them by.

Conventions are those of `process`; token and state names are given where the literature has them.
"""

import inspect
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.composed import chain, mixture, noisy, product
from geometry.processes.custom_matrices import custom
from geometry.processes.nested_config import with_parts
from geometry.processes.process import Process, ProcessError, build_process, check_size

LARGEST = 1e100
"""The largest absolute value of a parameter."""


def mess3(x: float, alpha: float) -> Process:
    """Three states, three tokens, a fractal belief set (Marzen and Crutchfield 2017; Shai et al. 2024).

    `x` is the probability of moving to each other state, `alpha` that of emitting the token of the entered state.
    """
    return build_process("mess3", _mess_tensor(3, x, alpha))


def mess3_duplicated(x: float, alpha: float) -> Process:
    """`mess3` with its first state twice: the same tokens and futures, so that the copies are unobservable.

    State 1 leads to the first copy, state 2 to the second; token 0 changes the copy.
    """
    single = _mess_tensor(3, x, alpha)
    tensor = np.zeros((3, 4, 4))
    for token, swap in enumerate(([[0, 1], [1, 0]], np.eye(2), np.eye(2))):
        tensor[token, :2, :2] = single[token, 0, 0] * np.array(swap)
        tensor[token, :2, 2:] = single[token, 0, 1:]
        tensor[token, 2:, :2] = np.diag(single[token, 1:, 0])
        tensor[token, 2:, 2:] = single[token, 1:, 1:]
    return build_process("mess3_duplicated", tensor, state_names=["0a", "0b", "1", "2"])


def mess(n: int | float, x: float, alpha: float) -> Process:
    """`mess3` with `n` states and tokens in place of three; of `mess(3, x, alpha)` all is that of `mess3`."""
    n = _whole("mess", "n", n, 2)
    check_size("mess", n, n)
    return build_process("mess", _mess_tensor(n, x, alpha))


def _mess_tensor(n, x, alpha) -> Float[ndarray, "n n n"]:
    stays = np.eye(n, dtype=bool)
    move, emit = np.where(stays, 1 - (n - 1) * x, x), np.where(stays, alpha, (1 - alpha) / (n - 1))
    return move * emit.T[:, None, :]


def _whole(name: str, key: str, value: int | float, least: int) -> int:
    if value != int(value) or value < least:
        raise ProcessError(f"{name}: parameter {key} is {value:g}; it must be a whole number of at least {least}")
    return int(value)


def rrxor(p1: float = 0.5, p2: float = 0.5) -> Process:
    """Two random bits, then their exclusive or; `p1` and `p2` are the probabilities that a bit is 0."""
    return build_process("rrxor", _rrxor_tensor(p1, p2), state_names=["S", "0", "1", "T", "F"])


def leaky_rrxor(p1: float = 0.5, p2: float = 0.5, epsilon: float = 0.01) -> Process:
    """`rrxor` that with probability `epsilon` emits any token and jumps to any state."""
    tensor = (1 - epsilon) * _rrxor_tensor(p1, p2) + epsilon / 10
    return build_process("leaky_rrxor", tensor, state_names=["S", "0", "1", "T", "F"])


def _rrxor_tensor(p1, p2) -> Float[ndarray, "2 5 5"]:
    start, zero, one, true, false = range(5)
    tensor = np.zeros((2, 5, 5))
    tensor[0, start, zero] = p1
    tensor[1, start, one] = 1 - p1
    tensor[0, zero, false] = p2
    tensor[1, zero, true] = 1 - p2
    tensor[0, one, true] = p2
    tensor[1, one, false] = 1 - p2
    tensor[0, false, start] = 1
    tensor[1, true, start] = 1
    return tensor


def checksum(n: int | float = 2, m: int | float = 2) -> Process:
    """`n` random digits 0 to `m` - 1, each equally likely, then their sum modulo `m`, again and again.

    A state is the number of digits so far with their sum; of two bits, this is `rrxor`.
    """
    n, m = _whole("checksum", "n", n, 1), _whole("checksum", "m", m, 2)
    check_size("checksum", 1 + n * m, m)
    tensor = np.zeros((m, 1 + n * m, 1 + n * m))
    for digit in range(m):
        tensor[digit, 0, 1 + digit] = 1 / m
        for place in range(n - 1):
            for total in range(m):
                tensor[digit, 1 + place * m + total, 1 + (place + 1) * m + (total + digit) % m] = 1 / m
        tensor[digit, 1 + (n - 1) * m + digit, 0] = 1
    names = ["S", *(f"{place}:{total}" for place in range(1, n + 1) for total in range(m))]
    return build_process("checksum", tensor, state_names=names)


def coin(q: float = 0.25) -> Process:
    """A fair coin, then random bits; after the first ``?``, of probability `q`, the coin again: it is spent.

    No later prediction needs a spent coin; the belief state still holds it, as its unobservable component.
    """
    start, *waiting, zero_due, one_due, zero_spent, one_spent = range(7)
    tensor = np.zeros((3, 7, 7))
    for side, due, spent in ((0, zero_due, zero_spent), (1, one_due, one_spent)):
        tensor[side, start, waiting[side]] = 1 / 2
        tensor[:, waiting[side], waiting[side]] = tensor[:, spent, spent] = (1 - q) / 2, (1 - q) / 2, 0
        tensor[2, waiting[side], due] = tensor[2, spent, spent] = q
        tensor[side, due, spent] = 1
    names = ["S", *(f"{side}{stage}" for stage in ("", " due", " spent") for side in (0, 1))]
    return build_process("coin", tensor, initial_state=np.eye(7)[start], state_names=names, token_names=["0", "1", "?"])


def z1r(p: float = 0.5) -> Process:
    """Zero, one, random bit, again and again; `p` is the probability that the random bit is 0."""
    tensor = np.zeros((2, 3, 3))
    tensor[0, 0, 1] = 1
    tensor[1, 1, 2] = 1
    tensor[:, 2, 0] = p, 1 - p
    return build_process("z1r", tensor, state_names=["0", "1", "R"])


def zrr(p1: float = 0.5, p2: float = 0.5) -> Process:
    """Zero and two random bits, again and again; `p1` and `p2` are the probabilities that a bit is 0."""
    tensor = np.zeros((2, 3, 3))
    tensor[0, 0, 1] = 1
    tensor[:, 1, 2] = p1, 1 - p1
    tensor[:, 2, 0] = p2, 1 - p2
    return build_process("zrr", tensor, state_names=["0", "R1", "R2"])


def even(p: float = 0.5) -> Process:
    """Runs of ones of even length; `p` is the probability of starting such a run."""
    return build_process("even", [[[1 - p, 0], [0, 0]], [[0, p], [1, 0]]])


def golden_mean(p: float = 0.5) -> Process:
    """No two ones in a row; `p` is the probability of a one where it is allowed."""
    return build_process("golden_mean", [[[1 - p, 0], [1, 0]], [[0, p], [0, 0]]])


def sns(p: float = 0.5, q: float = 0.5) -> Process:
    """Simple nonunifilar source: countably many belief states (Crutchfield 1994).

    `p` is the probability of leaving the first state, `q` that of leaving the second.
    """
    return build_process("sns", [[[1 - p, p], [0, 1 - q]], [[0, 0], [q, 0]]])


def mr_name(p: float = 0.4, q: float = 0.25) -> Process:
    """A language of four tokens; each token is the entered state, so the last token determines the belief.

    `p` is the probability of changing between the two filler tokens, `q` that of emitting ``Mr.``.
    """
    names = ["Mr.", "Something", "Blah", "name"]
    chain = np.array([[0, 0, 0, 1], [q, 1 - p - q, p, 0], [q, p, 1 - p - q, 0], [0, 0.5, 0.5, 0]])
    tensor = np.zeros((4, 4, 4))
    for token in range(4):
        tensor[token, :, token] = chain[:, token]
    return build_process("mr_name", tensor, state_names=names, token_names=names)


def days_of_week() -> Process:
    """Seven days as states; tokens name a day, tomorrow, yesterday, a weekend day or a weekday."""
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    weights = np.zeros((11, 7, 7))
    for day in range(7):
        following, previous = (day + 1) % 7, (day - 1) % 7
        weights[range(7), day, range(7)] = 1
        weights[following, day, following] = 5
        weights[7, day, following] = 1
        weights[8, day, previous] = 1
        weights[9, day, 5:] = 1 / 2
        weights[10, day, :5] = 1 / 5
    tensor = weights / weights.sum(axis=(0, 2))[:, None]
    return build_process("days_of_week", tensor, state_names=days, token_names=[*days, "Tmrw", "Yest", "Wknd", "Wkdy"])


def bloch_walk(alpha: float = 1.0, beta: float = 51**0.5) -> Process:
    """A qubit measured in two bases: beliefs fill a slice of the Bloch ball (Riechers et al. 2025)."""
    scale = 1 / (4 * (alpha**2 + beta**2))
    middle = (alpha**2 - beta**2) * scale
    off = 2 * alpha * beta * scale
    tensor = [
        [[0.25, 0, off], [0, middle, 0], [off, 0, 0.25]],
        [[0.25, 0, -off], [0, middle, 0], [-off, 0, 0.25]],
        [[0.25, off, 0], [off, 0.25, 0], [0, 0, middle]],
        [[0.25, -off, 0], [-off, 0.25, 0], [0, 0, middle]],
    ]
    return build_process("bloch_walk", tensor, generalized=True)


def moon(log_alpha: float = 1.0, beta: float = 0.5) -> Process:
    """A post-quantum process of three dimensions (Riechers et al. 2025)."""

    def shear(value):
        return [[value, 0, 0], [0, 1, 0], [0, np.log(value), 1]]

    tensor = np.array([np.outer([1, 1, 0], [1, -1, -1]), shear(np.exp(log_alpha)), shear(beta)])
    tensor = tensor / np.abs(np.linalg.eigvals(tensor.sum(axis=0))).max()
    return build_process("moon", tensor, generalized=True)


def fanizza(alpha: float = 2000.0, lamb: float = 0.49) -> Process:
    """A rotation with resets that no finite hidden Markov model generates (Fanizza et al. 2024).

    `alpha` is the angle of the rotation in radians, `lamb` its contraction.
    """
    c, s = lamb * np.cos(alpha), lamb * np.sin(alpha)
    determinant = 1 - 2 * c + lamb**2
    a, b = (1 - c + s) / determinant, (1 - c - s) / determinant
    reset = [1 - (2 / (1 - lamb) - a - b) / 4, 1 / (2 * (1 - lamb)), -a / 4, -b / 4]
    rotation = np.zeros((4, 4))
    rotation[1, 1] = lamb
    rotation[2:, 2:] = [[c, -s], [s, c]]
    return build_process("fanizza", [np.outer([1, 1 - lamb, 1 + s - c, 1 - s - c], reset), rotation], generalized=True)


PROCESSES = {
    function.__name__: function
    for function in (
        mess3,
        mess3_duplicated,
        mess,
        rrxor,
        leaky_rrxor,
        checksum,
        coin,
        z1r,
        zrr,
        even,
        golden_mean,
        sns,
        mr_name,
        days_of_week,
        bloch_walk,
        moon,
        fanizza,
        custom,
        mixture,
        product,
        chain,
        noisy,
    )
}
"""By the name that `task.process` has; a new process is a function above and an entry here."""

COMPOSED = ("mixture", "product", "chain", "noisy")
"""The processes made of processes."""


def check_parameters(name: str, function: Callable, parameters: dict) -> None:
    """Raise `ProcessError` if a parameter of a process is unknown or missing."""
    allowed = inspect.signature(function).parameters
    unknown = sorted(set(parameters) - set(allowed))
    if unknown:
        raise ProcessError(
            f"{name}: parameter {unknown[0]!r} is unknown; allowed are {', '.join(allowed) or 'none at all'}"
        )
    missing = [key for key, value in allowed.items() if value.default is value.empty and key not in parameters]
    if missing:
        raise ProcessError(f"{name}: parameter {missing[0]!r} is missing")


def process_from_config(name: str, parameters: dict) -> Process:
    """The process with a name and parameters of the config; raises `ProcessError` with one sentence."""
    if name not in PROCESSES:
        raise ProcessError(f"process is {name!r}; allowed are {', '.join(PROCESSES)}")
    check_parameters(name, PROCESSES[name], parameters)
    if name in COMPOSED:
        return PROCESSES[name](**with_parts(name, parameters, process_from_config, PROCESSES))
    if name != "custom":
        for key, value in parameters.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
                raise ProcessError(f"{name}: parameter {key} is {value!r}; it must be a finite number")
        parameters = {key: float(value) for key, value in parameters.items()}
    try:
        with np.errstate(all="ignore"):  # an impossible parameter is an error with a sentence, not a warning
            return PROCESSES[name](**parameters)
    except (np.linalg.LinAlgError, ZeroDivisionError):
        raise ProcessError(f"{name}: parameters {parameters} give no finite transition_tensor") from None
