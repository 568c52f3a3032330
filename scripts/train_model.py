"""Train one network on one seed's words; write its weights, its snapshots and its loss curve."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr

from geometry.devices import describe_device, select_device
from geometry.job import Job
from geometry.process import Process
from geometry.storage import open_dataset, write_table, write_tensors
from geometry.tasks import process_of
from geometry.training import Recipe, Run, snapshot_steps, train
from geometry.transformer import Transformer, transformer_config
from geometry.unfinished import UnfinishedState

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SECONDS_BETWEEN_REPORTS = 5.0


def read_batches(sequences: xr.Dataset, first: int) -> Iterator[np.ndarray]:
    """The batches in order from the first wanted, one chunk of the archive in memory at a time."""
    steps, block = sequences.sizes["step"], sequences["token"].encoding["chunks"][0]
    for start in range(first // block * block, steps, block):
        yield from sequences["token"][start : start + block].values[max(0, first - start) :]


def reporter(job: Job, first: int):
    """A function that says, every few seconds, the loss against the optimum and the time left."""
    begin = last = time.monotonic()

    def report(run: Run) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > SECONDS_BETWEEN_REPORTS:
            last = now
            left = (now - begin) / (run.step - first) * (run.recipe.steps - run.step)
            job.info(f"{summary(run)}  {left:.0f} s left")

    return report


def summary(run: Run) -> str:
    row = run.rows[-1]
    return (
        f"step {run.step}/{run.recipe.steps}  loss {row.loss_nats:.5f}  optimum {row.optimal_loss_nats:.5f}  "
        f"gap {row.gap_nats:.1e} nats"
    )


def new_run(process: Process, context: int, model: dict, training: dict, seed: int, device: torch.device) -> Run:
    """A run before its first step, its network initialised from the seed."""
    network = Transformer(transformer_config(process.n_tokens, context, model))
    network.initialize(torch.Generator().manual_seed(seed))
    return Run(network.to(device), Recipe(**{key: training[key] for key in Recipe.__dataclass_fields__}))


def finish(run: Run, process: Process, sequences: xr.Dataset, bos: bool, training: dict, unfinished, job: Job) -> list:
    """Train from where a run stands to its end, saving its state now and then; returns the steps of the snapshots."""
    snapshots = snapshot_steps(training["first_snapshot"], run.recipe.steps, training["snapshots"])
    log_steps = {*np.linspace(0, run.recipe.steps, training["log_rows"]).round().astype(int).tolist(), *snapshots}
    report = reporter(job, run.step)

    def each_step(run: Run) -> None:
        report(run)
        unfinished.save_when_due(run.state)

    train(run, process, read_batches(sequences, run.step), bos, snapshots, log_steps, each_step)
    job.info(summary(run))
    return snapshots


if __name__ == "__main__":
    with Job(snakemake) as job, open_dataset(snakemake.input.sequences) as sequences:
        params = snakemake.params
        device = select_device(params.device, snakemake.threads)
        job.device = describe_device(device)
        process = process_of(params.task)
        run = new_run(process, params.task["context"], params.model, params.training, params.seed, device)
        unfinished = UnfinishedState(params.unfinished, [dict(params.items()), job.inputs, job.device])
        state = unfinished.load()
        if state is not None:
            run.restore(state)
            job.info(f"going on from step {run.step}")
        steps = finish(run, process, sequences, params.model["bos"], params.training, unfinished, job)
        write_tensors(run.snapshots[-1], snakemake.output.model)
        write_tensors({**run.stacked(), "step": np.array(steps)}, snakemake.output.snapshots)
        write_table(pd.DataFrame([asdict(row) for row in run.rows]), snakemake.output.training)
        job.info(f"{len(steps)} snapshots on {job.device} at steps {steps}")
    unfinished.discard()
