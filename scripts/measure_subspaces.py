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
    covariance,
    encoding,
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


def subspace_rows(
    x: np.ndarray, truth: xr.Dataset, composition: Composition, parts: list[np.ndarray]
) -> Iterator[SubspaceRow]:
    """The measures of some features, one row for each prefix; `parts` are the beliefs of the parts, side by side."""
    weight = truth["weight"].values / truth["weight"].values.sum()
    x = x.astype(np.float64)
    spread, (bases, explained) = covariance(x, x, weight), encoding(x, parts, weight)
    yield SubspaceRow("explained_by_parts", None, explained)
    yield SubspaceRow("explained_by_belief", None, encoding(x, [truth["target"].values], weight)[1])
    yield SubspaceRow("encoding_overlap", None, overlap(bases))
    if composition.kind == PRODUCT:
        yield SubspaceRow("vary_one_overlap", None, overlap(vary_one(x, tree_of(truth), composition, weight)))
    sizes, rng = [part.marginal.shape[1] - 1 for part in composition.parts], np.random.default_rng(SAMPLING_SEED)
    yield SubspaceRow("random_overlap", None, random_overlap(spread, sizes, rng))
    shares = variance_shares(spread)
    for percent in PERCENT:
        yield SubspaceRow("dimensions", percent, float(np.searchsorted(shares, percent / 100) + 1))
    yield from (SubspaceRow("variance_share", k, share) for k, share in enumerate(shares[:MOST_COMPONENTS], 1))


def measure_subspaces(truth: xr.Dataset, activations: xr.Dataset, composition: Composition) -> pd.DataFrame:
    """The table of all networks of a run, by site and snapshot; then that of the beliefs themselves."""
    target, rows = truth["target"].values, []
    parts = [target @ part.marginal for part in composition.parts]
    of_networks = list(zip(*(activations[name].values.tolist() for name in ("seed", "step", "origin")), strict=True))
    sites = [(place, site) for place, site in enumerate(activations["site"].values.tolist()) if is_layer_output(site)]
    for index, network in enumerate(of_networks):
        for place, site in sites:
            found = subspace_rows(activations["activation"][index, place].values, truth, composition, parts)
            rows += [(*network, site, *row) for row in found]
    for site, x in ((BELIEF_STATE, target), (PART_BELIEFS, np.hstack(parts))):
        found = list(subspace_rows(x, truth, composition, parts))
        rows += [(*network, site, *row) for network in of_networks for row in found]
    columns = ["seed", "step", "origin", "site", *SubspaceRow._fields]
    return pd.DataFrame(rows, columns=columns).astype({"index": "Int64"})


if __name__ == "__main__":
    with Job(snakemake) as job:
        with (
            open_dataset(snakemake.input.ground_truth) as truth,
            open_dataset(snakemake.input.activations) as activations,
        ):
            composition = process_of(snakemake.params.task).composition
            table = measure_subspaces(truth, activations, composition)
        write_table(table.assign(experiment=snakemake.wildcards.experiment), snakemake.output.subspaces, Subspaces)
        job.info(f"{composition.kind} of {len(composition.parts)} parts at {table['site'].nunique() - 2} sites")
