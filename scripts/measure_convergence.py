"""How near decoded beliefs come to the true ones, beside observers who recall only the last tokens.

Errors are root mean square distances, weighted by the probability of the prefix. The beliefs are decoded
from each residual stream, each prefix by a probe fitted without it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.horizon import memory_reached, mixing_rate, observer_beliefs, rms_errors
from geometry.job import Job
from geometry.prefixes import tree_of
from geometry.process import Process
from geometry.sites import is_stream
from geometry.storage import open_dataset, write_table
from geometry.tasks import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

COLUMNS = ["experiment", "seed", "step", "site", "position", "n_recalled", "measure", "value"]


def observer_errors(truth: xr.Dataset, process: Process) -> np.ndarray:
    """The error of who recalls 0, 1, ... tokens, at each position; shape (recalled, position)."""
    tree, weight, belief = tree_of(truth), truth["weight"].values, truth["target"].values
    prior = np.broadcast_to(process.stationary_distribution, belief.shape)
    observers = [prior, *observer_beliefs(process, tree, belief)]
    return np.array([rms_errors(tree, weight, belief, observer) for observer in observers])


def decoded_errors(truth: xr.Dataset, decoded: xr.Dataset) -> Iterator[tuple[int, int, str, np.ndarray]]:
    """Seed, step, site and error at each position, at the first and the last snapshot."""
    tree, weight, belief = tree_of(truth), truth["weight"].values, truth["target"].values
    split = decoded["split"].values.tolist().index("held_out_prefix")
    for index in dict.fromkeys([0, decoded.sizes["snapshot"] - 1]):
        seed, step = (int(decoded[name][index]) for name in ("seed", "step"))
        for place, site in enumerate(decoded["site"].values.tolist()):
            if is_stream(site):
                found = decoded["decoded_belief"][split, index, place].values
                yield seed, step, site, rms_errors(tree, weight, belief, found)


def measure_convergence(truth: xr.Dataset, decoded: xr.Dataset, process: Process) -> pd.DataFrame:
    """The table of one run."""
    observers = observer_errors(truth, process)
    longest = observers.shape[1]
    expected = observers[1, -1] * mixing_rate(process) ** np.arange(longest)
    rows = [(None, None, "", longest, k + 1, "mixing_rate", value) for k, value in enumerate(expected)]
    for k, errors in enumerate(observers):
        rows += [(None, None, "", place, k, "observer_error", error) for place, error in enumerate(errors, 1)]
    for seed, step, site, errors in decoded_errors(truth, decoded):
        which = seed, step, site
        rows += [(*which, place, None, "belief_error", error) for place, error in enumerate(errors, 1)]
        rows.append((*which, longest, None, "memory_reached", memory_reached(errors[-1], observers[:, -1])))
    table = pd.DataFrame(rows, columns=COLUMNS[1:])
    return table.astype(dict.fromkeys(["seed", "step", "position", "n_recalled"], "Int64"))


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as decoded:
            table = measure_convergence(truth, decoded, process_of(snakemake.params.task))
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(table, snakemake.output.convergence)
        reached = table[(table["measure"] == "memory_reached") & (table["step"] == table["step"].max())]
        job.info(f"tokens recalled by site: {dict(zip(reached['site'], reached['value'].round(2), strict=True))}")
