"""The exact loss of a network at each snapshot and position, in expectation over the task's prefixes."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.job import Job
from geometry.prefixes import asked
from geometry.storage import open_dataset, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def loss_table(truth: xr.Dataset, activations: xr.Dataset) -> pd.DataFrame:
    """Loss, optimum and gap in nats, per step and number of observed tokens."""
    truth = truth.isel(prefix=asked(truth))
    optimal = truth["next_token_probability"].values
    weight, length = truth["weight"].values, truth["length"].values
    positions = np.unique(length)
    entropy = truth["optimal_loss_nats"].values[positions]
    tables = []
    for index, step in enumerate(activations["step"].values):
        predicted = activations["log_probability"][index].values.astype(np.float64)
        loss = np.bincount(length, weight * -(optimal * predicted).sum(axis=1))[positions]
        columns = {
            "seed": activations["seed"].values[index],
            "step": step,
            "position": positions,
            "loss_nats": loss,
            "optimal_loss_nats": entropy,
        }
        tables.append(pd.DataFrame({**columns, "gap_nats": loss - entropy}))
    return pd.concat(tables)


if __name__ == "__main__":
    with Job(snakemake) as job:
        with (
            open_dataset(snakemake.input.ground_truth) as truth,
            open_dataset(snakemake.input.activations) as activations,
        ):
            table = loss_table(truth, activations)
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(table, snakemake.output.loss)
        last = table[table["step"] == table["step"].max()].mean(numeric_only=True)
        job.info(
            f"loss {last['loss_nats']:.6f}, optimum {last['optimal_loss_nats']:.6f}, gap {last['gap_nats']:.1e} nats"
        )
