"""Measure distances and cosine similarities of pairs of prefixes: of beliefs, optimal predictions, decoded beliefs."""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.snapshots import ends_of_each, first_network
from geometry.probing.kgram import kgram_ids, kgram_predictions
from geometry.processes.prefix_tree import row_blocks, scored_part, scored_positions, tree_of
from geometry.provenance.job import Job
from geometry.schemas.probing import Distances
from geometry.storage import open_dataset, write_dataset
from geometry.tables import write_table

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


def cosines(points: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Cosine similarities of some pairs of rows."""
    unit = points / np.linalg.norm(points.astype(np.float64), axis=1, keepdims=True)
    return 1 - distances(unit, pairs) ** 2 / 2


SIMILARITIES = {"r2_of_distances": distances, "r2_of_cosines": cosines}
"""How a pair is compared, by the measure in the table."""

COMPARED = {"belief_state": "target", "next_token_probability": "next_token_probability"}
"""Targets by name, with their arrays in the ground truth."""

SUFFIX = 3
"""Last tokens that the beliefs of a Markov approximation depend on, as published (Riechers et al. 2025)."""


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


def suffix_beliefs(truth: xr.Dataset, n_tokens: int) -> np.ndarray:
    """The mean belief given the last tokens of each scored prefix: that of a Markov approximation of this order."""
    where = scored_positions(truth)
    ids = np.unique(kgram_ids(tree_of(truth), n_tokens)[-1][where], return_inverse=True)[1]
    return next(kgram_predictions(truth["target"].values[where], truth["weight"].values[where], [ids]))


def agreements(truth: xr.Dataset, decoded: xr.Dataset, n_pairs: int, seed: int) -> Iterator[dict]:
    """The rows of `schemas.probing.Distances` on the same pairs, but for the experiment."""
    scored = scored_part(truth)
    pairs = draw_pairs(scored["weight"].values, n_pairs, np.random.default_rng(seed))
    targets = {name: scored[of].values for name, of in COMPARED.items()}
    targets[f"suffix_{SUFFIX}_belief_state"] = suffix_beliefs(truth, SUFFIX)
    known = [(m, name, of(points, pairs)) for m, of in SIMILARITIES.items() for name, points in targets.items()]
    for place in ends_of_each(decoded["seed"].values):
        network = {name: decoded[name].values[place] for name in ("seed", "step", "origin")}
        for (i, split), (j, site) in product(enumerate(decoded["split"].values), enumerate(decoded["site"].values)):
            points = decoded["decoded_belief"][i, place, j].values
            own = {measure: of(points, pairs) for measure, of in SIMILARITIES.items()}
            for measure, target, similarity in known:
                row = {"split": split, "site": site, "measure": measure, "target": target}
                yield network | row | {"value": squared_correlation(own[measure], similarity)}


if __name__ == "__main__":
    with Job(snakemake) as job:
        settings = snakemake.params.n_pairs, snakemake.params.probe["seed"]
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as decoded:
            result = compare_distances(scored_part(truth), decoded, *settings)
            table = pd.DataFrame(agreements(truth, decoded, *settings))
        write_dataset(result, snakemake.output.distances)
        write_table(table.assign(experiment=snakemake.wildcards.experiment), snakemake.output.table, Distances)
        job.info(f"{result.sizes['pair']} pairs at {result.sizes['site']} sites")
