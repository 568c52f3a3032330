"""Regress the target geometry on what needs no network: tokens, k-grams, and optimal next-token predictions."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.hook_points import INPUT, OPTIMUM
from geometry.probing.baselines import in_context_bigrams, optimal_prediction_features, token_features
from geometry.probing.design import ProbeDesign, coordinates_of, probe_design
from geometry.probing.kgram import LONGEST_KGRAM, kgram_ids
from geometry.probing.score_rows import as_frame
from geometry.probing.scores import kgram_rows, results_of_features, tables_of_features
from geometry.processes.prefix_tree import scored_positions, tree_of
from geometry.provenance.job import Job
from geometry.schemas.probing import Baselines
from geometry.storage import open_dataset, write_dataset
from geometry.tables import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def score_baselines(truth: xr.Dataset, design: ProbeDesign, coordinates: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """The scores of every baseline, for the true targets of a design, and the target decoded from all tokens."""
    tree, where = tree_of(truth), scored_positions(truth)
    of_tree = kgram_ids(tree, LONGEST_KGRAM)
    ids = [np.unique(one[where], return_inverse=True)[1] for one in of_tree]
    tables = [as_frame(rows, site=INPUT, features=f"{k}_gram") for k, rows in enumerate(kgram_rows(design, ids), 1)]
    tokens = token_features(tree, coordinates)[where]
    of_tokens = {"last_token": tokens[:, : coordinates.shape[1]], "additive_tokens": tokens}
    if (bigrams := in_context_bigrams(tree, of_tree)) is not None:
        of_tokens["in_context_bigrams"] = bigrams[where]
    results = dict(results_of_features(design, of_tokens, {}))
    tables += [as_frame(result.rows, site=INPUT, features=name) for name, result in results.items()]
    tables += tables_of_features(design, optimal_prediction_features(truth), OPTIMUM, {})
    return pd.concat(tables), results["additive_tokens"].decoded[0]


if __name__ == "__main__":
    with Job(snakemake) as job:
        task, tables = snakemake.params.task, []
        coordinates = coordinates_of(task)
        job.info(f"{len(coordinates)} tokens, represented by {coordinates.shape[1]} columns at each lag")
        for path, seed in zip(snakemake.input.ground_truth, snakemake.params.samples or [None], strict=True):
            with open_dataset(path) as truth:
                design = probe_design(truth, task, snakemake.params.probe)
                table, decoded = score_baselines(truth, design, coordinates)
                if not tables:
                    rows = np.arange(truth.sizes["prefix"], dtype=np.int32)[scored_positions(truth)]
                    variables = {"decoded_belief": (("prefix", "component"), decoded)}
                    of_tokens = xr.Dataset(variables, {"prefix": rows, "component": truth["component"]})
                    write_dataset(of_tokens, snakemake.output.decoded)
            tables.append(table.assign(seed=seed))
        table = pd.concat(tables).assign(experiment=snakemake.wildcards.experiment)
        write_table(table, snakemake.output.baselines, Baselines)
        job.info(f"{len(table)} scores of {table['features'].nunique()} baselines")
