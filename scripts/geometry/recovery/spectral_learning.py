"""A process read out of a network: its dimensions, coordinates and operators, from activations and outputs alone.

Nothing here knows the hidden states. What a network says of the future after a prefix is linear in an
unnormalised belief, and so is the belief's update: if ``z(w)`` are coordinates of the belief after the
prefix w, then ``P(y | w) z(wy) = z(w) A[y]`` with one operator for each token y (Jaeger 2000, Neural
Computation 12; Hsu, Kakade and Zhang 2012, arXiv 0811.4413). The coordinates are those that tell the
continuation probabilities: a reduced-rank regression of the continuation probabilities on the activations.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from geometry.probing.cross_validation import by_prefix, split_by
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import STRENGTHS, decode, regress, residual, squared_error
from geometry.processes.belief_states import images_after
from geometry.processes.prefix_tree import PrefixTree
from geometry.processes.process import Process
from geometry.recovery.next_token_model import NextTokenModel

FAINTEST = 0.01
"""The share of the largest singular value below which no dimension is looked for."""

SMALLEST = 1e-9
"""A singular value that is rounding: it was a square root."""

MOST_DIMENSIONS = 12
"""Dimensions beyond which none is looked for."""

MOST_CONTINUATIONS = 256
"""Words of a future that are told apart at most."""

N_FOLDS = 20
"""Parts of the prefixes, each of which is read by a regression that was fitted on the others."""

LEAST_PROBABILITY = 1e-9
"""What a recovered process may say that is a probability; anything below is taken for this."""


@dataclass(frozen=True)
class Spectrum:
    """The singular values of weighted continuation probabilities in units of the first, and their directions.

    What is told along a direction is its energy less that of the error. Where this is negative, nothing is told, and
    the most negative shows what comes by chance: no singular value is given as less than its root.
    """

    singular_values: Float[ndarray, " dimension"]
    directions: Float[ndarray, "column dimension"]

    @cached_property
    def gaps(self) -> Float[ndarray, " place"]:
        """By what factor each singular value exceeds the next, of those that are not too faint to be looked for."""
        values = self.singular_values[: MOST_DIMENSIONS + 1]
        return np.where(values[:-1] > FAINTEST, values[:-1] / np.maximum(values[1:], SMALLEST), 0)

    @property
    def rank(self) -> int:
        """The number of dimensions: that of the singular values before the largest gap.

        A single future has one: it is certain.
        """
        return int(self.gaps.argmax()) + 1 if len(self.gaps) else 1

    @property
    def gap(self) -> float:
        """The largest gap; nan of a single future."""
        return float(self.gaps.max()) if len(self.gaps) else float("nan")


def spectrum(
    continuation_probabilities: Float[ndarray, "prefix column"],
    read: Float[ndarray, "prefix column"],
    weight: Float[ndarray, " prefix"],
) -> Spectrum:
    """What some continuation probabilities have in common with what was read of them; all, where they are the same."""
    left = continuation_probabilities - read
    told = (weight * continuation_probabilities.T) @ continuation_probabilities - (weight * left.T) @ left
    energy, directions = np.linalg.eigh((told + told.T) / 2)
    values = np.sqrt(np.maximum(energy[::-1], -energy.min()))
    return Spectrum(values / values[0], directions[:, ::-1])


def tokens_ahead(language: NextTokenModel) -> int:
    """How many tokens of the future to tell apart: the fewest, from two, to which one more adds no dimension.

    Never so many that fewer than half of a word's positions can be followed so far.
    """
    n_tokens, context = language.next_token_probability.shape[1], len(language.tree.levels)
    possible = [k for k in range(2, context // 2 + 1) if n_tokens**k <= MOST_CONTINUATIONS]
    if not possible:
        return 1
    ranks = []
    for k in possible:
        continuation_probabilities = language.continuation_probabilities(k)
        ranks.append(
            spectrum(
                continuation_probabilities,
                continuation_probabilities,
                language.prefix_probability[: len(continuation_probabilities)],
            ).rank
        )
        if len(ranks) > 1 and ranks[-1] == ranks[-2]:
            return k - 1
    return possible[-1]


@dataclass(frozen=True)
class RecoveredProcess:
    """What came out of one site: its spectrum, and the process, a generalized hidden Markov model; None where
    the operators have no eigenvalue that could be 1.
    """

    spectrum: Spectrum
    process: Process | None


class Recovery:
    """The recovery of a process from what one network says, by any features of the prefixes."""

    def __init__(self, language: NextTokenModel, rng: np.random.Generator):
        self.language = language
        self.n_ahead = tokens_ahead(language)
        continuation_probabilities = language.continuation_probabilities(self.n_ahead)
        self.n_read = len(continuation_probabilities)
        self.weight = language.prefix_probability[: self.n_read]
        directions = spectrum(continuation_probabilities, continuation_probabilities, self.weight).directions[
            :, : MOST_DIMENSIONS + 1
        ]
        self.continuation_probabilities = (
            continuation_probabilities @ directions
        )  # what is lost is too faint to be looked for
        self.split = split_by("held_out_prefix", by_prefix(self.n_read, min(N_FOLDS, self.n_read), 1, rng))

    def from_outputs(self, rank: int | None = None) -> RecoveredProcess:
        """Spectral learning on the network's continuation probabilities; of the rank found, or given."""
        return self._recovered(self.continuation_probabilities, rank)

    def from_features(self, features: Float[ndarray, "prefix feature"]) -> RecoveredProcess:
        """From the continuation probabilities regressed on features, each prefix by a fit without it.

        One penalty for all of them, the one with the least error on what they were not fitted on.
        """
        features = features[: self.n_read]
        (moments,) = cell_gram_matrices(features, self.continuation_probabilities, self.weight[None], self.split.cell)
        folds = [(regress(train), test) for train, test in moments.splits(self.split.fold_of_cell[0])]

        def error(strength: float) -> float:
            left = (residual(fitted.affine_map(strength), moments.shift) for fitted, _ in folds)
            return sum(squared_error(one, test).sum() for one, (_, test) in zip(left, folds, strict=True))

        strength = min((0.0, *STRENGTHS), key=error)
        return self._recovered(decode(features, [one.affine_map(strength) for one, _ in folds], self.split.fold)[0])

    def _recovered(self, read: Float[ndarray, "prefix column"], rank: int | None = None) -> RecoveredProcess:
        found = spectrum(self.continuation_probabilities, read, self.weight)
        return RecoveredProcess(
            found, generator(self.language, read @ found.directions[:, : rank or found.rank], self.weight)
        )


def generator(
    language: NextTokenModel, coordinates: Float[ndarray, "prefix dimension"], weight: Float[ndarray, " prefix"]
) -> Process | None:
    """The process whose unnormalised beliefs are some coordinates, by least squares; None if there is none.

    The coordinates are of all prefixes up to some length, and the last length is only arrived at.
    """
    tree, n = language.tree, len(coordinates)
    n_from = np.searchsorted(tree.length[:n], tree.length[n - 1])
    scaled = np.sqrt(weight[:n_from, None]) * coordinates[:n_from]
    inverse = np.linalg.pinv(scaled, rcond=max(scaled.shape) * np.finfo(float).eps) * np.sqrt(weight[:n_from])
    arrived = np.flatnonzero(tree.parent[:n] >= 0)
    parent, token = tree.parent[arrived], tree.last_token[arrived]
    told = inverse[:, parent] * language.next_token_probability[parent, token]
    operators = np.zeros((language.next_token_probability.shape[1], *coordinates.shape[1:] * 2))
    order = np.argsort(token, kind="stable")
    tokens, first = np.unique(token[order], return_index=True)
    for symbol, rows in zip(tokens, np.split(order, first[1:]), strict=False):
        operators[symbol] = told[:, rows] @ coordinates[arrived[rows]]
    eigenvalue, readout = _leading(operators.sum(axis=0))
    _, stationary = _leading(operators.sum(axis=0).T)
    if not eigenvalue > 0 or abs(stationary @ readout) < np.finfo(float).eps:
        return None
    readout = readout / np.average(coordinates @ readout, weights=weight)
    stationary = stationary / (stationary @ readout)
    return recovered_process(operators / eigenvalue, stationary, readout)


def _leading(matrix: Float[ndarray, "dimension dimension"]) -> tuple[float, Float[ndarray, " dimension"]]:
    """The eigenvalue with the largest real part and its right eigenvector; nan where they are not real."""
    values, vectors = np.linalg.eig(matrix)
    place = values.real.argmax()
    value = values[place]
    return (float(value.real) if abs(value.imag) < np.finfo(float).eps else float("nan")), vectors[:, place].real


def recovered_process(
    operators: Float[ndarray, "token dimension dimension"],
    stationary: Float[ndarray, " dimension"],
    readout: Float[ndarray, " dimension"],
) -> Process:
    """A process as it was recovered, which may say probabilities below 0."""
    return Process(
        name="recovered",
        transition_tensor=operators,
        initial_state=stationary,
        stationary_distribution=stationary,
        readout=readout,
        state_names=tuple(f"dimension {k}" for k in range(1, len(readout) + 1)),
        token_names=tuple(map(str, range(len(operators)))),
        generalized=True,
    )


@dataclass(frozen=True)
class FilteredBeliefs:
    """What a recovered process says along a tree: beliefs, predictions, and where it said no probability."""

    process: Process
    belief: Float[ndarray, "prefix dimension"]

    def of_rows(self, rows: slice) -> "FilteredBeliefs":
        """The same of some of the prefixes: predictions of many tokens are looked at a few prefixes at a time."""
        return FilteredBeliefs(self.process, self.belief[rows])

    @cached_property
    def _said(self) -> Float[ndarray, "prefix token"]:
        return self.belief @ self.process.emission_matrix

    @property
    def next_token_probability(self) -> Float[ndarray, "prefix token"]:
        valid = np.maximum(self._said, LEAST_PROBABILITY)
        return valid / valid.sum(axis=1, keepdims=True)

    @property
    def is_invalid(self) -> Bool[ndarray, " prefix"]:
        return (self._said < -LEAST_PROBABILITY).any(axis=1)


def filter_beliefs(process: Process, tree: PrefixTree) -> FilteredBeliefs:
    """The nearest valid model: what is below `LEAST_PROBABILITY` is set to it, and the rest shares what is left.

    After a token that was held impossible, the belief is the stationary one again.
    """
    belief = np.empty((len(tree), process.n_states))
    for level in tree.levels:
        token, parent = tree.last_token[level], tree.parent[level]
        source = np.tile(process.initial_state, (len(token), 1)) if level.start == 0 else belief[parent]
        image = images_after(process, source, token)
        conditional = image @ process.readout
        held_possible = conditional > LEAST_PROBABILITY
        image[held_possible] /= conditional[held_possible, None]
        image[~held_possible] = process.initial_state
        belief[level] = image
    return FilteredBeliefs(process, belief)
