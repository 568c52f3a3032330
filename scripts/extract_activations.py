"""Activations at every chosen hook point of every snapshot, on every distinct prefix of the task."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
import xarray as xr

from geometry.activations import tree_activations
from geometry.devices import describe_device, select_device
from geometry.job import Job
from geometry.prefixes import PrefixTree
from geometry.sites import PREFIXES_AT_ONCE
from geometry.storage import add_array, add_variables, open_dataset, read_tensors, zarr_archive
from geometry.transformer import Transformer, transformer_config

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def networks(
    snapshots: dict[str, np.ndarray], model: dict, n_tokens: int, context: int, device
) -> Iterator[Transformer]:
    """The network at each snapshot in turn, in the same module."""
    network = Transformer(transformer_config(n_tokens, context, model)).to(device)
    parameters = dict(network.named_parameters())
    for index in range(len(snapshots["step"])):
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(torch.from_numpy(snapshots[name][index]))
        yield network


def extract(path, truth: xr.Dataset, snapshots: dict[str, np.ndarray], model: dict, sites: list[str], device) -> None:
    """Write the archive piece by piece: of all activations, only one piece is ever in memory."""
    tree = PrefixTree(*(truth[name].values.astype(np.int64) for name in ("last_token", "parent", "length")))
    n_tokens, bos = truth.sizes["token"], int(model["bos"])
    nodes = tree.network_input(n_tokens if bos else None)
    steps, d_model, context = snapshots["step"], model["d_model"], truth.sizes["position"] - 1
    coordinates = xr.Dataset(
        {"length": truth["length"]}, coords={"step": ("snapshot", steps), "site": sites, "token": truth["token"]}
    ).set_coords("length")
    with zarr_archive(path) as group:
        add_variables(group, coordinates)
        dims, shape = ("snapshot", "site", "prefix", "feature"), (len(steps), len(sites), len(tree), d_model)
        activation = add_array(group, "activation", dims, shape, np.float32, (1, 1, PREFIXES_AT_ONCE, d_model))
        dims, shape = ("snapshot", "prefix", "token"), (len(steps), len(tree), n_tokens)
        log_probability = add_array(
            group, "log_probability", dims, shape, np.float32, (1, PREFIXES_AT_ONCE, n_tokens), units="nats"
        )
        for index, network in enumerate(networks(snapshots, model, n_tokens, context, device)):
            for piece, record, logits in tree_activations(network, *nodes, sites, PREFIXES_AT_ONCE):
                skip = max(0, bos - piece.start)  # the beginning-of-sequence node is no prefix
                rows = slice(piece.start + skip - bos, piece.stop - bos)
                log_probability[index, rows] = logits.log_softmax(1)[skip:, :n_tokens].cpu().numpy()
                for place, site in enumerate(sites):
                    activation[index, place, rows] = record[site][skip:].cpu().numpy()


if __name__ == "__main__":
    with Job(snakemake) as job:
        device = select_device(snakemake.params.device, snakemake.threads)
        job.device = describe_device(device)
        sites = list(snakemake.params.sites)
        snapshots = read_tensors(snakemake.input.snapshots)
        with open_dataset(snakemake.input.ground_truth) as truth:
            extract(snakemake.output.activations, truth, snapshots, snakemake.params.model, sites, device)
            shape = f"{len(snapshots['step'])} snapshots x {len(sites)} sites x {truth.sizes['prefix']} prefixes"
            job.info(f"{shape} on {job.device}")
