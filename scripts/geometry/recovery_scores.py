"""How near a recovered process is to the true one: by what no coordinates change, and by what it predicts."""

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Complex, Float
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

from geometry.prefixes import (
    PrefixTree,
    belief_states,
    draw_by_weight,
    images_after,
    sample_words,
    tree_of_words,
)
from geometry.probe_table import select
from geometry.process import Process
from geometry.realization import minimal_process
from geometry.recovery import Recovered, Spectrum, follow, recovered_process

TRUTH, EXACT, SAMPLED = "process", "exact", "sampled_tokens"
POSSIBLE, GUESS = "possible_words", "token_frequencies"
"""Sources that are no network: the process itself, its predictions on the same prefixes, words drawn from it, which
words occur at all (told by the tree on which everything is recovered), how frequent tokens are.
"""

NEGLIGIBLE = 0.01
"""An eigenvalue whose error is not told as a share of it; the sum of all operators has 1 as its largest."""

UNTOLD = 0.01
"""The share of what token frequencies lack that exact predictions may lack where they tell a process.

They lack none of it or, where prefixes are too short to tell the dimensions apart, more than half.
"""

ROUNDING_NATS = 1e-12
"""A rate of divergence that is rounding: token frequencies predict as well as can be."""

N_WORDS, WORD_LENGTH, N_SKIPPED = 500, 60, 20
"""Words on which the rate of divergence is measured, their tokens, and the first of these, which do not count."""


def eigenvalues(process: Process, n_dimensions: int) -> Complex[ndarray, "token dimension"]:
    """The eigenvalues of each token's operator, the largest first, with zeros for the dimensions that it lacks."""
    found = np.zeros((process.n_tokens, n_dimensions), complex)
    for token, operator in enumerate(process.transition_tensor):
        values = np.linalg.eigvals(operator)
        found[token, : len(values)] = values[np.lexsort([values.imag, -np.abs(values).round(12)])]
    return found


def products(process: Process) -> Process:
    """The process with each pair of tokens as one token."""
    tensor = process.transition_tensor
    pairs = np.einsum("yij,xjk->yxik", tensor, tensor).reshape(-1, *tensor.shape[1:])
    names = tuple(f"{a} {b}" for a in process.token_names for b in process.token_names)
    return Process(**{**vars(process), "transition_tensor": pairs, "token_names": names})


def eigenvalue_error(recovered: Process, exact: Process) -> float:
    """The largest relative error of an eigenvalue of a token's operator, of those that are not negligible; or nan.

    Each is compared with the one that it is paired with where all differences together are least.
    """
    n_dimensions, errors = max(recovered.n_states, exact.n_states), []
    for found, true in zip(eigenvalues(recovered, n_dimensions), eigenvalues(exact, n_dimensions), strict=True):
        difference = np.abs(found[:, None] - true)
        rows, columns = linear_sum_assignment(difference)
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


class Yardstick:
    """The true process: long words of it, and its beliefs along a tree of prefixes.

    Its operators (`exact`) are those of a minimal process that predicts the same.
    """

    def __init__(self, process: Process, tree: PrefixTree, rng: np.random.Generator):
        self.process, self.tree = process, tree
        self.belief, self.weight = belief_states(process, tree)
        words = sample_words(process, N_WORDS, WORD_LENGTH, rng)
        self.long_tree, nodes = tree_of_words(words)
        self.nodes = nodes[:, N_SKIPPED:].ravel()
        self.optimum = process.next_token_probability(belief_states(process, self.long_tree)[0])
        self.exact = minimal_process(process)

    def kl_rate_of_nats(self, recovered: Process) -> float:
        """That of the predictions of a recovered process."""
        return self.kl_rate_nats(follow(recovered, self.long_tree).next_token_probability)

    def kl_rate_nats(self, predicted: Float[ndarray, "prefix token"]) -> float:
        """The mean divergence of predictions from the optimal ones, per token, far from the beginning of a word."""
        ratio = np.log(np.maximum(self.optimum, np.finfo(float).tiny) / predicted)
        divergence = np.where(self.optimum > 0, self.optimum * ratio, 0).sum(axis=1)
        return float(divergence[self.nodes].mean())

    def kl_rate_of_guess_nats(self) -> float:
        """The same of who knows nothing but how frequent each token is."""
        guess = self.process.stationary_distribution @ self.process.emission_matrix
        return self.kl_rate_nats(np.broadcast_to(np.maximum(guess, np.finfo(float).tiny), self.optimum.shape))

    def belief_r2(self, belief: Float[ndarray, "prefix dimension"]) -> float:
        """How much of the true beliefs recovered ones explain, after that map; nan where these are all the same."""
        left = self.belief - belief @ alignment(belief, self.belief, self.weight)
        centred = self.belief - np.average(self.belief, axis=0, weights=self.weight)
        variance = (self.weight @ centred**2).sum()
        return float(1 - (self.weight @ left**2).sum() / variance) if variance > np.finfo(float).eps else float("nan")

    def scores(self, recovered: Process) -> dict[str, float]:
        """Every score of a recovered process."""
        said = follow(recovered, self.long_tree)
        return {
            "kl_rate_nats": self.kl_rate_nats(said.next_token_probability),
            "invalid_share": float(said.is_invalid[self.nodes].mean()),
            "belief_r2": self.belief_r2(follow(recovered, self.tree).belief),
            "eigenvalue_error": eigenvalue_error(recovered, self.exact),
            "eigenvalue_error_of_pairs": eigenvalue_error(products(recovered), products(self.exact)),
        }


def is_told(scores: pd.DataFrame) -> bool:
    """Whether the process comes out of exact predictions on the same prefixes.

    If not, these are too short for it, or there is nothing to tell: token frequencies predict as well as can be.
    """
    rates = select(scores, measure="kl_rate_nats")
    exact, guess = (select(rates, source=source)["value"] for source in (EXACT, GUESS))
    return len(exact) > 0 and bool(guess.max() > ROUNDING_NATS and exact.max() < UNTOLD * guess.max())


def read_recovered(one: xr.Dataset) -> Recovered:
    """What came out of one source at one snapshot, as `recover_process` has written it."""
    values, operators = one["singular_value"].values, one["operator"].values
    values = values[np.isfinite(values)]
    spectrum = Spectrum(values, np.empty((0, len(values))))
    rank = int(np.isfinite(operators[0, :, 0]).sum())
    if not rank:
        return Recovered(spectrum, None)
    stationary, readout = (one[name].values[:rank] for name in ("stationary_state", "readout"))
    return Recovered(spectrum, recovered_process(operators[:, :rank, :rank], stationary, readout))


def wander(
    recovered: Process, process: Process, n_points: int, n_tokens: int, rng: np.random.Generator
) -> tuple[Float[ndarray, "point dimension"], Float[ndarray, "point component"]]:
    """Beliefs of a recovered process after tokens that itself draws, and the true beliefs after the same tokens.

    Where it draws what cannot happen, the true belief is nan.
    """
    said = np.broadcast_to(recovered.initial_state, (n_points, recovered.n_states))
    belief = np.broadcast_to(process.initial_state, (n_points, process.n_states))
    for _ in range(n_tokens):
        token = draw_by_weight(recovered.next_token_probability(said), rng)
        said = images_after(recovered, said, token)
        said = said / (said @ recovered.readout)[:, None]
        belief = images_after(process, belief, token)
        probability = (belief @ process.readout)[:, None]
        belief = np.divide(belief, probability, out=np.full_like(belief, np.nan), where=probability > 0)
    return said, belief
