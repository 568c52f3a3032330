"""How many dimensions true and decoded beliefs have, scale by scale, and down to which scale they are the same set.

Scales are in units of the root mean square distance of two true beliefs. All sets are of the same prefixes: of the
greatest length, drawn by their probability.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from geometry.probing.probe_table import decoded_beliefs
from geometry.processes.fractal_dimension import (
    belief_set_dimension,
    box_counts,
    correlation_integral,
    exponents_of_sequences,
    has_finite_beliefs,
    local_slopes,
    lyapunov_exponents,
    resolution,
    rms_distance,
    slope_between,
)
from geometry.processes.prefix_tree import tree_of
from geometry.processes.process import Process
from geometry.provenance.job import Job
from geometry.recovery.recovery_scores import alignment, read_recovered
from geometry.recovery.spectral_learning import filter_beliefs
from geometry.storage import open_dataset
from geometry.tables import write_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SCALES = np.logspace(-3, 0.3, 34)

RANGE = 0.01, 0.3
"""The scales between which a slope is called a dimension."""

FACTOR = 1.1
"""Correlation integrals that differ by more than this factor are those of different sets."""

FEWEST_PAIRS = 1000
"""Pairs below which a share of the sample is too rough to compare, to 3 %."""

SAME = 1e-9
"""A distance of beliefs that is rounding."""

COLUMNS = ["experiment", "seed", "step", "set", "scale", "measure", "value"]


class Origin(NamedTuple):
    """What a set of beliefs, or a process, is: the true one, decoded, or recovered; and of which network, if of one."""

    set: str
    seed: int | None = None
    step: int | None = None


TRUE = Origin("true")


def draw_prefixes(truth: xr.Dataset, n_points: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Prefixes of the greatest length, drawn by their probability, each once; and how often each was drawn."""
    length, weight = truth["length"].values, truth["weight"].values
    longest = np.flatnonzero(length == length.max())
    share = weight[longest] / weight[longest].sum()
    drawn, count = np.unique(rng.choice(longest, size=n_points, p=share), return_counts=True)
    return drawn, count.astype(np.float64)


def set_rows(points: np.ndarray, weight: np.ndarray, integral: np.ndarray) -> Iterator[tuple]:
    """Scale, measure and value of all that is told of one set, in units in which `SCALES` are."""
    middle, slopes = local_slopes(SCALES, integral)
    yield from zip(SCALES, ["correlation_integral"] * len(SCALES), integral, strict=True)
    yield from zip(middle, ["local_slope"] * len(middle), slopes, strict=True)
    counts, effective = box_counts(points, weight, SCALES)
    yield from zip(SCALES, ["box_count"] * len(SCALES), counts, strict=True)
    yield from zip(SCALES, ["effective_box_count"] * len(SCALES), effective, strict=True)
    yield np.nan, "correlation_dimension", slope_between(SCALES, integral, *RANGE)
    yield np.nan, "information_dimension", -slope_between(SCALES, effective, *RANGE)
    yield np.nan, "box_dimension", -slope_between(SCALES, counts.astype(np.float64), *RANGE)


def process_rows(process: Process, rng: np.random.Generator) -> Iterator[tuple]:
    """Lyapunov exponents, and the dimension that they give: from random words, and from all words of some tokens."""
    for name, exponents in {"": lyapunov_exponents(process, rng), "_of_words": exponents_of_sequences(process)}.items():
        yield np.nan, f"kaplan_yorke{name}", belief_set_dimension(process, exponents)
        for place, exponent in enumerate(exponents, 1):
            yield np.nan, f"lyapunov_exponent_{place}{name}_nats", exponent


def dimension_rows(
    sets: Mapping[Origin, np.ndarray], processes: Mapping[Origin, Process], weight: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """The table of some sets of beliefs, with the same prefixes in each and the true one among them, and processes.

    `weight` is how often each prefix was drawn. Where the true beliefs are all the same, there is no unit of distance,
    and of the sets nothing is told.
    """
    unit = rms_distance(sets[TRUE], weight)
    rows = [(*TRUE, np.nan, "rms_distance", unit)]
    if unit < SAME:
        sets = {}
    integrals = {origin: correlation_integral(points / unit, weight, SCALES) for origin, points in sets.items()}
    n_pairs = (weight.sum() ** 2 - (weight**2).sum()) / 2
    compared = np.zeros(len(SCALES), dtype=bool)
    if sets and not has_finite_beliefs(processes[TRUE]):
        compared = integrals[TRUE] * n_pairs >= FEWEST_PAIRS
    for origin, points in sets.items():
        rows += [(*origin, *row) for row in set_rows(points / unit, weight, integrals[origin])]
        if origin != TRUE and compared.any():
            pair = SCALES[compared], integrals[TRUE][compared], integrals[origin][compared]
            rows.append((*origin, np.nan, "resolution", resolution(*pair, FACTOR)))
    for origin, process in processes.items():
        rows += [(*origin, *row) for row in process_rows(process, rng)]
    table = pd.DataFrame(rows, columns=["set", "seed", "step", *COLUMNS[4:]])
    return table.astype({"seed": "Int64", "step": "Int64"})


def measure_dimension(
    truth: xr.Dataset,
    decoded: xr.Dataset,
    generator: xr.Dataset,
    process: Process,
    site: str,
    n_points: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """The table of one run: the true beliefs, those decoded at each snapshot, and those of the recovered processes."""
    prefixes, weight = draw_prefixes(truth, n_points, rng)
    sets = {TRUE: truth["target"].values[prefixes]}
    networks = list(zip(decoded["seed"].values.tolist(), decoded["step"].values.tolist(), strict=True))
    for (of_seed, step), beliefs in zip(networks, decoded_beliefs(decoded, site), strict=True):
        sets[Origin("decoded", of_seed, step)] = beliefs[prefixes].astype(np.float64)
    processes, tree = {TRUE: process}, tree_of(truth)
    for index, (of_seed, step) in enumerate(networks):
        one = generator.isel(snapshot=index, source=list(generator["source"].values).index(site))
        recovered = read_recovered(one).process
        if recovered is not None:
            origin = Origin("recovered", of_seed, step)
            belief = filter_beliefs(recovered, tree).belief
            linear = alignment(belief, truth["target"].values, truth["weight"].values)
            sets[origin], processes[origin] = belief[prefixes] @ linear, recovered
    return dimension_rows(sets, processes, weight, rng)


if __name__ == "__main__":
    with Job(snakemake) as job:
        params = snakemake.params
        process, rng = process_of(params.task), np.random.default_rng(params.probe["seed"])
        with (
            open_dataset(snakemake.input.ground_truth) as truth,
            open_dataset(snakemake.input.decoded) as decoded,
            open_dataset(snakemake.input.generator) as generator,
        ):
            table = measure_dimension(truth, decoded, generator, process, params.site, params.n_points, rng)
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(table[COLUMNS], snakemake.output.dimension)
        told = table[table["measure"].isin(["kaplan_yorke", "resolution"])]
        job.info(f"{params.site}: Kaplan-Yorke dimension, then resolutions: {told['value'].round(4).tolist()}")
