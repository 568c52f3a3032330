"""Compare the processes recovered from a network with the true one, and with one learned from sampled sequences."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.snapshots import first_network, last_of_each
from geometry.provenance.job import Job
from geometry.recovery.next_token_model import exact_model, sampled_model
from geometry.recovery.recovery_rows import RecoveryRow, recovery_rows
from geometry.recovery.recovery_scores import RecoveryScorer, alignment, eigenvalues, read_recovered, simulate
from geometry.recovery.sources import SAMPLED
from geometry.recovery.spectral_learning import MOST_DIMENSIONS, RecoveredProcess, Recovery, filter_beliefs
from geometry.schemas.recovery import Recovery as RecoveryTable
from geometry.storage import open_dataset, write_dataset
from geometry.tables import write_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

N_POINTS, N_TOKENS = 30_000, 30
"""Points of the chaos game on the recovered maps, and the tokens that each is the belief after."""


def nearest(recovery: Recovery, scorer: RecoveryScorer) -> RecoveredProcess:
    """The recovery of the rank with the least divergence from the truth, which no rule for the rank could improve."""
    found = [
        recovery.from_outputs(rank)
        for rank in range(1, min(MOST_DIMENSIONS, recovery.continuation_probabilities.shape[1]) + 1)
    ]
    processes = [one for one in found if one.process is not None]
    return min(processes, key=lambda one: scorer.kl_rate_of_nats(one.process), default=found[0])


def network_rows(snapshot: xr.Dataset, scorer: RecoveryScorer) -> Iterator[RecoveryRow]:
    """The scores of what was recovered from each source of one snapshot."""
    for place, source in enumerate(snapshot["source"].values.tolist()):
        one = snapshot.isel(source=place)
        yield from recovery_rows(source, read_recovered(one), int(one["n_ahead"]), scorer)


def recovery_table(
    generator: xr.Dataset, scorer: RecoveryScorer, learn: Callable[[int], Recovery] | None
) -> pd.DataFrame:
    """The scores at every snapshot and, of each network at its last, of spectral learning on sampled sequences.

    `learn` gives the latter by seed; None where it is not known how many sequences a training read.
    """
    tables, last = [], last_of_each(generator["seed"].values)
    for index in range(generator.sizes["snapshot"]):
        snapshot = generator.isel(snapshot=index)
        rows = list(network_rows(snapshot, scorer))
        if learn is not None and index in last:
            sampled = learn(int(snapshot["seed"]))
            rows += recovery_rows(SAMPLED, nearest(sampled, scorer), sampled.n_ahead, scorer)
        network = {name: snapshot[name].item() for name in ("seed", "step", "origin")}
        tables.append(pd.DataFrame(rows, columns=RecoveryRow._fields).assign(**network))
    return pd.concat(tables).astype({"index": "Int64"})


def play_recovered(
    recovered: RecoveredProcess, scorer: RecoveryScorer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Recovered beliefs after tokens drawn from the recovered process, aligned to the true ones; and the true ones.

    Both have shape (point, component); nan where nothing was recovered.
    """
    if recovered.process is None:
        nothing = np.full((N_POINTS, scorer.process.n_states), np.nan)
        return nothing, nothing
    linear = alignment(filter_beliefs(recovered.process, scorer.tree).belief, scorer.belief, scorer.weight)
    belief, true = simulate(recovered.process, scorer.process, N_POINTS, N_TOKENS, rng)
    return belief @ linear, true


def eigenvalue_pairs(recovered: RecoveredProcess, scorer: RecoveryScorer) -> np.ndarray:
    """Eigenvalues of each token's operator, shape (true or recovered, token, place, real or imaginary part)."""
    exact, found = scorer.exact, recovered.process
    n_dimensions = exact.n_states if found is None else max(exact.n_states, found.n_states)
    nothing = np.full((exact.n_tokens, n_dimensions), np.nan, complex)
    of_found = nothing if found is None else eigenvalues(found.transition_tensor, n_dimensions)
    values = np.stack([eigenvalues(exact.transition_tensor, n_dimensions), of_found])
    return np.stack([values.real, values.imag], axis=-1)


def fractal_dataset(recovered: RecoveredProcess, scorer: RecoveryScorer, rng: np.random.Generator) -> xr.Dataset:
    """The chaos game on the maps of a recovered process, beside the true beliefs; and the eigenvalues of both."""
    belief, true = play_recovered(recovered, scorer, rng)
    return xr.Dataset(
        {
            "recovered_belief": (("point", "component"), belief.astype(np.float32)),
            "true_belief": (("point", "component"), true.astype(np.float32)),
            "eigenvalue": (("of", "token", "place", "part"), eigenvalue_pairs(recovered, scorer)),
        },
        coords={"of": ["true", "recovered"], "part": ["real", "imaginary"]},
    )


if __name__ == "__main__":
    with Job(snakemake) as job:
        params, rng = snakemake.params, np.random.default_rng(snakemake.params.seed)
        process = process_of(params.task)
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.generator) as generator:
            exact = exact_model(truth)
            n_sequences, length, faintest = params.n_sequences, params.task["context"], generator.attrs["faintest"]

            def learn(seed: int) -> Recovery:
                model = sampled_model(exact, n_sequences, length, np.random.default_rng(seed))
                return Recovery(model, np.random.default_rng(params.seed), faintest)

            scorer = RecoveryScorer(process, exact.tree, rng)
            table = recovery_table(generator, scorer, learn if n_sequences else None)
            table = table.assign(experiment=snakemake.wildcards.experiment)
            write_table(table, snakemake.output.recovery, RecoveryTable)
            place = list(generator["source"].values).index(params.site)
            last = read_recovered(first_network(generator).isel(snapshot=-1, source=place))
            write_dataset(fractal_dataset(last, scorer, rng).assign_attrs(site=params.site), snakemake.output.fractal)
        job.info(
            f"{len(table)} scores of {generator.sizes['source']} sources at {generator.sizes['snapshot']} snapshots"
        )
