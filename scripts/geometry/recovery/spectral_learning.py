"""Spectral learning of a process from a network: dimensions, coordinates and operators, by activations and outputs.

No hidden state is used. The probabilities of continuations after a prefix are linear in an unnormalised
belief, and so is the belief's update: if ``z(w)`` are coordinates of the belief after the prefix w, then
``P(y | w) z(wy) = z(w) A[y]`` with one operator for each token y (Jaeger 2000, Neural Computation 12;
Hsu, Kakade and Zhang 2012, arXiv 0811.4413). The coordinates are those of a reduced-rank regression of the
continuation probabilities on the activations.
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
"""The share of the largest singular value below which a singular value counts as no dimension."""

SMALLEST = 1e-9
"""A singular value that is rounding: it was a square root."""

MOST_DIMENSIONS = 12
"""Recovered dimensions, at most."""

MOST_CONTINUATIONS = 256
"""Distinct continuations, at most."""

N_FOLDS = 20
"""Folds of the prefixes, each decoded by a regression that was fitted on the others."""

LEAST_PROBABILITY = 1e-9
"""The least probability of a recovered process's predictions; anything below is set to it."""


@dataclass(frozen=True)
class Spectrum:
    """The singular values of weighted continuation probabilities in units of the first, and their directions.

    They are noise-corrected: the square of a singular value is the second moment along its direction less that of the
    regression's residuals. The most negative difference is what comes by chance, and its root a lower bound to all.
    """

    singular_values: Float[ndarray, " dimension"]
    directions: Float[ndarray, "column dimension"]

    @cached_property
    def gaps(self) -> Float[ndarray, " place"]:
        """The ratio of each singular value to the next; 0 where it is too small to count as a dimension."""
        values = self.singular_values[: MOST_DIMENSIONS + 1]
        return np.where(values[:-1] > FAINTEST, values[:-1] / np.maximum(values[1:], SMALLEST), 0)

    @property
    def rank(self) -> int:
        """The number of dimensions: that of the singular values before the largest gap; 1 of a single continuation."""
        return int(self.gaps.argmax()) + 1 if len(self.gaps) else 1

    @property
    def gap(self) -> float:
        """The largest gap; nan of a single continuation."""
        return float(self.gaps.max()) if len(self.gaps) else float("nan")


def spectrum(
    continuation_probabilities: Float[ndarray, "prefix column"],
    decoded: Float[ndarray, "prefix column"],
    weight: Float[ndarray, " prefix"],
) -> Spectrum:
    """The spectrum of the second moments of continuation probabilities that their decoded values explain."""
    left = continuation_probabilities - decoded
    explained = (weight * continuation_probabilities.T) @ continuation_probabilities - (weight * left.T) @ left
    energy, directions = np.linalg.eigh((explained + explained.T) / 2)
    values = np.sqrt(np.maximum(energy[::-1], -energy.min()))
    return Spectrum(values / values[0], directions[:, ::-1])


def tokens_ahead(model: NextTokenModel) -> int:
    """The length of the continuations: the least, from two tokens, to which one more token adds no dimension.

    At most half of the tree's depth, so that half of the positions have such continuations.
    """
    n_tokens, context = model.next_token_probability.shape[1], len(model.tree.levels)
    possible = [k for k in range(2, context // 2 + 1) if n_tokens**k <= MOST_CONTINUATIONS]
    if not possible:
        return 1
    ranks = []
    for k in possible:
        continuation_probabilities = model.continuation_probabilities(k)
        ranks.append(
            spectrum(
                continuation_probabilities,
                continuation_probabilities,
                model.prefix_probability[: len(continuation_probabilities)],
            ).rank
        )
        if len(ranks) > 1 and ranks[-1] == ranks[-2]:
            return k - 1
    return possible[-1]


@dataclass(frozen=True)
class RecoveredProcess:
    """The spectrum of one site, and its process, a generalized hidden Markov model.

    The process is None where the sum of the operators has no positive leading eigenvalue, which would be 1.
    """

    spectrum: Spectrum
    process: Process | None


class Recovery:
    """The recovery of a process from the predictions of one model, by any features of the prefixes."""

    def __init__(self, model: NextTokenModel, rng: np.random.Generator):
        self.model = model
        self.n_ahead = tokens_ahead(model)
        continuation_probabilities = model.continuation_probabilities(self.n_ahead)
        self.n_read = len(continuation_probabilities)
        self.weight = model.prefix_probability[: self.n_read]
        directions = spectrum(continuation_probabilities, continuation_probabilities, self.weight).directions[
            :, : MOST_DIMENSIONS + 1
        ]
        self.continuation_probabilities = (
            continuation_probabilities @ directions
        )  # the rest is too small to count as a dimension
        self.split = split_by("held_out_prefix", by_prefix(self.n_read, min(N_FOLDS, self.n_read), 1, rng))

    def from_outputs(self, rank: int | None = None) -> RecoveredProcess:
        """Spectral learning on the model's continuation probabilities, of the rank found or given."""
        return self._recovered(self.continuation_probabilities, rank)

    def from_features(self, features: Float[ndarray, "prefix feature"]) -> RecoveredProcess:
        """Spectral learning on the continuation probabilities decoded from features, each prefix by a fit without it.

        The penalty is the same in all folds, that with the least held-out error.
        """
        features = features[: self.n_read]
        (moments,) = cell_gram_matrices(features, self.continuation_probabilities, self.weight[None], self.split.cell)
        folds = [(regress(train), test) for train, test in moments.splits(self.split.fold_of_cell[0])]

        def error(strength: float) -> float:
            left = (residual(fitted.affine_map(strength), moments.shift) for fitted, _ in folds)
            return sum(squared_error(one, test).sum() for one, (_, test) in zip(left, folds, strict=True))

        strength = min((0.0, *STRENGTHS), key=error)
        return self._recovered(decode(features, [one.affine_map(strength) for one, _ in folds], self.split.fold)[0])

    def _recovered(self, decoded: Float[ndarray, "prefix column"], rank: int | None = None) -> RecoveredProcess:
        found = spectrum(self.continuation_probabilities, decoded, self.weight)
        return RecoveredProcess(
            found, generator(self.model, decoded @ found.directions[:, : rank or found.rank], self.weight)
        )


def generator(
    model: NextTokenModel, coordinates: Float[ndarray, "prefix dimension"], weight: Float[ndarray, " prefix"]
) -> Process | None:
    """The process whose unnormalised beliefs are some coordinates, by least squares; None if there is none.

    The coordinates are of all prefixes up to some length; of the last length, they are only regressed on.
    """
    tree, n = model.tree, len(coordinates)
    n_from = np.searchsorted(tree.length[:n], tree.length[n - 1])
    scaled = np.sqrt(weight[:n_from, None]) * coordinates[:n_from]
    inverse = np.linalg.pinv(scaled, rcond=max(scaled.shape) * np.finfo(float).eps) * np.sqrt(weight[:n_from])
    arrived = np.flatnonzero(tree.parent[:n] >= 0)
    parent, token = tree.parent[arrived], tree.last_token[arrived]
    scaled_inverse = inverse[:, parent] * model.next_token_probability[parent, token]
    operators = np.zeros((model.next_token_probability.shape[1], *coordinates.shape[1:] * 2))
    order = np.argsort(token, kind="stable")
    tokens, first = np.unique(token[order], return_index=True)
    for symbol, rows in zip(tokens, np.split(order, first[1:]), strict=False):
        operators[symbol] = scaled_inverse[:, rows] @ coordinates[arrived[rows]]
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
    """A process as it was recovered, whose probabilities may be below 0."""
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
    """The beliefs and predictions of a recovered process along a tree, and where these are no probabilities."""

    process: Process
    belief: Float[ndarray, "prefix dimension"]

    def of_rows(self, rows: slice) -> "FilteredBeliefs":
        """The beliefs and predictions of some of the prefixes."""
        return FilteredBeliefs(self.process, self.belief[rows])

    @cached_property
    def _raw_prediction(self) -> Float[ndarray, "prefix token"]:
        return self.belief @ self.process.emission_matrix

    @property
    def next_token_probability(self) -> Float[ndarray, "prefix token"]:
        valid = np.maximum(self._raw_prediction, LEAST_PROBABILITY)
        return valid / valid.sum(axis=1, keepdims=True)

    @property
    def is_invalid(self) -> Bool[ndarray, " prefix"]:
        return (self._raw_prediction < -LEAST_PROBABILITY).any(axis=1)


def filter_beliefs(process: Process, tree: PrefixTree) -> FilteredBeliefs:
    """The beliefs of a recovered process along a tree, by Bayesian filtering with its operators.

    After a token with a probability below `LEAST_PROBABILITY`, the belief is reset to the stationary one.
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
