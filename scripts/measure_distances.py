"""Measure distances between pairs of prefixes: of their beliefs, optimal predictions and decoded beliefs."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geometry.networks.snapshots import first_network
from geometry.processes.prefix_tree import row_blocks, scored_part
from geometry.provenance.job import Job
from geometry.storage import open_dataset, write_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def draw_pairs(weight: np.ndarray, n_pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Pairs of different prefixes, each drawn by its weight; shape (2, pair)."""
    pairs = rng.choice(len(weight), size=(2, n_pairs), p=weight / weight.sum())
    return pairs[:, pairs[0] != pairs[1]]


def distances(points: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Euclidean distances of some pairs of rows."""
    blocks = [pairs[:, rows] for rows in row_blocks(pairs.shape[1], points.shape[1])]
    return np.concatenate([np.linalg.norm(points[a].astype(np.float64) - points[b], axis=1) for a, b in blocks])


def squared_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """The squared correlation of two samples; nan if one is constant."""
    return float(np.corrcoef(a, b)[0, 1] ** 2) if a.std() > 0 and b.std() > 0 else float("nan")


def compare_distances(truth: xr.Dataset, decoded: xr.Dataset, n_pairs: int, seed: int) -> xr.Dataset:
    """Distances of the same pairs in every geometry, for each split and site, at initialisation and trained.

    Of the first network of the run.
    """
    pairs = draw_pairs(truth["weight"].values, n_pairs, np.random.default_rng(seed))
    belief = distances(truth["target"].values, pairs)
    prediction = distances(truth["next_token_probability"].values, pairs)
    ends = first_network(decoded).isel(snapshot=[0, -1])
    dims = ("split", "snapshot", "site")
    shape = tuple(ends.sizes[dim] for dim in dims)
    read = np.empty((*shape, len(belief)))
    for place in np.ndindex(shape):
        read[place] = distances(ends["decoded_belief"][place].values, pairs)
    agreement = [np.apply_along_axis(squared_correlation, -1, read, other) for other in (belief, prediction)]
    note = {"long_name": "squared correlation of pairwise distances"}
    return xr.Dataset(
        {
            "belief_distance": ("pair", belief.astype(np.float32)),
            "next_token_distance": ("pair", prediction.astype(np.float32)),
            "decoded_distance": ((*dims, "pair"), read.astype(np.float32)),
            "r2_belief": (dims, agreement[0], note),
            "r2_next_token": (dims, agreement[1], note),
        },
        coords={"split": decoded["split"], "step": ("snapshot", ends["step"].values), "site": decoded["site"]},
        attrs={"r2_belief_next_token": squared_correlation(belief, prediction)},
    )


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as decoded:
            result = compare_distances(
                scored_part(truth), decoded, snakemake.params.n_pairs, snakemake.params.probe["seed"]
            )
        write_dataset(result, snakemake.output.distances)
        job.info(f"{result.sizes['pair']} pairs at {result.sizes['site']} sites")
