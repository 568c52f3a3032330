"""Train one network on one seed's sequences; write its weights, its snapshots and its loss curve."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain, repeat
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr

from geometry.networks.build import build_network
from geometry.networks.devices import describe_device, select_device
from geometry.networks.origins import RANDOM_INIT, TRAINED, origin_codes
from geometry.networks.snapshots import named_by_seed
from geometry.provenance.job import Job
from geometry.schemas.training import Training
from geometry.storage import open_dataset, write_tensors
from geometry.tables import write_table
from geometry.tasks.task import process_of, task_of
from geometry.training.batches import FULL_BATCHES, Batch, PairBatch, dense_batch, packed_batch, worth_packing
from geometry.training.engines import gradient_engine
from geometry.training.resume import ResumeState
from geometry.training.train import Recipe, TrainingRun, snapshot_steps, train

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SECONDS_BETWEEN_REPORTS = 5.0


def read_sequences(sequences: xr.DataArray, first: int) -> Iterator[np.ndarray]:
    """The sequences of each step from `first` on, with one chunk of the archive in memory at a time."""
    steps, block = sequences.sizes["step"], sequences.encoding["chunks"][1]
    for start in range(first // block * block, steps, block):
        yield from sequences[start : start + block].values[max(0, first - start) :]


def batches(
    sequences: xr.DataArray | None, task: dict, bos: bool, labels: str, first: int, log_steps: set[int]
) -> Iterator[Batch | PairBatch]:
    """The batch of each step from `first` on, all of one kind; without sequences, the same full batch at each."""
    if sequences is None:
        yield from repeat(FULL_BATCHES[task_of(task).kind](task_of(task), bos))
    else:
        process = process_of(task)
        form = packed_batch if worth_packing(sequences[0].values) else dense_batch
        for step, tokens in enumerate(read_sequences(sequences, first), first):
            yield form(tokens, process, bos, labels, with_optimum=step in log_steps)


def reporter(job: Job, first: int):
    """A function that logs, every few seconds, the loss, its optimum and the remaining time."""
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


def new_run(seed: int, params, device: torch.device) -> TrainingRun:
    """The training of one network before its first step, initialised from the seed."""
    n_tokens, context = task_of(params.task).n_tokens, params.task["context"]
    network = build_network(n_tokens, context, params.model)
    network.initialize(torch.Generator().manual_seed(seed))
    return TrainingRun(network.to(device), Recipe(**{key: params.training[key] for key in Recipe.__dataclass_fields__}))


def finish(run: TrainingRun, params, sequences: xr.DataArray | None, resume: ResumeState, job: Job) -> list[int]:
    """Train from the run's current step to its last, saving its state at intervals; returns the snapshots' steps."""
    training = params.training
    snapshots = snapshot_steps(training["first_snapshot"], run.recipe.steps, training["snapshots"])
    log_steps = {*np.linspace(0, run.recipe.steps, training["log_rows"]).round().astype(int).tolist(), *snapshots}
    report = reporter(job, run.step)

    def each_step(run: TrainingRun) -> None:
        report(run)
        resume.save_when_due(run.state, always=run.step == run.recipe.steps and len(params.seeds) > 1)

    read = batches(sequences, params.task, params.model["bos"], training["labels"], run.step, log_steps)
    first = next(read)
    engine = gradient_engine(run.model, run.vector, first.kind)
    train(run, engine, chain([first], read), snapshots, log_steps, each_step)
    job.info(summary(run))
    return snapshots


def written(steps: list[int], networks: dict[int, dict[str, np.ndarray]]) -> tuple[dict, dict]:
    """The weights at the last step, and at all snapshots, network by network; of networks by their seed."""
    seeds, n = list(networks), len(steps)
    stacks = {name: np.concatenate([stacks[name] for stacks in networks.values()]) for name in networks[seeds[0]]}
    axis = {"step": np.tile(steps, len(seeds)), "seed": np.repeat(seeds, n)}
    axis["origin"] = origin_codes([TRAINED if step else RANDOM_INIT for step in steps] * len(seeds))
    last = {seed: {name: stack[-1] for name, stack in own.items()} for seed, own in networks.items()}
    return named_by_seed(last), stacks | axis


if __name__ == "__main__":
    with Job(snakemake) as job, ExitStack() as stack:
        params, inputs = snakemake.params, list(snakemake.input)
        sequences = stack.enter_context(open_dataset(inputs[0])) if inputs else None
        device = select_device(params.device, snakemake.threads)
        job.device = describe_device(device)
        settings = {name: value for name, value in params.items() if name != "seeds"}
        networks, tables, states = {}, [], []
        for place, seed in enumerate(params.seeds):
            run = new_run(seed, params, device)
            made_from = [settings | {"seed": seed}, job.inputs, job.device]
            states.append(ResumeState(f"{params.unfinished}_seed_{seed}.safetensors", made_from))
            if (state := states[-1].load()) is not None:
                run.restore(state)
                job.info(f"seed {seed}: resuming at step {run.step}")
            own = None if sequences is None else sequences["token"][place]
            steps = finish(run, params, own, states[-1], job)
            networks[seed] = run.stacked()
            tables.append(pd.DataFrame([asdict(row) for row in run.rows]).assign(seed=seed))
        last, snapshots = written(steps, networks)
        write_tensors(last, snakemake.output.model)
        write_tensors(snapshots, snakemake.output.snapshots)
        write_table(pd.concat(tables), snakemake.output.training, Training)
        job.info(f"{len(networks)} networks, {len(steps)} snapshots each, on {job.device} at steps {steps}")
    for state in states:
        state.discard()
