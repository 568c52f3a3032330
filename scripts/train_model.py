"""Train one network on one seed's words; write its weights, its snapshots and its loss curve."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr

from geometry.devices import select_device
from geometry.journal import open_journal
from geometry.process import Process
from geometry.storage import open_dataset, write_table, write_tensors
from geometry.tasks import process_of
from geometry.training import Progress, Recipe, snapshot_steps, train
from geometry.transformer import Transformer, transformer_config

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SECONDS_BETWEEN_REPORTS = 5.0


def read_batches(sequences: xr.Dataset) -> Iterator[np.ndarray]:
    """The batches in order, one chunk of the archive in memory at a time."""
    steps, block = sequences.sizes["step"], sequences["token"].encoding["chunks"][0]
    for start in range(0, steps, block):
        yield from sequences["token"][start : start + block].values


def reporter(journal, steps: int):
    """A function that tells the journal, every few seconds, the loss against the optimum and the time left."""
    begin = last = time.monotonic()

    def report(row: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if row.step == steps or now - last > SECONDS_BETWEEN_REPORTS:
            last = now
            left = (now - begin) / max(1, row.step) * (steps - row.step)
            journal.info(
                f"step {row.step}/{steps}  loss {row.loss_nats:.5f}  optimum {row.optimal_loss_nats:.5f}  "
                f"gap {row.gap_nats:.1e} nats  {left:.0f} s left"
            )

    return report


def train_network(process: Process, context: int, model: dict, training: dict, seed: int, batches, journal, device):
    """The trained network's snapshots (parameters stacked over steps), their steps, and its loss curve."""
    network = Transformer(transformer_config(process.n_tokens, context, model))
    network.initialize(torch.Generator().manual_seed(seed))
    network.to(device)
    recipe = Recipe(**{key: training[key] for key in Recipe.__dataclass_fields__})
    steps = snapshot_steps(training["first_snapshot"], recipe.steps, training["snapshots"])
    log_steps = {*np.linspace(0, recipe.steps, training["log_rows"]).round().astype(int).tolist(), *steps}
    rows, tell = [], reporter(journal, recipe.steps)

    def record(row: Progress) -> None:
        rows.append(asdict(row))
        tell(row)

    stacks = train(network, process, batches, recipe, model["bos"], steps, log_steps, record)
    return stacks, steps, pd.DataFrame(rows)


if __name__ == "__main__":
    journal = open_journal(snakemake.log[0], f"{snakemake.wildcards.experiment} seed {snakemake.wildcards.seed}")
    params = snakemake.params
    device = select_device(params.device, snakemake.threads)
    process = process_of(params.task)
    with open_dataset(snakemake.input.sequences) as sequences:
        stacks, steps, table = train_network(
            process,
            params.task["context"],
            params.model,
            params.training,
            int(snakemake.wildcards.seed),
            read_batches(sequences),
            journal,
            device,
        )
    write_tensors({name: stack[-1] for name, stack in stacks.items()}, snakemake.output.model)
    write_tensors({**stacks, "step": np.array(steps)}, snakemake.output.snapshots)
    write_table(table, snakemake.output.training)
    journal.info(f"{len(steps)} snapshots on {device} at steps {steps}")
