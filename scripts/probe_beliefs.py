"""Regress the target geometry on the activations of each site and snapshot, with controls in the same table."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.job import Job
from geometry.probe import (
    Folds,
    cell_moments,
    decode_held_out,
    draw_folds,
    fit_folds,
    score_held_out,
    score_in_sample,
)
from geometry.sites import CONCATENATED, is_stream, with_streams_joined
from geometry.storage import add_array, add_variables, open_dataset, write_table, zarr_archive

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SPLITS = ["held_out_prefix", "in_sample"]
"""The decoded beliefs that are kept: held out by probability, and in sample by the last weighting, as published."""


def sites_and_features(activations: xr.Dataset, index: int) -> Iterator[tuple[str, np.ndarray]]:
    """The features of each site at one snapshot, the concatenated residual streams last."""
    streams = []
    for place, site in enumerate(activations["site"].values):
        features = activations["activation"][index, place].values
        if is_stream(site):
            streams.append(features)
        yield site, features
    if len(streams) > 1:
        yield CONCATENATED, np.hstack(streams)


def weightings(truth: xr.Dataset) -> dict[str, np.ndarray]:
    """Prefix probability, every length alike; and all words alike at every position, as published.

    Of a sampled tree only the first is known: its words were drawn by their probability.
    """
    weights = {"probability": truth["weight"].values}
    if truth.attrs["complete"]:
        weights["uniform"] = truth["words_below"].values.astype(np.float64)
    return weights


def probe_site(features: np.ndarray, target: np.ndarray, shuffled: np.ndarray, weights: dict, folds: Folds) -> tuple:
    """Rows of the table for one site and snapshot, and the decoded beliefs of each split."""
    n_components = target.shape[1]
    columns = {"belief_state": slice(n_components), "shuffled_belief_state": slice(n_components, None)}
    both, rows, decoded = np.hstack([target, shuffled]), [], {}
    for weighting, weight in weights.items():
        moments = cell_moments(features, both, weight, folds.cell)
        affine, in_sample = score_in_sample(moments)
        maps = [fit_folds(moments, fold_of_cell) for fold_of_cell in folds.fold_of_cell]
        held_out = [score_held_out(moments, *split) for split in zip(folds.fold_of_cell, maps, strict=True)]
        if weighting == "probability":
            decoded["held_out_prefix"] = decode_held_out(features, folds.fold[0], maps[0])[:, :n_components]
        for split, scores in {"in_sample": [in_sample], "held_out_prefix": held_out}.items():
            for name, part in columns.items():
                r2, mse = ([getattr(score, metric)(part) for score in scores] for metric in ("r2", "mse"))
                metrics = {"r2": np.mean(r2), "mse": np.mean(mse), "rmse": np.sqrt(np.mean(mse))}
                if len(scores) > 1:
                    metrics["r2_sd_over_repeats"] = np.std(r2, ddof=1)
                rank = np.mean([score.effective_rank for score in scores])
                rows += [(name, weighting, split, *features.shape, rank, m, value) for m, value in metrics.items()]
    decoded["in_sample"] = affine(features.astype(np.float64))[:, :n_components]
    names = ["target", "weighting", "split", "n_rows", "n_features", "effective_rank", "metric", "value"]
    return pd.DataFrame(rows, columns=names), decoded


def probe_run(truth: xr.Dataset, activations: xr.Dataset, probe: dict, job: Job, path) -> pd.DataFrame:
    """The probe's table; the decoded beliefs go to an archive, snapshot by snapshot."""
    rng = np.random.default_rng(probe["seed"])
    target = truth["target"].values
    shuffled = target[rng.permutation(len(target))]
    folds = draw_folds(len(target), probe["folds"], probe["repeats"], rng)
    weights = weightings(truth)
    sites = with_streams_joined(activations["site"].values.tolist())
    coordinates = {"split": SPLITS, "step": activations["step"], "site": sites, "component": truth["component"]}
    tables = []
    with zarr_archive(path) as group:
        add_variables(group, xr.Dataset(coords=coordinates))
        shape = len(SPLITS), activations.sizes["snapshot"], len(sites), *target.shape
        dims, chunks = ("split", "snapshot", "site", "prefix", "component"), (1, 1, 1, *target.shape)
        archive = add_array(group, "decoded_belief", dims, shape, np.float32, chunks)
        for index, step in enumerate(activations["step"].values):
            for place, (site, features) in enumerate(sites_and_features(activations, index)):
                table, decoded = probe_site(features, target, shuffled, weights, folds)
                for split, name in enumerate(SPLITS):
                    archive[split, index, place] = decoded[name]
                tables.append(table.assign(step=step, site=site, features="activations"))
            job.info(f"snapshot {index + 1} of {activations.sizes['snapshot']} (step {step})")
    return pd.concat(tables)


if __name__ == "__main__":
    with Job(snakemake) as job:
        wildcards = snakemake.wildcards
        with (
            open_dataset(snakemake.input.ground_truth) as truth,
            open_dataset(snakemake.input.activations) as activations,
        ):
            table = probe_run(truth, activations, snakemake.params.probe, job, snakemake.output.decoded)
        table = table.assign(experiment=wildcards.experiment, seed=int(wildcards.seed))
        order = ["experiment", "seed", "step", "site", "features", "target", "weighting", "split"]
        order += ["n_rows", "n_features", "effective_rank", "metric", "value"]
        write_table(table[order], snakemake.output.probe)
