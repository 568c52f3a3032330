"""Regress the target geometry on the activations of each site and snapshot, with controls in the same table."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.job import Job
from geometry.probe import Folds, Moments, cell_moments, decode, draw_folds, score_held_out, score_in_sample
from geometry.sites import CONCATENATED, is_stream, with_streams_joined
from geometry.storage import open_dataset, write_table, zarr_archive

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SPLITS = ["held_out_prefix", "in_sample"]
"""The decoded beliefs that are kept: held out by probability, and in sample by the last weighting, as published."""


def features_of_sites(activations: xr.Dataset, index: int) -> Iterator[tuple[np.ndarray, dict[str, slice]]]:
    """The features at one snapshot and whose they are: all residual streams together, other sites singly."""
    sites = activations["site"].values.tolist()
    d_model, read = activations.sizes["feature"], activations["activation"][index]
    streams = [site for site in sites if is_stream(site)]
    if streams:
        parts = {site: slice(place * d_model, (place + 1) * d_model) for place, site in enumerate(streams)}
        features = np.empty((activations.sizes["prefix"], len(streams) * d_model), np.float32)
        for site, part in parts.items():
            features[:, part] = read[sites.index(site)].values
        yield features, parts | ({CONCATENATED: slice(None)} if len(streams) > 1 else {})
    for site in sites:
        if site not in streams:
            yield read[sites.index(site)].values, {site: slice(None)}


def weightings(truth: xr.Dataset) -> dict[str, np.ndarray]:
    """Prefix probability, every length alike; and all words alike at every position, as published.

    Of a sampled tree only the first is known: its words were drawn by their probability.
    """
    weights = {"probability": truth["weight"].values}
    if truth.attrs["complete"]:
        weights["uniform"] = truth["words_below"].values.astype(np.float64)
    return weights


def probe_site(features: np.ndarray, moments: dict[str, Moments], folds: Folds, n_components: int) -> tuple:
    """Rows of the table for one site and snapshot, and the decoded beliefs by split."""
    columns = {"belief_state": slice(n_components), "shuffled_belief_state": slice(n_components, None)}
    rows, decoders = [], {}
    for weighting, of_cells in moments.items():
        affine, in_sample = score_in_sample(of_cells)
        maps, held_out = zip(*(score_held_out(of_cells, cells) for cells in folds.fold_of_cell), strict=True)
        decoders[weighting] = [each.to(columns["belief_state"]) for each in (*maps[0], affine)]
        for split, scores in {"in_sample": [in_sample], "held_out_prefix": held_out}.items():
            for name, part in columns.items():
                r2, mse = ([getattr(score, metric)(part) for score in scores] for metric in ("r2", "mse"))
                metrics = {"r2": np.mean(r2), "mse": np.mean(mse), "rmse": np.sqrt(np.mean(mse))}
                if len(scores) > 1:
                    metrics["r2_sd_over_repeats"] = np.std(r2, ddof=1)
                rank = np.mean([score.effective_rank for score in scores])
                rows += [(name, weighting, split, *features.shape, rank, m, value) for m, value in metrics.items()]
    names = ["target", "weighting", "split", "n_rows", "n_features", "effective_rank", "metric", "value"]
    used = [*decoders["probability"][:-1], decoders[weighting][-1]]
    by_split = np.stack([folds.fold[0], np.full(len(features), len(used) - 1)])  # in the order of SPLITS
    return pd.DataFrame(rows, columns=names), decode(features, used, by_split)


def probe_snapshot(
    activations: xr.Dataset, index: int, targets: np.ndarray, weights: dict, folds: Folds
) -> Iterator[tuple[str, pd.DataFrame, np.ndarray]]:
    """Each site's rows of the table and decoded beliefs; sites that share features share their moments."""
    for features, parts in features_of_sites(activations, index):
        moments = cell_moments(features, targets, np.array([*weights.values()]), folds.cell)
        for site, part in parts.items():
            of_site = {name: whole.of_features(part) for name, whole in zip(weights, moments, strict=True)}
            yield site, *probe_site(features[:, part], of_site, folds, targets.shape[1] // 2)


def probe_run(truth: xr.Dataset, activations: xr.Dataset, probe: dict, job: Job, path) -> pd.DataFrame:
    """The probe's table; the decoded beliefs go to an archive, snapshot by snapshot."""
    rng = np.random.default_rng(probe["seed"])
    target = truth["target"].values
    shuffled = target[rng.permutation(len(target))]
    folds = draw_folds(len(target), probe["folds"], probe["repeats"], rng)
    targets, weights = np.hstack([target, shuffled]), weightings(truth)
    sites = with_streams_joined(activations["site"].values.tolist())
    coordinates = {"split": SPLITS, "step": activations["step"], "site": sites, "component": truth["component"]}
    tables, seeds = [], activations["seed"].values
    with zarr_archive(path) as archive:
        archive.add_variables(xr.Dataset(coords=coordinates))
        shape = len(SPLITS), activations.sizes["snapshot"], len(sites), *target.shape
        dims, chunks = ("split", "snapshot", "site", "prefix", "component"), (1, 1, 1, *target.shape)
        array = archive.add_array("decoded_belief", dims, shape, np.float32, chunks)
        for index, step in enumerate(activations["step"].values):
            of_site = {}
            for site, table, decoded in probe_snapshot(activations, index, targets, weights, folds):
                of_site[site] = table.assign(seed=seeds[index], step=step, site=site, features="activations")
                for split, beliefs in enumerate(decoded):
                    archive.write_chunk(array, (split, index, sites.index(site), 0, 0), beliefs[None, None, None])
            tables += [of_site[site] for site in sites]
            job.info(f"snapshot {index + 1} of {activations.sizes['snapshot']} (step {step})")
    return pd.concat(tables)


if __name__ == "__main__":
    with Job(snakemake) as job:
        with (
            open_dataset(snakemake.input.ground_truth) as truth,
            open_dataset(snakemake.input.activations) as activations,
        ):
            table = probe_run(truth, activations, snakemake.params.probe, job, snakemake.output.decoded)
        table = table.assign(experiment=snakemake.wildcards.experiment)
        order = ["experiment", "seed", "step", "site", "features", "target", "weighting", "split"]
        order += ["n_rows", "n_features", "effective_rank", "metric", "value"]
        write_table(table[order], snakemake.output.probe)
