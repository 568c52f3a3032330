"""Theory of a process on a task's prefixes: recovery from exact predictions, symmetries, dimensions, finite memory.

Each table has the form of that of a network, with which it is compared.
"""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.processes.belief_set import SAME, DimensionRow, draw_prefixes, process_rows, set_rows
from geometry.processes.finite_memory import mixing_rate, observer_beliefs, rms_errors
from geometry.processes.fractal_dimension import has_finite_beliefs, lyapunov_exponents, rms_distance
from geometry.processes.prefix_tree import tree_of, two_token_probabilities
from geometry.processes.process import Process
from geometry.provenance.job import Job
from geometry.recovery.next_token_model import exact_model, support_model
from geometry.recovery.recovery_rows import RecoveryRow, recovery_rows
from geometry.recovery.recovery_scores import RecoveryScorer
from geometry.recovery.sources import EXACT, SUPPORT, TRUTH, UNIGRAM
from geometry.recovery.spectral_learning import Recovery
from geometry.recovery.token_symmetry import cycles, symmetries_of_predictions, token_permutations
from geometry.schemas.recovery import ProcessRecovery
from geometry.schemas.structure import ProcessConvergence, ProcessDimension, ProcessSymmetry
from geometry.storage import open_dataset
from geometry.tables import write_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def recovery_table(truth: xr.Dataset, process: Process, faintest: float, seed: int) -> pd.DataFrame:
    """The true rank, and the scores of what exact predictions, the support and the unigram baseline recover."""
    exact = exact_model(truth)
    scorer = RecoveryScorer(process, exact.tree, np.random.default_rng(seed))
    rows: list[RecoveryRow] = []
    for source, model in {EXACT: exact, SUPPORT: support_model(exact)}.items():
        recovery = Recovery(model, np.random.default_rng(seed), faintest)
        rows += recovery_rows(source, recovery.from_outputs(), recovery.n_ahead, scorer)
    rows.append(RecoveryRow(UNIGRAM, "kl_rate_nats", None, scorer.kl_rate_of_unigram_nats()))
    rows.append(RecoveryRow(TRUTH, "rank", None, scorer.exact.n_states))
    return pd.DataFrame(rows, columns=RecoveryRow._fields).astype({"index": "Int64"})


def symmetry_table(truth: xr.Dataset) -> pd.DataFrame:
    """For each permutation of the tokens that is tried, whether it is a symmetry of the process."""
    exact = exact_model(truth)
    tree, prediction = exact.tree, exact.next_token_probability
    pairs = two_token_probabilities(tree, truth["probability"].values[: len(tree)], prediction)
    tried = token_permutations(pairs)
    found = symmetries_of_predictions(tree, prediction, exact.prefix_probability, tried)
    rows = [(cycles(g), "is_symmetry", float(g in found)) for g in tried]
    return pd.DataFrame(rows, columns=["permutation", "measure", "value"])


def true_set_rows(points: np.ndarray, weight: np.ndarray, process: Process, seed: int) -> Iterator[DimensionRow]:
    """The dimensions of the true beliefs after drawn prefixes; without scales where these beliefs are all the same."""
    unit = rms_distance(points, weight)
    yield DimensionRow(np.nan, "rms_distance", None, unit)
    yield DimensionRow(np.nan, "has_finite_beliefs", None, float(has_finite_beliefs(process)))
    if unit >= SAME:
        yield from set_rows(points / unit, weight)
    yield from process_rows(process, np.random.default_rng(seed))


def dimension_table(points: np.ndarray, weight: np.ndarray, process: Process, seed: int) -> pd.DataFrame:
    """The table of the true set, which is named `true`; `weight` is how often each prefix was drawn."""
    rows = true_set_rows(points, weight, process, seed)
    table = pd.DataFrame(rows, columns=DimensionRow._fields).astype({"index": "Int64"})
    table.insert(0, "set", "true")
    return table


def observer_errors(truth: xr.Dataset, process: Process) -> np.ndarray:
    """The error of an observer that uses the last 0, 1, ... tokens, at each position; shape (recalled, position)."""
    tree, weight, belief = tree_of(truth), truth["weight"].values, truth["target"].values
    prior = np.broadcast_to(process.stationary_distribution, belief.shape)
    observers = chain([prior], observer_beliefs(process, tree, belief))
    return np.array([rms_errors(tree, weight, belief, observer) for observer in observers])


def convergence_table(truth: xr.Dataset, process: Process, seed: int) -> pd.DataFrame:
    """Errors of finite-memory observers, and two rates of theory, each scaled to the observer with one token.

    Information on the hidden state decays with the second eigenvalue of its chain while no tokens are observed
    (`mixing`); the tokens of a typical sequence contract beliefs with the difference of the first two Lyapunov
    exponents (`contraction`).
    """
    observers = observer_errors(truth, process)
    longest = observers.shape[1]
    exponents = lyapunov_exponents(process, np.random.default_rng(seed))
    contraction = np.exp(exponents[1] - exponents[0]) if len(exponents) > 1 else 0.0
    rows = []
    for name, rate in (("mixing", mixing_rate(process)), ("contraction", contraction)):
        expected = observers[1, -1] * rate ** np.arange(longest)
        rows += [(longest, k, name, value) for k, value in enumerate(expected, 1)]
    for k, errors in enumerate(observers):
        rows += [(position, k, "observer_error", error) for position, error in enumerate(errors, 1)]
    return pd.DataFrame(rows, columns=["position", "n_recalled", "measure", "value"])


if __name__ == "__main__":
    with Job(snakemake) as job:
        params = snakemake.params
        process = process_of(params.task)
        with open_dataset(snakemake.input.ground_truth) as truth:
            prefixes, weight = draw_prefixes(truth, params.n_points, np.random.default_rng(params.seed))
            points = truth["target"].values[prefixes]
            tables = {
                ProcessRecovery: recovery_table(truth, process, params.faintest, params.seed),
                ProcessSymmetry: symmetry_table(truth),
                ProcessDimension: dimension_table(points, weight, process, params.seed),
                ProcessConvergence: convergence_table(truth, process, params.seed),
            }
        for (schema, table), path in zip(tables.items(), snakemake.output, strict=False):  # the last is the record
            write_table(table.assign(task=snakemake.wildcards.task), path, schema)
            job.info(f"{path}: {len(table)} rows")
