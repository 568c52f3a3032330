"""How near decoded beliefs come to the true ones, beside observers who recall only the last tokens.

Errors are root mean square distances, weighted by the probability of the prefix. The beliefs are decoded
from each stream (without any, from the last site), each prefix by a probe fitted without it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.hook_points import is_layer_output
from geometry.processes.finite_memory import memory_reached, mixing_rate, observer_beliefs, rms_errors
from geometry.processes.fractal_dimension import lyapunov_exponents
from geometry.processes.prefix_tree import tree_of
from geometry.processes.process import Process
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import write_table
from geometry.tasks.task import process_of

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
    sites = decoded["site"].values.tolist()
    for index in dict.fromkeys([0, decoded.sizes["snapshot"] - 1]):
        seed, step = (int(decoded[name][index]) for name in ("seed", "step"))
        for site in list(filter(is_layer_output, sites)) or sites[-1:]:
            found = decoded["decoded_belief"][split, index, sites.index(site)].values
            yield seed, step, site, rms_errors(tree, weight, belief, found)


def measure_convergence(truth: xr.Dataset, decoded: xr.Dataset, process: Process, seed: int) -> pd.DataFrame:
    """The table of one run, with two rates of theory, each scaled to who recalls one token.

    What is known of the hidden state fades with the second eigenvalue of its chain, if tokens are not seen; seen,
    the tokens of a typical word contract beliefs with the difference of the first two Lyapunov exponents.
    """
    observers = observer_errors(truth, process)
    longest = observers.shape[1]
    exponents = lyapunov_exponents(process, np.random.default_rng(seed))
    contraction = np.exp(exponents[1] - exponents[0]) if len(exponents) > 1 else 0.0
    rows = []
    for name, rate in (("mixing", mixing_rate(process)), ("contraction", contraction)):
        expected = observers[1, -1] * rate ** np.arange(longest)
        rows += [(None, None, "", longest, k, name, value) for k, value in enumerate(expected, 1)]
    for k, errors in enumerate(observers):
        rows += [(None, None, "", place, k, "observer_error", error) for place, error in enumerate(errors, 1)]
    for *which, errors in decoded_errors(truth, decoded):
        rows += [(*which, place, None, "belief_error", error) for place, error in enumerate(errors, 1)]
        rows.append((*which, longest, None, "memory_reached", memory_reached(errors[-1], observers[:, -1])))
    table = pd.DataFrame(rows, columns=COLUMNS[1:])
    return table.astype(dict.fromkeys(["seed", "step", "position", "n_recalled"], "Int64"))


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as decoded:
            process, seed = process_of(snakemake.params.task), snakemake.params.probe["seed"]
            table = measure_convergence(truth, decoded, process, seed)
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(table, snakemake.output.convergence)
        reached = table[(table["measure"] == "memory_reached") & (table["step"] == table["step"].max())]
        job.info(f"tokens recalled by site: {dict(zip(reached['site'], reached['value'].round(2), strict=True))}")
