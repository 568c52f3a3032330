"""Recover a process from a network: its dimensions and its operators, by activations and outputs alone.

Of the ground truth, the tree of prefixes is used, but no belief and no probability.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geometry.networks.hook_points import OUTPUT, with_concatenated
from geometry.processes.prefix_tree import tree_of
from geometry.provenance.job import Job
from geometry.recovery.next_token_model import NextTokenModel, complete_part, rows_of_tree
from geometry.recovery.spectral_learning import MOST_DIMENSIONS, RecoveredProcess, Recovery
from geometry.storage import open_dataset, write_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def features_of(activations: xr.DataArray, concatenated: list[str], n_read: int) -> Iterator[np.ndarray]:
    """The activations of the first prefixes at each site in turn, and those of the concatenated sites side by side."""
    side_by_side = []
    for place, site in enumerate(activations["site"].values.tolist()):
        features = activations[place, :n_read].values
        side_by_side += [features] * (site in concatenated)
        yield features
    if concatenated:
        yield np.hstack(side_by_side)


def recover(
    model: NextTokenModel,
    activations: xr.DataArray,
    concatenated: list[str],
    faintest: float,
    rng: np.random.Generator,
) -> tuple[int, list[RecoveredProcess]]:
    """The length of the continuations that are regressed; and the process from each site, then from the outputs."""
    recovery = Recovery(model, rng, faintest)
    found = [recovery.from_features(features) for features in features_of(activations, concatenated, recovery.n_read)]
    return recovery.n_ahead, [*found, recovery.from_outputs()]


def padded(arrays: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Arrays of different shapes as one, with nan where one has no entries."""
    whole = np.full((len(arrays), *shape), np.nan)
    for place, array in enumerate(arrays):
        whole[(place, *map(slice, array.shape))] = array
    return whole


def as_dataset(found: list[RecoveredProcess], n_tokens: int) -> xr.Dataset:
    """The processes recovered from each source; nan beyond the rank, and where there is none."""
    processes = [one.process for one in found]
    parts = {
        "operator": [np.empty((0, 0, 0)) if p is None else p.transition_tensor for p in processes],
        "stationary_state": [np.empty(0) if p is None else p.stationary_distribution for p in processes],
        "readout": [np.empty(0) if p is None else p.readout for p in processes],
        "singular_value": [one.spectrum.singular_values[: MOST_DIMENSIONS + 1] for one in found],
    }
    dims = {
        "operator": ("token", "from_dimension", "to_dimension"),
        "stationary_state": ("from_dimension",),
        "readout": ("from_dimension",),
        "singular_value": ("place",),
    }
    size = {"token": n_tokens, "place": MOST_DIMENSIONS + 1}
    variables = {
        name: (("source", *dims[name]), padded(arrays, tuple(size.get(dim, MOST_DIMENSIONS) for dim in dims[name])))
        for name, arrays in parts.items()
    }
    variables["rank"] = "source", [one.spectrum.rank for one in found]
    variables["gap"] = "source", [one.spectrum.gap for one in found]
    return xr.Dataset(variables)


if __name__ == "__main__":
    with Job(snakemake) as job:
        source = snakemake.input
        with open_dataset(source.ground_truth) as truth, open_dataset(source.activations) as activations:
            tree = complete_part(tree_of(truth), truth.attrs["complete_length"])
            concatenated, faintest = snakemake.params.concatenated, snakemake.params.faintest
            sites = with_concatenated(activations["site"].values.tolist(), concatenated)
            snapshots = []
            rows = rows_of_tree(activations, tree)
            for index, step in enumerate(activations["step"].values):
                predicted = activations["log_probability"][index, rows].values.astype(np.float64)
                rng, read = np.random.default_rng(snakemake.params.seed), activations["activation"][index, :, rows]
                n_ahead, found = recover(NextTokenModel(tree, np.exp(predicted)), read, concatenated, faintest, rng)
                snapshots.append(as_dataset(found, truth.sizes["token"]).assign(n_ahead=n_ahead))
                job.info(f"step {step}: {[one.spectrum.rank for one in found]} dimensions, {n_ahead} tokens ahead")
            of_snapshot = {name: ("snapshot", activations[name].values) for name in ("step", "seed", "origin")}
            result = xr.concat(snapshots, "snapshot").assign_coords(of_snapshot | {"source": [*sites, OUTPUT]})
        write_dataset(result.assign_attrs(faintest=faintest), snakemake.output.generator)
