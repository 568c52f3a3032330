"""Dimensions of decoded and recovered beliefs by scale, and the scale down to which they are the set of true ones.

Scales are in units of the root mean square distance of two true beliefs. All sets are of the same prefixes: of the
greatest length, drawn by their probability.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.snapshots import first_network
from geometry.probing.probe_table import decoded_beliefs
from geometry.processes.belief_set import SAME, SCALES, DimensionRow, draw_prefixes, process_rows, set_rows
from geometry.processes.fractal_dimension import resolution
from geometry.processes.prefix_tree import tree_of
from geometry.processes.process import Process
from geometry.provenance.job import Job
from geometry.recovery.recovery_scores import alignment, read_recovered
from geometry.recovery.spectral_learning import filter_beliefs
from geometry.schemas.structure import Dimension
from geometry.storage import open_dataset
from geometry.tables import read_table, select, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

FACTOR = 1.1
"""Correlation integrals that differ by more than this factor are those of different sets."""

FEWEST_PAIRS = 1000
"""Pairs below which a share of the sample is too rough to compare, to 3 %."""


class BeliefSet(NamedTuple):
    """Beliefs after the drawn prefixes, and the process that they were filtered with, if they were."""

    set: str
    seed: int
    step: int
    origin: str
    points: np.ndarray
    process: Process | None


class TrueSet(NamedTuple):
    """The root mean square distance of two true beliefs, their correlation integral, and whether they are finite."""

    rms_distance: float
    integral: np.ndarray
    is_finite: bool


def read_true(table: pd.DataFrame) -> TrueSet:
    """The true set from its table."""
    value = table.drop_duplicates("measure").set_index("measure")["value"]
    integral = select(table, measure="correlation_integral")["value"].to_numpy()
    return TrueSet(value["rms_distance"], integral, bool(value["has_finite_beliefs"]))


def sets_of_run(
    truth: xr.Dataset, decoded: xr.Dataset, generator: xr.Dataset, site: str, prefixes
) -> Iterator[BeliefSet]:
    """The beliefs of each snapshot at the drawn prefixes: decoded at the site, then those of the recovered process."""
    axis = (decoded[name].values.tolist() for name in ("seed", "step", "origin"))
    networks = list(zip(*axis, strict=True))
    for network, beliefs in zip(networks, decoded_beliefs(decoded, site), strict=True):
        yield BeliefSet("decoded", *network, beliefs[prefixes].astype(np.float64), None)
    tree, place = tree_of(truth), list(generator["source"].values).index(site)
    for index, network in enumerate(networks):
        process = read_recovered(generator.isel(snapshot=index, source=place)).process
        if process is not None:
            belief = filter_beliefs(process, tree).belief
            linear = alignment(belief, truth["target"].values, truth["weight"].values)
            yield BeliefSet("recovered", *network, belief[prefixes] @ linear, process)


def rows_of(one: BeliefSet, true: TrueSet, weight: np.ndarray, seed: int) -> Iterator[DimensionRow]:
    """The measures of a set, its resolution, and the exponents of its process.

    Where the true beliefs are all the same, there is no unit of distance, and a set has no measures.
    """
    if true.rms_distance >= SAME:
        rows = list(set_rows(one.points / true.rms_distance, weight))
        yield from rows
        n_pairs = (weight.sum() ** 2 - (weight**2).sum()) / 2
        compared = true.integral * n_pairs >= FEWEST_PAIRS
        if compared.any() and not true.is_finite:
            integral = np.array([row.value for row in rows if row.measure == "correlation_integral"])
            pair = SCALES[compared], true.integral[compared], integral[compared]
            yield DimensionRow(np.nan, "resolution", None, resolution(*pair, FACTOR))
    if one.process is not None:
        yield from process_rows(one.process, np.random.default_rng(seed))


def dimension_table(sets: Iterator[BeliefSet], true: TrueSet, weight: np.ndarray, seed: int) -> pd.DataFrame:
    """The table of some sets of beliefs at the same prefixes; `weight` is how often each prefix was drawn."""
    rows = [(*one[:4], *row) for one in sets for row in rows_of(one, true, weight, seed)]
    return pd.DataFrame(rows, columns=["set", "seed", "step", "origin", *DimensionRow._fields]).astype(
        {"index": "Int64"}
    )


if __name__ == "__main__":
    with Job(snakemake) as job:
        params, true = snakemake.params, read_true(read_table(snakemake.input.of_process))
        with (
            open_dataset(snakemake.input.ground_truth) as truth,
            open_dataset(snakemake.input.decoded) as decoded,
            open_dataset(snakemake.input.generator) as generator,
        ):
            # Of a finite set there is no resolution to compare networks by.
            runs = [first_network(run) if true.is_finite else run for run in (decoded, generator)]
            prefixes, weight = draw_prefixes(truth, params.n_points, np.random.default_rng(params.seed))
            sets = sets_of_run(truth, *runs, params.site, prefixes)
            table = dimension_table(sets, true, weight, params.seed)
        table = table.assign(experiment=snakemake.wildcards.experiment)
        write_table(table, snakemake.output.dimension, Dimension)
        shown = table[table["measure"].isin(["kaplan_yorke", "resolution"])]
        job.info(f"{params.site}: resolutions, then Kaplan-Yorke dimensions: {shown['value'].round(4).tolist()}")
