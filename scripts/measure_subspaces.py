"""Measure the subspaces of the parts of a composed process at each layer output and snapshot, and of its belief."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.hook_points import is_layer_output
from geometry.probing.part_subspaces import (
    BELIEF_STATE,
    PART_BELIEFS,
    encoding,
    frozen_sequences,
    overlap,
    random_overlap,
    variance_shares,
    vary_one,
)
from geometry.processes.composition import PRODUCT, Composition
from geometry.processes.prefix_tree import tree_of
from geometry.provenance.job import Job
from geometry.schemas.structure import Subspaces
from geometry.storage import open_dataset
from geometry.tables import write_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

PERCENT = (90, 95, 99)
"""Shares of the variance for which the number of dimensions is given."""

MOST_COMPONENTS = 30
"""Principal components whose cumulative share is given, at most."""

SAMPLING_SEED = 0


class SubspaceRow(NamedTuple):
    """One value of a set of features."""

    measure: str
    index: int | None
    value: float


class Measures:
    """The true beliefs of a composed process and of its parts after each prefix, by which features are measured."""

    def __init__(self, truth: xr.Dataset, composition: Composition):
        self.belief, weight = truth["target"].values, truth["weight"].values
        self.weight = weight / weight.sum()
        self.parts = [self.belief @ part.marginal for part in composition.parts]
        self.sizes = [part.shape[1] - 1 for part in self.parts]
        self.frozen = frozen_sequences(tree_of(truth), composition) if composition.kind == PRODUCT else []

    def rows(self, x: np.ndarray) -> Iterator[SubspaceRow]:
        """All measures of some features, one row for each prefix."""
        x, rng = x.astype(np.float64), np.random.default_rng(SAMPLING_SEED)
        of_parts, of_belief = encoding(x, self.parts, self.weight), encoding(x, [self.belief], self.weight)
        yield SubspaceRow("explained_by_parts", None, of_parts.explained)
        yield SubspaceRow("explained_by_belief", None, of_belief.explained)
        yield SubspaceRow("encoding_overlap", None, overlap(of_parts.bases))
        if self.frozen:
            bases = vary_one(x, self.frozen, self.sizes, self.weight)
            yield SubspaceRow("vary_one_overlap", None, overlap(bases))
        yield SubspaceRow("random_overlap", None, random_overlap(of_parts.covariance, self.sizes, rng))
        shares = variance_shares(of_parts.covariance)
        for percent in PERCENT:
            yield SubspaceRow("dimensions", percent, float(np.searchsorted(shares, percent / 100) + 1))
        yield from (SubspaceRow("variance_share", k, share) for k, share in enumerate(shares[:MOST_COMPONENTS], 1))


def measure_subspaces(truth: xr.Dataset, activations: xr.Dataset, composition: Composition) -> pd.DataFrame:
    """The table of all networks of a run, by site and snapshot; then that of the beliefs themselves."""
    measures, rows = Measures(truth, composition), []
    of_networks = list(zip(*(activations[name].values.tolist() for name in ("seed", "step", "origin")), strict=True))
    sites = [(place, site) for place, site in enumerate(activations["site"].values.tolist()) if is_layer_output(site)]
    for index, network in enumerate(of_networks):
        for place, site in sites:
            found = measures.rows(activations["activation"][index, place].values)
            rows += [(*network, site, *row) for row in found]
    for site, x in ((BELIEF_STATE, measures.belief), (PART_BELIEFS, np.hstack(measures.parts))):
        found = list(measures.rows(x))
        rows += [(*network, site, *row) for network in of_networks for row in found]
    columns = ["seed", "step", "origin", "site", *SubspaceRow._fields]
    return pd.DataFrame(rows, columns=columns).astype({"index": "Int64"})


if __name__ == "__main__":
    with Job(snakemake) as job:
        source = snakemake.input
        with open_dataset(source.ground_truth) as truth, open_dataset(source.activations) as activations:
            composition = process_of(snakemake.params.task).composition
            table = measure_subspaces(truth, activations, composition)
        write_table(table.assign(experiment=snakemake.wildcards.experiment), snakemake.output.subspaces, Subspaces)
        job.info(f"{composition.kind} of {len(composition.parts)} parts at {table['site'].nunique() - 2} sites")
