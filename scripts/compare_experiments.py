"""One table of the networks that share a task: how well each predicts, what it holds, and what comes out of it."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geometry.probing.cloud_shape import affine_dimension
from geometry.probing.probe_table import PROBED, last_layer_output
from geometry.provenance.job import Job
from geometry.schemas.study import Comparison
from geometry.storage import open_dataset
from geometry.tables import by_seed, select, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def belief_dimension(path: str) -> int:
    """The number of dimensions that the beliefs of a task span."""
    with open_dataset(path) as truth:
        return affine_dimension(np.cov(truth["target"].values.T, aweights=truth["weight"].values))


def compare(loss: pd.DataFrame, probe: pd.DataFrame, recovery: pd.DataFrame) -> pd.DataFrame:
    """The scores of one trained network at its last step, by measure."""
    site = last_layer_output(probe)
    ends = probe["step"].max()
    where = {"target": "belief_state", "features": "activations", "metric": "r2"} | PROBED
    r2 = select(probe, site=site, step=ends, **where)["value"]
    found = select(recovery, source=site, step=ends).set_index("measure")["value"]
    values = {
        "loss_gap_nats": select(loss, step=ends)["gap_nats"].mean(),
        "belief_r2": r2.item(),
        "kl_rate_nats": found.get("kl_rate_nats"),
        "rank": found["rank"],
    }
    return pd.DataFrame({"seed": probe["seed"].iloc[0], "measure": values.keys(), "value": values.values()})


if __name__ == "__main__":
    with Job(snakemake) as job:
        networks, tables = snakemake.params.networks, []
        dimensions = map(belief_dimension, snakemake.input.ground_truth)
        dimension = dict(zip(snakemake.params.tasks, dimensions, strict=True))
        for paths in zip(snakemake.input.loss, snakemake.input.probe, snakemake.input.recovery, strict=True):
            for read in zip(*(by_seed([path]) for path in paths), strict=True):
                name = read[0]["experiment"].iloc[0]
                row = {"experiment": name, **networks[name], "belief_dimension": dimension[networks[name]["task"]]}
                tables.append(compare(*read).assign(**row))
        table = pd.concat(tables)
        write_table(table, snakemake.output.comparison, Comparison)
        job.info(f"{len(networks)} experiments on {len(dimension)} tasks")
