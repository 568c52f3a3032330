"""Distances of a recovered process from the true one: of eigenvalues, which no coordinates change, and predictions."""

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Complex, Float, Integer
from numpy import ndarray

from geometry.processes.belief_states import belief_states, images_after
from geometry.processes.minimal_realization import minimal_process
from geometry.processes.prefix_tree import PrefixTree, row_blocks, tree_of_sequences
from geometry.processes.process import Process
from geometry.processes.sampling import draw_tokens, sample_process
from geometry.recovery.spectral_learning import (
    FilteredBeliefs,
    RecoveredProcess,
    Spectrum,
    filter_beliefs,
    recovered_process,
)

NEGLIGIBLE = 0.01
"""The modulus up to which an eigenvalue has no relative error; that of the sum of all operators is 1."""

N_SEQUENCES, SEQUENCE_LENGTH, N_SKIPPED = 500, 60, 20
"""Sequences on which the divergence rate is measured, their length, and the first tokens, which do not count."""


MOST_PAIRS = 1000
"""Pairs of tokens whose operators are multiplied: all of up to 31 tokens, of more tokens the most probable pairs."""


def eigenvalues(
    operators: Float[ndarray, "operator state state"], n_dimensions: int
) -> Complex[ndarray, "operator dimension"]:
    """The eigenvalues of each operator, the largest first, with zeros for the dimensions that it lacks."""
    found, values = np.zeros((len(operators), n_dimensions), complex), np.linalg.eigvals(operators)
    order = np.lexsort([values.imag, -np.abs(values).round(12)])
    found[:, : values.shape[1]] = np.take_along_axis(values, order, axis=1)
    return found


def probable_pairs(process: Process) -> tuple[Integer[ndarray, " pair"], Integer[ndarray, " pair"]]:
    """The most probable pairs of tokens in a row, first and second: all, if they are no more than `MOST_PAIRS`."""
    before = process.stationary_distribution @ process.transition_tensor
    probability = (before @ (process.transition_tensor @ process.readout).T).ravel()
    chosen = np.argsort(-probability.round(12), kind="stable")[:MOST_PAIRS]
    return np.divmod(np.sort(chosen), process.n_tokens)


def products(process: Process, pairs: tuple[ndarray, ndarray]) -> Float[ndarray, "pair state state"]:
    """The operators of some pairs of tokens in a row."""
    first, second = pairs
    return process.transition_tensor[first] @ process.transition_tensor[second]


def eigenvalue_error(
    recovered: Float[ndarray, "operator dimension dimension"], exact: Float[ndarray, "operator state state"]
) -> float:
    """The largest relative error of an eigenvalue of an operator, of those that are not negligible; or nan.

    Each is compared with the one that it is paired with where all differences together are least.
    """
    from scipy.optimize import linear_sum_assignment  # of the recovery's scores alone; others would wait for it

    n_dimensions, errors = max(recovered.shape[-1], exact.shape[-1]), []
    for found, true in zip(eigenvalues(recovered, n_dimensions), eigenvalues(exact, n_dimensions), strict=True):
        difference = np.abs(found[:, None] - true)
        rows, columns = linear_sum_assignment(difference.round(9))  # of conjugates, rounding must not choose
        size = np.abs(true[columns])
        counted = size > NEGLIGIBLE
        errors += (difference[rows, columns][counted] / size[counted]).tolist()
    return max(errors, default=float("nan"))


def alignment(
    recovered: Float[ndarray, "prefix dimension"],
    true: Float[ndarray, "prefix component"],
    weight: Float[ndarray, " prefix"],
) -> Float[ndarray, "dimension component"]:
    """The linear map that lays recovered beliefs, whose read-out is 1, on the true ones by least squares."""
    scale = np.sqrt(weight)[:, None]
    return np.linalg.lstsq(scale * recovered, scale * true, rcond=None)[0]


class RecoveryScorer:
    """Scores of recovered processes against the true one, on long sequences of it and along a tree of prefixes.

    Its operators (`exact`) are those of a minimal process that predicts the same.
    """

    def __init__(self, process: Process, tree: PrefixTree, rng: np.random.Generator):
        self.process, self.tree = process, tree
        self.belief, self.weight = belief_states(process, tree)
        sequences = sample_process(process, N_SEQUENCES, SEQUENCE_LENGTH, rng)
        self.long_tree, nodes = tree_of_sequences(sequences)
        self.nodes = nodes[:, N_SKIPPED:].ravel()
        self.long_belief = belief_states(process, self.long_tree)[0]
        self.exact = minimal_process(process)
        self.pairs = probable_pairs(self.exact)

    def kl_rate_of_nats(self, recovered: Process) -> float:
        """The divergence rate of a recovered process (see `kl_rate_nats`)."""
        return self.kl_rate_nats(filter_beliefs(recovered, self.long_tree))

    def kl_rate_nats(self, filtered: FilteredBeliefs) -> float:
        """The mean KL divergence of predictions from the optimal ones, in nats per token, behind the first tokens."""
        return self._mean_kl_nats(lambda rows: filtered.of_rows(rows).next_token_probability)

    def kl_rate_of_unigram_nats(self) -> float:
        """The mean KL divergence of the token frequencies from the optimal predictions, in nats per token."""
        unigram = self.process.stationary_distribution @ self.process.emission_matrix
        return self._mean_kl_nats(lambda rows: np.maximum(unigram, np.finfo(float).tiny)[None])

    def _mean_kl_nats(self, predicted_of: Callable[[slice], Float[ndarray, "row token"]]) -> float:
        divergence = []
        for rows in row_blocks(len(self.long_belief), self.process.n_tokens):
            optimum = self.process.next_token_probability(self.long_belief[rows])
            ratio = np.log(np.maximum(optimum, np.finfo(float).tiny) / predicted_of(rows))
            divergence.append(np.where(optimum > 0, optimum * ratio, 0).sum(axis=1))
        return float(np.concatenate(divergence)[self.nodes].mean())

    def belief_r2(self, belief: Float[ndarray, "prefix dimension"]) -> float:
        """R2 of the true beliefs by aligned recovered ones; nan where the true ones are all the same."""
        left = self.belief - belief @ alignment(belief, self.belief, self.weight)
        centred = self.belief - np.average(self.belief, axis=0, weights=self.weight)
        variance = (self.weight @ centred**2).sum()
        return float(1 - (self.weight @ left**2).sum() / variance) if variance > np.finfo(float).eps else float("nan")

    def scores(self, recovered: Process) -> dict[str, float]:
        """Every score of a recovered process."""
        filtered = filter_beliefs(recovered, self.long_tree)
        of_pairs = (products(one, self.pairs) for one in (recovered, self.exact))
        blocks = row_blocks(len(filtered.belief), recovered.n_tokens)
        is_invalid = np.concatenate([filtered.of_rows(rows).is_invalid for rows in blocks])
        return {
            "kl_rate_nats": self.kl_rate_nats(filtered),
            "invalid_share": float(is_invalid[self.nodes].mean()),
            "belief_r2": self.belief_r2(filter_beliefs(recovered, self.tree).belief),
            "eigenvalue_error": eigenvalue_error(recovered.transition_tensor, self.exact.transition_tensor),
            "eigenvalue_error_of_pairs": eigenvalue_error(*of_pairs),
        }


def read_recovered(one: xr.Dataset) -> RecoveredProcess:
    """The process recovered from one source at one snapshot, as `recover_process` writes it."""
    values, operators = one["singular_value"].values, one["operator"].values
    values = values[np.isfinite(values)]
    spectrum = Spectrum(values, np.empty((0, len(values))), one.attrs["faintest"])
    rank = int(np.isfinite(operators[0, :, 0]).sum())
    if not rank:
        return RecoveredProcess(spectrum, None)
    stationary, readout = (one[name].values[:rank] for name in ("stationary_state", "readout"))
    return RecoveredProcess(spectrum, recovered_process(operators[:, :rank, :rank], stationary, readout))


def simulate(
    recovered: Process, process: Process, n_points: int, n_tokens: int, rng: np.random.Generator
) -> tuple[Float[ndarray, "point dimension"], Float[ndarray, "point component"]]:
    """Beliefs of a recovered process after tokens drawn from it, and the true beliefs after the same tokens.

    After tokens that are impossible under the true process, the true belief is nan.
    """
    filtered = np.broadcast_to(recovered.initial_state, (n_points, recovered.n_states))
    belief = np.broadcast_to(process.initial_state, (n_points, process.n_states))
    for _ in range(n_tokens):
        token = draw_tokens(recovered, filtered, rng)
        filtered = images_after(recovered, filtered, token)
        filtered = filtered / (filtered @ recovered.readout)[:, None]
        belief = images_after(process, belief, token)
        probability = (belief @ process.readout)[:, None]
        belief = np.divide(belief, probability, out=np.full_like(belief, np.nan), where=probability > 0)
    return filtered, belief
