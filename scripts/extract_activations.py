"""Activations at every chosen hook point of some snapshots, on every scored prefix of a task.

The coordinate `prefix` holds the row of each prefix in the ground truth, `origin` whence each snapshot's weights.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from geometry.networks.build import build_network
from geometry.networks.devices import describe_device, select_device
from geometry.networks.extraction import tree_activations
from geometry.networks.hook_points import PREFIXES_AT_ONCE
from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.origins import origin_names
from geometry.networks.snapshots import by_network
from geometry.processes.prefix_tree import scored_positions, tree_of
from geometry.provenance.job import Job
from geometry.storage import open_dataset, read_tensors, zarr_archive

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

CHUNK_BYTES = 64_000_000
"""Activations of all sites, and predictions, that are gathered before they are written; to join them takes as much."""


def networks(
    snapshots: dict[str, np.ndarray], model: dict, n_tokens: int, context: int, device
) -> Iterator[HookedNetwork]:
    """The network at each snapshot in turn, in the same module."""
    network = build_network(n_tokens, context, model).to(device)
    for index in range(len(snapshots["step"])):
        network.set_parameters({name: stack[index] for name, stack in snapshots.items()})
        yield network


def rows_of_chunk(n_prefixes: int, floats_per_prefix: int) -> int:
    """Prefixes in a chunk: so many that the probe reads in few, and chunks of equal size, as the last is padded."""
    most = max(PREFIXES_AT_ONCE, CHUNK_BYTES // (4 * floats_per_prefix))
    n_chunks = -(-n_prefixes // most)
    return PREFIXES_AT_ONCE * -(-n_prefixes // (n_chunks * PREFIXES_AT_ONCE))


def read_chunks(network: HookedNetwork, nodes, n_read: int, sites: list[str], n_rows: int) -> Iterator[tuple]:
    """Log-probabilities and activations (site, prefix, feature) of `n_rows` prefixes after another."""
    n_prefixes, parts = len(nodes[0]) - n_read, []
    for chunk, record, logits in tree_activations(network, *nodes, sites, PREFIXES_AT_ONCE, n_read):
        if chunk.start < n_read:  # a beginning of what is scored
            continue
        parts.append((network.log_probability(logits).cpu(), torch.stack([record[site] for site in sites]).cpu()))
        done = chunk.stop - n_read
        if done % n_rows == 0 or done == n_prefixes:
            yield torch.cat([p for p, _ in parts]).numpy(), torch.cat([a for _, a in parts], dim=1).numpy()
            parts = []


def probed(snapshots: dict[str, np.ndarray], most: int) -> dict[str, np.ndarray]:
    """At most so many of each network's snapshots, the first and the last among them, spread evenly."""
    chosen = []
    for _, own in by_network(snapshots["seed"]):
        chosen += own[np.unique(np.linspace(0, len(own) - 1, most).round().astype(int))].tolist()
    return {name: stack[chosen] for name, stack in snapshots.items()}


def extract(path, truth: xr.Dataset, snapshots: dict[str, np.ndarray], model: dict, sites: list[str], device) -> None:
    """Write the archive chunk by chunk: of all activations, only one chunk of each site is ever in memory."""
    tree = tree_of(truth)
    n_tokens, bos = truth.sizes["token"], int(model["bos"])
    nodes, wanted = tree.network_input(n_tokens if bos else None), scored_positions(truth)
    n_read = bos + wanted.start
    n_prefixes = len(tree) - wanted.start
    steps, d_model, context = snapshots["step"], model["d_model"], truth.sizes["position"] - 1
    n_rows = rows_of_chunk(n_prefixes, len(sites) * d_model + n_tokens)
    coordinates = xr.Dataset(
        {"length": truth["length"][wanted]},
        coords={
            "step": ("snapshot", steps),
            "seed": ("snapshot", snapshots["seed"]),
            "origin": ("snapshot", origin_names(snapshots["origin"])),
            "site": sites,
            "prefix": np.arange(wanted.start, len(tree), dtype=np.int32),
            "token": truth["token"],
        },
    ).set_coords("length")
    with zarr_archive(path) as archive:
        archive.add_variables(coordinates)
        dims, shape = ("snapshot", "site", "prefix", "feature"), (len(steps), len(sites), n_prefixes, d_model)
        activation = archive.add_array("activation", dims, shape, np.float32, (1, 1, n_rows, d_model))
        dims, shape = ("snapshot", "prefix", "token"), (len(steps), n_prefixes, n_tokens)
        prediction = archive.add_array("log_probability", dims, shape, np.float32, (1, n_rows, n_tokens), units="nats")
        for index, network in enumerate(networks(snapshots, model, n_tokens, context, device)):
            for chunk, (predicted, activations) in enumerate(read_chunks(network, nodes, n_read, sites, n_rows)):
                archive.write_chunk(prediction, (index, chunk, 0), predicted[None, :, :n_tokens])
                for place in range(len(sites)):
                    archive.write_chunk(activation, (index, place, chunk, 0), activations[None, place, None])


if __name__ == "__main__":
    with Job(snakemake) as job:
        device = select_device(snakemake.params.device, snakemake.threads)
        job.device = describe_device(device)
        sites = list(snakemake.params.sites)
        snapshots = probed(read_tensors(snakemake.input.snapshots), snakemake.params.n_snapshots)
        with open_dataset(snakemake.input.ground_truth) as truth:
            extract(snakemake.output.activations, truth, snapshots, snakemake.params.model, sites, device)
            shape = f"{len(snapshots['step'])} snapshots x {len(sites)} sites x {truth.sizes['prefix']} prefixes"
            job.info(f"{shape} on {job.device}")
