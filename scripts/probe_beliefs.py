"""Regress the target geometry on the activations of each site and snapshot, with all controls in the same table."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.hook_points import CONCATENATED, INPUT, OPTIMUM, OUTPUT, with_concatenated
from geometry.probing.baselines import (
    LONGEST_KGRAM,
    kgram_ids,
    log_probability,
    prediction_features,
    token_features,
)
from geometry.probing.design import PROBES
from geometry.probing.scores import COLUMNS, ProbeDesign, side_by_side
from geometry.processes.prefix_tree import scored_positions, tree_of
from geometry.provenance.job import Job
from geometry.storage import open_dataset, zarr_archive
from geometry.tables import select, write_table
from geometry.tasks.task import task_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SPLITS = ["held_out_prefix", "in_sample"]
"""The decoded beliefs that are kept: held out, as verdicts rest on them; and in sample, by the published protocol."""


def features_of_sites(
    activations: xr.Dataset, concatenated: list[str], index: int
) -> Iterator[tuple[np.ndarray, dict[str, slice]]]:
    """The features at one snapshot and whose they are: of the concatenated sites together, of other sites singly."""
    sites = activations["site"].values.tolist()
    d_model, read = activations.sizes["feature"], activations["activation"][index]
    if concatenated:
        parts = {site: slice(place * d_model, (place + 1) * d_model) for place, site in enumerate(concatenated)}
        features = np.empty((activations.sizes["prefix"], len(concatenated) * d_model), np.float32)
        for site, part in parts.items():
            features[:, part] = read[sites.index(site)].values
        yield features, parts | {CONCATENATED: slice(None)}
    for site in sites:
        if site not in concatenated:
            yield read[sites.index(site)].values, {site: slice(None)}


def named(rows: list[tuple], site: str, features: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).assign(site=site, features=features)


def baselines(design: ProbeDesign, features: dict[str, np.ndarray], site: str) -> list[pd.DataFrame]:
    """The scores of features that are no activations, for the true targets."""
    columns, parts = side_by_side(features)
    return [named(rows, site, name) for name, rows, _ in replace(design, control={}).evaluate(columns, parts, {})]


def probe_design(truth: xr.Dataset, task: dict, settings: dict) -> ProbeDesign:
    """The probe design of a task section."""
    known = task_of(task)
    return PROBES[known.kind].design(known, truth, settings)


def coordinates_of(task: dict) -> np.ndarray:
    """The columns that stand for each token of a task in the baselines: [token, column]."""
    known = task_of(task)
    return PROBES[known.kind].token_coordinates(known)


class Probe:
    """The probe of one run; what needs no network is computed once. Some sites are `concatenated` to one besides."""

    def __init__(self, truth: xr.Dataset, design: ProbeDesign, coordinates: np.ndarray, concatenated: list[str]):
        self.concatenated = concatenated
        where = scored_positions(truth)
        self.weight = truth["weight"].values[where]
        of_gram = [
            np.unique(number[where], return_inverse=True)[1] for number in kgram_ids(tree_of(truth), LONGEST_KGRAM)
        ]
        tables = [named(rows, INPUT, f"{k}_gram") for k, rows in design.tables(of_gram)]
        known = select(pd.concat(tables), target=design.main, metric="r2")
        memory = {key: rows["value"].tolist() for key, rows in known.groupby(["weighting", "split"])}
        self.design = replace(design, memory=memory)
        optimum = truth["next_token_probability"].values[where]
        tokens = token_features(tree_of(truth), coordinates)[where]
        told = {"next_token_probability": optimum, "next_token_log_probability": log_probability(optimum)}
        self.optimum = {name: prediction_features(of, self.weight) for name, of in told.items()}
        self.is_certain = bool((optimum.max(axis=1) == 1).all())
        of_tokens = {"last_token": tokens[:, : coordinates.shape[1]], "additive_tokens": tokens}
        self.baselines = [*tables, *baselines(design, of_tokens, INPUT), *baselines(design, self.optimum, OPTIMUM)]

    def snapshot(self, activations: xr.Dataset, index: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """The table of one snapshot, and the decoded beliefs of each site."""
        predicted = activations["log_probability"][index].values.astype(np.float64)
        output = {"network_probability": np.exp(predicted), "network_log_probability": predicted}
        output = {name: prediction_features(of, self.weight) for name, of in output.items()}
        covariates = (
            {} if self.is_certain else self.optimum | output
        )  # predictions of what is certain leave nothing to ask
        tables, decoded = {}, {}
        for features, parts in features_of_sites(activations, self.concatenated, index):
            for site, rows, beliefs in self.design.evaluate(features, parts, covariates):
                tables[site], decoded[site] = named(rows, site, "activations"), beliefs
        sites = with_concatenated(activations["site"].values.tolist(), self.concatenated)
        table = pd.concat([*(tables[site] for site in sites), *baselines(self.design, output, OUTPUT), *self.baselines])
        which = {name: activations[name].values[index] for name in ("seed", "step")}
        return table.assign(**which), {site: decoded[site] for site in sites}


def probe_run(truth: xr.Dataset, activations: xr.Dataset, probe: Probe, job: Job, path) -> pd.DataFrame:
    """The probe's table; the decoded beliefs go to an archive, snapshot by snapshot, with the folds of every draw.

    The first draw of the first split holds out what is decoded.
    """
    sites = with_concatenated(activations["site"].values.tolist(), probe.concatenated)
    coordinates = {name: activations[name] for name in ("step", "prefix")}
    coordinates |= {"split": SPLITS, "site": sites, "component": truth["component"]}
    folds = {
        f"fold_{name}": ((f"draw_{name}", "prefix"), fold.astype(np.int8)) for name, fold in probe.design.folds.items()
    }
    tables = []
    with zarr_archive(path) as archive:
        archive.add_variables(xr.Dataset(folds, coords=coordinates))
        one = activations.sizes["prefix"], truth.sizes["component"]
        shape = len(SPLITS), activations.sizes["snapshot"], len(sites), *one
        dims = ("split", "snapshot", "site", "prefix", "component")
        array = archive.add_array("decoded_belief", dims, shape, np.float32, (1, 1, 1, *one))
        for index, step in enumerate(activations["step"].values):
            table, decoded = probe.snapshot(activations, index)
            tables.append(table)
            for place, of_site in enumerate(decoded.values()):
                for split, beliefs in enumerate(of_site):
                    archive.write_chunk(array, (split, index, place, 0, 0), beliefs[None, None, None])
            job.info(f"snapshot {index + 1} of {activations.sizes['snapshot']} (step {step})")
    return pd.concat(tables)


if __name__ == "__main__":
    with Job(snakemake) as job:
        task, settings = snakemake.params.task, snakemake.params.probe
        with (
            open_dataset(snakemake.input.ground_truth) as truth,
            open_dataset(snakemake.input.activations) as activations,
        ):
            coordinates = coordinates_of(task)
            job.info(f"{len(coordinates)} tokens, known by {coordinates.shape[1]} columns at each lag")
            probe = Probe(truth, probe_design(truth, task, settings), coordinates, snakemake.params.concatenated)
            folds = (f"{name} {fold.max() + 1}" for name, fold in probe.design.folds.items())
            job.info(f"folds: {', '.join(folds)}")
            table = probe_run(truth, activations, probe, job, snakemake.output.decoded)
        first = ["experiment", "seed", "step", "site", "features"]
        table = table.assign(experiment=snakemake.wildcards.experiment).astype({"draw": "Int64"})
        write_table(table[[*first, *COLUMNS]], snakemake.output.probe)
