"""A stochastic process over tokens, as a (generalized) hidden Markov model.

One convention holds everywhere: ``transition_tensor[token, from_state, to_state]`` is the
probability of emitting ``token`` *and* going to ``to_state``, given ``from_state``. A belief state
is a row vector over hidden states, so observing ``token`` maps it to
``belief @ transition_tensor[token]``, divided by its probability ``belief @ transition_tensor[token] @ readout``.

A generalized hidden Markov model may have negative entries. Its ``readout`` is the right
eigenvector of the summed tensor with eigenvalue 1 instead of a vector of ones, and its states are
normalised to ``belief @ readout == 1`` (Riechers et al. 2025, arXiv 2507.07432).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.composition import Composition
from geometry.processes.stationary_distribution import closed_classes, long_run_law

TOLERANCE = 1e-9
"""The largest deviation of a sum of probabilities or an eigenvalue from 1, and of an entry below 0."""

LEAST_RESOLVED = np.finfo(float).eps / TOLERANCE
"""The singular value or cosine below which a vector divided by it is not accurate to the tolerance."""


MOST_STATES = MOST_TOKENS = 128
"""The largest numbers of states and of tokens of a process whose numbers of them are free."""


class ProcessError(ValueError):
    """A process that cannot be built; the message is one sentence."""


class ParameterError(ProcessError):
    """A parameter that gives no process; the message begins with its path, such as ``components[1].process``."""


def check_size(name: str, n_states: int, n_tokens: int) -> None:
    """Raise `ProcessError` for more states or tokens than a transition tensor is built for."""
    for what, n, most in (("states", n_states, MOST_STATES), ("tokens", n_tokens, MOST_TOKENS)):
        if n > most:
            raise ProcessError(f"{name}: it has {n} {what}; at most {most} are allowed")


@dataclass(frozen=True, eq=False)
class Process:
    """A validated process; build one with `build_process` or a function of `processes`."""

    name: str
    transition_tensor: Float[ndarray, "token state state"]
    initial_state: Float[ndarray, " state"]
    stationary_distribution: Float[ndarray, " state"]
    readout: Float[ndarray, " state"]
    state_names: tuple[str, ...]
    token_names: tuple[str, ...]
    generalized: bool
    notes: tuple[str, ...] = ()
    """Corrections of the given numbers, such as normalisation, a sentence each."""
    composition: Composition | None = None
    """The processes that this one is made of; None if it is made of none."""

    @property
    def n_tokens(self) -> int:
        return self.transition_tensor.shape[0]

    @property
    def n_states(self) -> int:
        return self.transition_tensor.shape[1]

    @property
    def emission_matrix(self) -> Float[ndarray, "state token"]:
        """The next-token distribution from each state: ``belief @ emission_matrix``."""
        return (self.transition_tensor @ self.readout).T

    @property
    def token_dtype(self) -> np.dtype:
        """The smallest unsigned integer that holds every token."""
        return np.min_scalar_type(self.n_tokens - 1)

    def next_token_probability(self, belief: Float[ndarray, "prefix state"]) -> Float[ndarray, "prefix token"]:
        """The optimal prediction from each belief; negative rounding errors are set to 0."""
        return np.maximum(belief @ self.emission_matrix, 0)


def build_process(
    name: str,
    transition_tensor,
    *,
    initial_state=None,
    state_names=None,
    token_names=None,
    generalized: bool = False,
    fixed: tuple[Float[ndarray, " state"], Float[ndarray, " state"]] | None = None,
    composition: Composition | None = None,
) -> Process:
    """The process of a transition tensor of shape (token, state, state), validated.

    Beliefs start at `initial_state`, by default the stationary distribution. `fixed` is the stationary state and the
    readout of a generalized process for which eigenvalue 1 of the summed tensor is not simple, so that it does not
    determine them. Raises `ProcessError` for a tensor that defines no process.
    """
    tensor = _checked_tensor(name, transition_tensor)
    n_tokens, n_states, _ = tensor.shape
    state_names = checked_names(name, "state_names", state_names, n_states)
    token_names = checked_names(name, "token_names", token_names, n_tokens)
    if not generalized:
        tensor[(tensor < 0) & (tensor >= -TOLERANCE)] = 0  # such as 1 - 0.9 - 0.1
        _check_probabilities(name, tensor, state_names)
    chain = tensor.sum(axis=0)
    if fixed:
        _check_fixed(name, chain, *fixed)
    readout = fixed[1] if fixed else _readout(name, chain, generalized)
    initial = None if initial_state is None else _checked_initial_state(name, initial_state, readout, generalized)
    stationary = fixed[0] if fixed else _stationary_distribution(name, chain, readout, generalized, initial)
    return Process(
        name=name,
        transition_tensor=tensor,
        initial_state=stationary if initial is None else initial,
        stationary_distribution=stationary,
        readout=readout,
        state_names=state_names,
        token_names=token_names,
        generalized=generalized,
        composition=composition,
    )


def checked_names(name: str, key: str, names, n: int) -> tuple[str, ...]:
    """The names of states or tokens as text, by default their numbers; raises `ProcessError`."""
    names = tuple(str(i) for i in (range(n) if names is None else names))
    if len(names) != n or len(set(names)) != n:
        raise ProcessError(f"{name}: {key} is {list(names)}; expected {n} different names")
    return names


def _checked_tensor(name, values) -> Float[ndarray, "token state state"]:
    try:
        tensor = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProcessError(
            f"{name}: transition_tensor must be nested lists of numbers with shape (token, state, state)"
        ) from None
    if tensor.ndim != 3 or tensor.shape[1] != tensor.shape[2] or 0 in tensor.shape:
        raise ProcessError(
            f"{name}: transition_tensor has shape {tensor.shape}; it must be (token, state, state), "
            "with one row and one column per state"
        )
    if not np.isfinite(tensor).all():
        where = [int(i) for i in np.argwhere(~np.isfinite(tensor))[0]]
        raise ProcessError(
            f"{name}: transition_tensor{where} is {tensor[tuple(where)]}; every entry must be a finite number"
        )
    return tensor


def _check_probabilities(name, tensor, state_names) -> None:
    if tensor.min() < 0:
        where = [int(i) for i in np.argwhere(tensor < 0)[0]]
        raise ProcessError(
            f"{name}: transition_tensor{where} is {tensor[tuple(where)]:.6g}; entries are probabilities, at least 0"
        )
    row_sums = tensor.sum(axis=(0, 2))
    worst = int(np.abs(row_sums - 1).argmax())
    if abs(row_sums[worst] - 1) > TOLERANCE:
        raise ProcessError(
            f"{name}: the probabilities of leaving state {state_names[worst]} sum to {row_sums[worst]:.9g} "
            "over tokens and next states; they must sum to 1"
        )


def _readout(name, chain, generalized) -> Float[ndarray, " state"]:
    """The right eigenvector of the summed tensor with eigenvalue 1, largest entry 1; ones unless generalized."""
    if not generalized:
        return np.ones(len(chain))
    eigenvalues = np.linalg.eigvals(chain)
    n_fixed = (np.abs(eigenvalues - 1) < TOLERANCE**0.75).sum()
    if n_fixed == 0 or np.abs(eigenvalues).max() > 1 + TOLERANCE**0.75:
        leading = eigenvalues[np.abs(eigenvalues).argmax()]
        raise ProcessError(f"{name}: the summed transition tensor has leading eigenvalue {leading:.9g}; it must be 1")
    if n_fixed > 1:
        raise ProcessError(f"{name}: the summed transition tensor has eigenvalue 1 more than once; it must be simple")
    readout = _fixed_vector(name, chain)
    return readout / readout[np.abs(readout).argmax()]


def _check_fixed(name, chain, stationary: Float[ndarray, " state"], readout: Float[ndarray, " state"]) -> None:
    moved = max(np.abs(chain @ readout - readout).max(), np.abs(stationary @ chain - stationary).max())
    size = max(1, np.abs(readout).max(), np.abs(stationary).max())
    if not moved <= TOLERANCE * size or not abs(stationary @ readout - 1) <= TOLERANCE:
        raise ProcessError(
            f"{name}: the summed transition tensor changes the given stationary state or readout by {moved:.3g}, and "
            f"their product is {stationary @ readout:.9g}; it must leave them as they are, with a product of 1"
        )


def _fixed_vector(name, chain: Float[ndarray, "state state"]) -> Float[ndarray, " state"]:
    """The vector v with ``chain @ v == v``, from the balanced matrix; raises `ProcessError` if it is not accurate."""
    from scipy.linalg import matrix_balance  # of generalized processes alone; every job would wait for it

    balanced, (scale, _) = matrix_balance(chain, permute=False, separate=True)
    _, values, directions = np.linalg.svd(balanced - np.eye(len(chain)))
    size = np.linalg.norm(balanced, 2)
    if values[-1] > TOLERANCE**0.75 * size or (len(values) > 1 and values[-2] < LEAST_RESOLVED * size):
        raise ProcessError(
            f"{name}: the eigenvector of the summed transition tensor with eigenvalue 1 cannot be distinguished "
            "from rounding"
        )
    return scale * directions[-1]


def _stationary_distribution(name, chain, readout, generalized, initial) -> Float[ndarray, " state"]:
    """The stationary law; of a reducible chain, the long-run average from the initial state."""
    if generalized:
        stationary = _fixed_vector(name, chain.T)
        total = stationary @ readout
        if abs(total) <= LEAST_RESOLVED * (np.abs(stationary) @ np.abs(readout)):
            raise ProcessError(
                f"{name}: the stationary state and the read-out vector are orthogonal up to rounding; "
                "eigenvalue 1 of the summed transition tensor must be simple"
            )
        eigenvalue = stationary @ chain @ readout / total
        if abs(eigenvalue - 1) > TOLERANCE:
            raise ProcessError(f"{name}: the summed transition tensor has eigenvalue {eigenvalue:.12g}; it must be 1")
        return stationary / total
    classes = closed_classes(chain)
    if initial is None and len(classes) > 1:
        raise ProcessError(
            f"{name}: the chain is reducible, with {len(classes)} stationary distributions; give an initial_state"
        )
    start = np.full(len(chain), 1 / len(chain)) if initial is None else initial
    with np.errstate(all="ignore"):  # an underflow gives no distribution, which is checked below
        stationary = long_run_law(chain, start, classes)
    check_distributions(f"{name}: the stationary distribution", stationary)
    return stationary


def check_distributions(what: str, rows: Float[ndarray, "*row outcome"]) -> None:
    """Raise `ProcessError` unless rows are probability distributions: entries of at least 0 that sum to 1."""
    total, least = np.atleast_1d(rows.sum(axis=-1)), rows.min()
    worst = total[np.abs(total - 1).argmax()]  # nan, if there is one
    if not (abs(worst - 1) <= TOLERANCE and least >= -TOLERANCE):
        raise ProcessError(
            f"{what} is no probability distribution: its entries sum to {worst:.9g} and the least is {least:.3g}"
        )


def _checked_initial_state(name, values, readout, generalized) -> Float[ndarray, " state"]:
    try:
        initial = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProcessError(f"{name}: initial_state is {values!r}; it must be a list of numbers") from None
    if initial.shape != readout.shape:
        raise ProcessError(
            f"{name}: initial_state has shape {initial.shape}; expected one entry per state, {readout.shape}"
        )
    total = initial @ readout
    if generalized and total > TOLERANCE:
        return initial / total
    if not abs(total - 1) < TOLERANCE or initial.min() < 0:
        raise ProcessError(
            f"{name}: initial_state is {initial.tolist()} with total {total:.6g}; "
            "it must be a probability distribution over the states"
        )
    return initial
