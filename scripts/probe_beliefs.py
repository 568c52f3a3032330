"""Regress the target geometry on the activations of each site and snapshot, with its control targets and covariates."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.hook_points import CONCATENATED, OUTPUT, with_concatenated
from geometry.networks.origins import RANDOM_INIT
from geometry.networks.snapshots import last_of_each
from geometry.probing.baselines import optimal_prediction_features, prediction_features
from geometry.probing.design import ProbeDesign, probe_design
from geometry.probing.probe_table import kgram_scores, of_sample
from geometry.probing.score_rows import as_frame
from geometry.probing.scores import KgramR2, SiteResult, evaluate, tables_of_features
from geometry.processes.prefix_tree import scored_positions
from geometry.provenance.job import Job
from geometry.schemas.probing import Probe as ProbeTable
from geometry.storage import open_dataset, zarr_archive
from geometry.tables import read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SPLITS = ["held_out_prefix", "in_sample"]
"""The ways of decoding whose beliefs are stored: held out, as verdicts use them, and in sample, as published."""


def features_of_sites(
    activations: xr.Dataset, concatenated: list[str], index: int
) -> Iterator[tuple[np.ndarray, dict[str, slice]]]:
    """Features at one snapshot and the columns of each site: the concatenated sites together, other sites singly."""
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


class Probe:
    """The probe of one run: its design, the covariates of partial R2, and sites that are also concatenated to one.

    With `compares_random`, networks at initialisation are probed as those are that never train: claims compare with
    these very ones.
    """

    def __init__(
        self,
        truth: xr.Dataset,
        design: ProbeDesign,
        kgram_r2: KgramR2,
        concatenated: list[str],
        compares_random: bool = False,
    ):
        self.design, self.kgram_r2, self.concatenated = design, kgram_r2, concatenated
        self.compares_random = compares_random
        where = scored_positions(truth)
        self.weight = truth["weight"].values[where]
        self.optimum = optimal_prediction_features(truth)
        self.is_certain = bool((truth["next_token_probability"].values[where].max(axis=1) == 1).all())

    def design_at(self, activations: xr.Dataset, index: int) -> ProbeDesign:
        """The whole design at the last snapshot of each trained network; less at others, which fewer results need."""
        is_random = activations["origin"].values[index] == RANDOM_INIT
        if index not in last_of_each(activations["seed"].values) and not (is_random and self.compares_random):
            return self.design.brief()
        return self.design.without_controls() if is_random else self.design

    def snapshot(self, activations: xr.Dataset, index: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """The table of one snapshot, and the decoded beliefs of each site, shape (way, prefix, component)."""
        design = self.design_at(activations, index)
        forms = {}  # of a recording without predictions, or a random network without them
        if "log_probability" in activations and not np.isnan(activations["log_probability"][index]).any():
            predicted = activations["log_probability"][index].values.astype(np.float64)
            forms = {"network_probability": np.exp(predicted), "network_log_probability": predicted}
        output = {name: prediction_features(of, self.weight) for name, of in forms.items()}
        covariates = {} if self.is_certain or not design.control else self.optimum | output  # certain ones vary not
        found: dict[str, SiteResult] = {}
        for features, parts in features_of_sites(activations, self.concatenated, index):
            found |= evaluate(design, features, parts, covariates, self.kgram_r2)
        sites = with_concatenated(activations["site"].values.tolist(), self.concatenated)
        tables = [as_frame(found[site].rows, site=site, features="activations") for site in sites]
        tables += tables_of_features(design, output, OUTPUT, self.kgram_r2) if output else []
        network = {name: activations[name].values[index] for name in ("seed", "step", "origin")}
        return pd.concat(tables).assign(**network), {site: found[site].decoded for site in sites}


def probe_run(truth: xr.Dataset, activations: xr.Dataset, probe: Probe, job: Job, path) -> pd.DataFrame:
    """The table of all snapshots; the decoded beliefs go to an archive, snapshot by snapshot, with all folds."""
    sites = with_concatenated(activations["site"].values.tolist(), probe.concatenated)
    coordinates = {name: activations[name] for name in ("seed", "step", "origin", "prefix")}
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
        params, source = snakemake.params, snakemake.input
        with open_dataset(source.ground_truth) as truth, open_dataset(source.activations) as activations:
            design = probe_design(truth, params.task, params.probe)
            job.info(f"folds: {', '.join(f'{name} {fold.max() + 1}' for name, fold in design.folds.items())}")
            baselines = of_sample(read_table(source.baselines), params.seed)
            known = kgram_scores(baselines, design.main)
            probe = Probe(truth, design, known, params.concatenated, bool(params.samples))
            table = probe_run(truth, activations, probe, job, snakemake.output.decoded)
        table = table.assign(experiment=snakemake.wildcards.experiment)
        write_table(table, snakemake.output.probe, ProbeTable)
