"""Train one network on one seed's words; write its weights, its snapshots and its loss curve."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr

from geometry.networks.build import build_network
from geometry.networks.devices import describe_device, select_device
from geometry.networks.origins import RANDOM_INIT, TRAINED, origin_codes
from geometry.processes.belief_states import complete_tree
from geometry.provenance.job import Job
from geometry.schemas.training import Training
from geometry.storage import open_dataset, write_tensors
from geometry.tables import write_table
from geometry.tasks.task import is_modular, process_of
from geometry.training.batches import dense_batch, full_distribution_batch, packed_batch, pair_batch, worth_packing
from geometry.training.resume import UnfinishedState
from geometry.training.train import Recipe, TrainingRun, snapshot_steps, train

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SECONDS_BETWEEN_REPORTS = 5.0


def read_sequences(sequences: xr.Dataset, first: int) -> Iterator[np.ndarray]:
    """The words of each step from the first wanted, one chunk of the archive in memory at a time."""
    steps, block = sequences.sizes["step"], sequences["token"].encoding["chunks"][0]
    for start in range(first // block * block, steps, block):
        yield from sequences["token"][start : start + block].values[max(0, first - start) :]


def batches(sequences: xr.Dataset | None, task: dict, bos: bool, labels: str, first: int, log_steps: set[int]):
    """The batch of each step from the first wanted; without words, the whole tree at each."""
    process = process_of(task)
    if is_modular(task):
        yield from repeat(pair_batch(process))
    elif sequences is None:
        tree = complete_tree(process, task["context"], sys.maxsize)
        yield from repeat(full_distribution_batch(process, tree, bos))
    else:
        form = packed_batch if worth_packing(sequences["token"][0].values) else dense_batch
        for step, words in enumerate(read_sequences(sequences, first), first):
            yield form(words, process, bos, labels, with_optimum=step in log_steps)


def reporter(job: Job, first: int):
    """A function that says, every few seconds, the loss against the optimum and the time left."""
    begin = last = time.monotonic()

    def report(run: TrainingRun) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > SECONDS_BETWEEN_REPORTS:
            last = now
            left = (now - begin) / (run.step - first) * (run.recipe.steps - run.step)
            job.info(f"{summary(run)}  {left:.0f} s left")

    return report


def summary(run: TrainingRun) -> str:
    row = run.rows[-1]
    return (
        f"step {run.step}/{run.recipe.steps}  loss {row.loss_nats:.5f}  optimum {row.optimal_loss_nats:.5f}  "
        f"gap {row.gap_nats:.1e} nats"
    )


def new_run(params, device: torch.device) -> TrainingRun:
    """A run before its first step, its network initialised from the seed."""
    n_tokens, context = process_of(params.task).n_tokens, params.task["context"]
    network = build_network(n_tokens, context, params.model)
    network.initialize(torch.Generator().manual_seed(params.seed))
    return TrainingRun(network.to(device), Recipe(**{key: params.training[key] for key in Recipe.__dataclass_fields__}))


def finish(run: TrainingRun, params, sequences: xr.Dataset | None, unfinished: UnfinishedState, job: Job) -> list[int]:
    """Train from where a run stands to its end, saving its state now and then; returns the steps of the snapshots."""
    training = params.training
    snapshots = snapshot_steps(training["first_snapshot"], run.recipe.steps, training["snapshots"])
    log_steps = {*np.linspace(0, run.recipe.steps, training["log_rows"]).round().astype(int).tolist(), *snapshots}
    report = reporter(job, run.step)

    def each_step(run: TrainingRun) -> None:
        report(run)
        unfinished.save_when_due(run.state)

    read = batches(sequences, params.task, params.model["bos"], training["labels"], run.step, log_steps)
    train(run, read, snapshots, log_steps, each_step)
    job.info(summary(run))
    return snapshots


if __name__ == "__main__":
    with Job(snakemake) as job, ExitStack() as stack:
        params, words = snakemake.params, list(snakemake.input)
        sequences = stack.enter_context(open_dataset(words[0])) if words else None
        device = select_device(params.device, snakemake.threads)
        job.device = describe_device(device)
        run = new_run(params, device)
        unfinished = UnfinishedState(params.unfinished, [dict(params.items()), job.inputs, job.device])
        state = unfinished.load()
        if state is not None:
            run.restore(state)
            job.info(f"going on from step {run.step}")
        steps = finish(run, params, sequences, unfinished, job)
        stacks = run.stacked()
        write_tensors({name: stack[-1] for name, stack in stacks.items()}, snakemake.output.model)
        axis = {"step": np.array(steps), "seed": np.full(len(steps), params.seed)}
        axis["origin"] = origin_codes(TRAINED if step else RANDOM_INIT for step in steps)
        write_tensors(stacks | axis, snakemake.output.snapshots)
        write_table(pd.DataFrame([asdict(row) for row in run.rows]), snakemake.output.training, Training)
        job.info(f"{len(steps)} snapshots on {job.device} at steps {steps}")
    unfinished.discard()
