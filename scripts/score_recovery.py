"""Compare the processes that came out of a network with the true one, beside baselines that need no activations."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.processes.prefix_tree import tree_of, two_token_probabilities
from geometry.provenance.job import Job
from geometry.recovery.next_token_model import NextTokenModel, complete_part, counted_model
from geometry.recovery.recovery_scores import RecoveryScorer, alignment, eigenvalues, read_recovered, simulate
from geometry.recovery.sources import EXACT, SAMPLED, SUPPORT, TRUTH, UNIGRAM
from geometry.recovery.spectral_learning import MOST_DIMENSIONS, RecoveredProcess, Recovery, filter_beliefs
from geometry.recovery.token_symmetry import Permutation, cycles, symmetries_of_predictions, token_permutations
from geometry.storage import open_dataset, write_dataset
from geometry.tables import write_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

N_POINTS, N_TOKENS = 30_000, 30
"""Of the chaos game on the recovered maps."""


def next_token_models(truth: xr.Dataset, n_sequences: int | None, seed: int) -> dict[str, NextTokenModel]:
    """What is no network, and what it says: the truth, which words occur, and as many words as a network reads."""
    tree = complete_part(tree_of(truth), truth.attrs["complete_length"])
    exact = NextTokenModel(tree, truth["next_token_probability"].values[: len(tree)])
    all_alike = np.full_like(exact.next_token_probability, 1 / truth.sizes["token"])
    found = {EXACT: exact, SUPPORT: NextTokenModel(tree, all_alike)}  # the tree cuts off what does not occur
    if n_sequences:  # as many tokens, where words are longer than what is complete
        n_whole = round(n_sequences * int(truth["length"].max()) / len(tree.levels))
        found[SAMPLED] = counted_model(exact, n_whole, np.random.default_rng(seed))
    return found


def nearest(recovery: Recovery, scorer: RecoveryScorer) -> RecoveredProcess:
    """A recovery in the number of dimensions that comes nearest to the truth: a baseline that no rule could raise."""
    found = [
        recovery.from_outputs(rank)
        for rank in range(1, min(MOST_DIMENSIONS, recovery.continuation_probabilities.shape[1]) + 1)
    ]
    processes = [one for one in found if one.process is not None]
    return min(processes, key=lambda one: scorer.kl_rate_of_nats(one.process), default=found[0])


def rows_of(found: RecoveredProcess, n_ahead: float, scorer: RecoveryScorer) -> Iterator[tuple[str, float]]:
    """The measures of one recovery, and their values; of what is no process, its dimensions alone."""
    yield from {"n_ahead": n_ahead, "rank": found.spectrum.rank, "gap": found.spectrum.gap}.items()
    values = found.spectrum.singular_values[: MOST_DIMENSIONS + 1]
    yield from ((f"singular_value_{place}", value) for place, value in enumerate(values, 1))
    if found.process is not None:
        yield from scorer.scores(found.process).items()


def table_of(generator: xr.Dataset, scorer: RecoveryScorer, baselines: dict[str, Recovery]) -> pd.DataFrame:
    """Every score of every source at every snapshot; what is no network stands at the last."""
    rows = []
    for index, step in enumerate(generator["step"].values):
        which = int(generator["seed"][index]), int(step)
        for place, source in enumerate(generator["source"].values):
            one = generator.isel(snapshot=index, source=place)
            rows += [(*which, source, *row) for row in rows_of(read_recovered(one), int(one["n_ahead"]), scorer)]
    for source, recovery in baselines.items():
        found = nearest(recovery, scorer) if source == SAMPLED else recovery.from_outputs()
        rows += [(*which, source, *row) for row in rows_of(found, recovery.n_ahead, scorer)]
    rows.append((*which, UNIGRAM, "kl_rate_nats", scorer.kl_rate_of_unigram_nats()))
    rows.append((*which, TRUTH, "rank", scorer.exact.n_states))
    return pd.DataFrame(rows, columns=["seed", "step", "source", "measure", "value"])


def symmetry_rows(table: pd.DataFrame, symmetries: list[Permutation]) -> pd.DataFrame:
    """The permutations of the tokens that are symmetries of the true process, beside what else is known of it."""
    known = table[table["source"] == EXACT].iloc[:1]
    return pd.concat([known.assign(measure=f"symmetry {cycles(g)}", value=1.0) for g in symmetries])


def picture(generator: xr.Dataset, site: str, scorer: RecoveryScorer, rng: np.random.Generator) -> xr.Dataset:
    """The chaos game on the maps of one site's process at the last snapshot, laid on the true one; and eigenvalues."""
    place = list(generator["source"].values).index(site)
    recovered = read_recovered(generator.isel(snapshot=-1, source=place)).process
    exact, n_states = scorer.exact, scorer.process.n_states
    said = true = np.full((N_POINTS, n_states), np.nan)
    n_dimensions = exact.n_states if recovered is None else max(exact.n_states, recovered.n_states)
    found = np.full((exact.n_tokens, n_dimensions), np.nan, complex)
    if recovered is not None:
        linear = alignment(filter_beliefs(recovered, scorer.tree).belief, scorer.belief, scorer.weight)
        said, true = simulate(recovered, scorer.process, N_POINTS, N_TOKENS, rng)
        said, found = said @ linear, eigenvalues(recovered.transition_tensor, n_dimensions)
    values = np.stack([eigenvalues(exact.transition_tensor, n_dimensions), found])
    return xr.Dataset(
        {
            "recovered_belief": (("point", "component"), said.astype(np.float32)),
            "true_belief": (("point", "component"), true.astype(np.float32)),
            "eigenvalue": (("of", "token", "place", "part"), np.stack([values.real, values.imag], axis=-1)),
        },
        coords={"of": ["true", "recovered"], "part": ["real", "imaginary"]},
        attrs={"site": site},
    )


if __name__ == "__main__":
    with Job(snakemake) as job:
        params, rng = snakemake.params, np.random.default_rng(snakemake.params.seed)
        process = process_of(params.task)
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.generator) as generator:
            said = next_token_models(truth, params.n_sequences, params.sequences_seed)
            baselines = {name: Recovery(of, np.random.default_rng(params.seed)) for name, of in said.items()}
            exact = said[EXACT]
            scorer = RecoveryScorer(process, exact.tree, rng)
            table = table_of(generator, scorer, baselines)
            of_exact = exact.tree, exact.next_token_probability
            words = two_token_probabilities(exact.tree, truth["probability"].values[: len(exact.tree)], of_exact[1])
            found = symmetries_of_predictions(*of_exact, exact.prefix_probability, token_permutations(words))
            table = pd.concat([table, symmetry_rows(table, found)])
            table.insert(0, "experiment", snakemake.wildcards.experiment)
            write_table(table, snakemake.output.recovery)
            write_dataset(picture(generator, params.site, scorer, rng), snakemake.output.fractal)
        job.info(
            f"{len(table)} scores of {generator.sizes['source']} sources at {generator.sizes['snapshot']} snapshots"
        )
