"""The circuit of a network of modular arithmetic at each snapshot: its waves, and its losses with and without them.

The key frequencies are those of the last snapshot, also in the restricted and excluded loss of earlier ones: in
hindsight, as in Nanda et al. (2023). The measure `is_key` marks the key frequencies of the snapshot itself.
Ablations, neurons, attention and the measures of Clock and Pizza are of the last snapshot of a trained network only.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr

from geometry.modular_circuit.circuit import (
    Weights,
    explained_shares,
    key_frequencies,
    logit_amplitudes,
    pair_activations,
    pair_logits,
    single_frequency_shares,
)
from geometry.modular_circuit.circuit_measures import embeddings, last_rows, snapshot_rows
from geometry.modular_circuit.fourier import circle_coordinates, energy_by_frequency
from geometry.networks.origins import RANDOM_INIT, origin_names, parameter_stacks
from geometry.networks.snapshots import by_network
from geometry.provenance.job import Job
from geometry.schemas.modular import Circuit
from geometry.storage import read_tensors, write_dataset
from geometry.tables import write_table
from geometry.tasks.modular_arithmetic import ModularArithmetic
from geometry.tasks.task import modular_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SHOWN_KEYS = 6
"""Key frequencies whose circles are written."""

SAMPLING_SEED = 0
"""The seed of the random triples and of the random sets of removed frequencies."""


def circuit_dataset(
    snapshots: list[Weights], steps: list[int], task: ModularArithmetic, key: list[int], share: np.ndarray
) -> xr.Dataset:
    """The data of the figures of one network, at its first and its last snapshot."""
    p = task.modulus
    amplitude, explained = np.full((2, len(snapshots), p // 2 + 1), np.nan)
    if task.argument is not None:
        logits = [pair_logits(weights) for weights in snapshots]
        amplitude = [logit_amplitudes(x, task.argument) for x in logits]
        explained = [explained_shares(x, task.argument) for x in logits]
    circle, shown = np.full((SHOWN_KEYS, p, 2), np.nan), np.zeros(SHOWN_KEYS, dtype=int)
    for place, k in enumerate(key[:SHOWN_KEYS]):
        circle[place], shown[place] = circle_coordinates(embeddings(snapshots[-1])["W_E"], k), k
    matrices = [embeddings(weights) for weights in snapshots]
    energy = [[energy_by_frequency(x) for x in of_one.values()] for of_one in matrices]
    by_snapshot = ("snapshot", "frequency")
    return xr.Dataset(
        {
            "step": ("snapshot", steps),
            "energy": (("snapshot", "matrix", "frequency"), energy),
            "logit_amplitude": (by_snapshot, amplitude),
            "explained_share": (by_snapshot, explained),
            "key_frequency": ("key", shown),  # 0 where there are fewer
            "embedding_circle": (("key", "token", "axis"), circle),
            "neuron_frequency": ("neuron", share.argmax(axis=0)),
            "neuron_share": ("neuron", share.max(axis=0)),
        },
        coords={"matrix": list(matrices[0]), "frequency": np.arange(p // 2 + 1), "token": np.arange(p)},
    )


def measure_network(
    snapshots: list[Weights],
    steps: list[int],
    task: ModularArithmetic,
    key_share: float,
    pure_share: float,
    is_random: bool,
    output: str,
) -> tuple[pd.DataFrame, xr.Dataset]:
    """The table and the dataset of the snapshots of one network; less of a random one, which is only a baseline."""
    last, rng = snapshots[-1], np.random.default_rng(SAMPLING_SEED)
    key = [] if task.argument is None else key_frequencies(pair_logits(last), task.argument, key_share)
    pattern, neurons = pair_activations(last)
    share = single_frequency_shares(neurons)
    rows = []
    for step, weights in zip(steps, snapshots, strict=True):
        rows += [(step, *row) for row in snapshot_rows(weights, task, key, key_share, output)]
    if not is_random:
        rows += [(steps[-1], *row) for row in last_rows(last, task, key, pattern, share, pure_share, rng, output)]
    table = pd.DataFrame(rows, columns=["step", "measure", "frequency", "part", "value"])
    return table, circuit_dataset([snapshots[0], last], [steps[0], steps[-1]], task, key, share)


def measure_circuit(
    stacks: dict[str, np.ndarray], task: ModularArithmetic, key_share: float, pure_share: float, output: str = "softmax"
) -> tuple[pd.DataFrame, xr.Dataset]:
    """The tables and datasets of all networks of a run, each with its own seed and its own key frequencies."""
    steps, seeds, origins = stacks["step"], stacks["seed"], origin_names(stacks["origin"])
    stacks = parameter_stacks(stacks)
    tables, datasets = [], []
    for seed, own in by_network(seeds):
        snapshots = [{name: stack[index] for name, stack in stacks.items()} for index in own]
        is_random = origins[own[-1]] == RANDOM_INIT
        table, dataset = measure_network(snapshots, steps[own].tolist(), task, key_share, pure_share, is_random, output)
        table.insert(0, "seed", seed)
        tables.append(table)
        datasets.append(dataset.expand_dims(seed=[seed]))
    table = pd.concat(tables)
    return table.astype({"frequency": "Int64"}), xr.concat(datasets, dim="seed")


if __name__ == "__main__":
    with Job(snakemake) as job:
        torch.set_num_threads(snakemake.threads)
        params, task = snakemake.params, modular_of(snakemake.params.task)
        stacks, output = read_tensors(snakemake.input.snapshots), params.model["output"]
        table, dataset = measure_circuit(stacks, task, params.key_share, params.pure_neuron_share, output)
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(table, snakemake.output.measures, Circuit)
        write_dataset(dataset, snakemake.output.circuit)
        key = dataset["key_frequency"][-1].values
        job.info(f"key frequencies {', '.join(map(str, key[key > 0])) or 'none'}")
