"""Errors of decoded beliefs by position, and the memory of an observer with the same error.

Errors are root mean square distances, weighted by the probability of the prefix. The beliefs are decoded
from each layer output (without any, from the last site), each prefix by a probe fitted without it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.hook_points import is_layer_output
from geometry.networks.snapshots import ends_of_each
from geometry.processes.finite_memory import memory_reached, rms_errors
from geometry.processes.prefix_tree import tree_of
from geometry.provenance.job import Job
from geometry.schemas.structure import Convergence
from geometry.storage import open_dataset
from geometry.tables import read_table, select, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def decoded_errors(truth: xr.Dataset, decoded: xr.Dataset) -> Iterator[tuple[int, int, str, str, np.ndarray]]:
    """Seed, step, origin, site and error at each position, at the first and the last snapshot of each network."""
    tree, weight, belief = tree_of(truth), truth["weight"].values, truth["target"].values
    split = decoded["split"].values.tolist().index("held_out_prefix")
    sites = decoded["site"].values.tolist()
    for index in ends_of_each(decoded["seed"].values):
        network = [decoded[name].values[index] for name in ("seed", "step", "origin")]
        for site in list(filter(is_layer_output, sites)) or sites[-1:]:
            found = decoded["decoded_belief"][split, index, sites.index(site)].values
            yield *network, site, rms_errors(tree, weight, belief, found)


def measure_convergence(truth: xr.Dataset, decoded: xr.Dataset, observers: np.ndarray) -> pd.DataFrame:
    """The table of one run; `observers` are the errors of 0, 1, ... tokens of memory after the longest prefixes."""
    rows = []
    for *network, errors in decoded_errors(truth, decoded):
        rows += [(*network, position, "belief_error", error) for position, error in enumerate(errors, 1)]
        rows.append((*network, len(errors), "memory_reached", memory_reached(errors[-1], observers)))
    return pd.DataFrame(rows, columns=["seed", "step", "origin", "site", "position", "measure", "value"])


def errors_at_longest(of_process: pd.DataFrame) -> np.ndarray:
    """The errors of observers with 0, 1, ... tokens of memory after the longest prefixes, from the process's table."""
    errors = select(of_process, measure="observer_error")
    return select(errors, position=errors["position"].max()).sort_values("n_recalled")["value"].to_numpy()


if __name__ == "__main__":
    with Job(snakemake) as job:
        observers = errors_at_longest(read_table(snakemake.input.of_process))
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as decoded:
            table = measure_convergence(truth, decoded, observers)
        table = table.assign(experiment=snakemake.wildcards.experiment)
        write_table(table, snakemake.output.convergence, Convergence)
        reached = table[(table["measure"] == "memory_reached") & (table["step"] == table["step"].max())]
        means = reached.groupby("site", sort=False)["value"].mean()
        job.info(f"tokens recalled by site: {means.round(2).to_dict()}")
