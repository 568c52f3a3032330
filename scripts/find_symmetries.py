"""Permutations of the tokens that act linearly on a network's activations, at each site, before and after training.

Prefixes are weighted by the probability that the network itself gives them, not by the true one; of the ground truth
only the prefixes are read, as a tree, up to the length up to which it is complete. Of more than 12 tokens, the swaps
to try are chosen by the true probabilities, alike for all networks.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.networks.origins import RANDOM_INIT
from geometry.networks.snapshots import last_of_each
from geometry.probing.principal_components import principal_scores
from geometry.processes.prefix_tree import PrefixTree, tree_of, two_token_probabilities
from geometry.provenance.job import Job
from geometry.recovery.next_token_model import NextTokenModel, complete_part, rows_of_tree
from geometry.recovery.token_symmetry import (
    COLUMNS,
    Permutation,
    changed_shares,
    composed,
    composition_error,
    cycles,
    equivariances,
    image_of_prefixes,
    is_group,
    is_symmetry,
    prediction_change,
    token_permutations,
)
from geometry.schemas.structure import Symmetry
from geometry.storage import open_dataset
from geometry.tables import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_DIMENSIONS = 6
"""Leading principal components on which permutations are tried, from one up to so many."""


def site_rows(
    scores: np.ndarray,
    weight: np.ndarray,
    images: dict[Permutation, np.ndarray],
    changes: dict[Permutation, float],
    shares: dict[Permutation, tuple[float, float]],
    n_dimensions: int,
    limits: tuple[float, float],
) -> Iterator[tuple]:
    """Dimensions, permutation, the one after it, measure, index and value at one site.

    Symmetries are decided, and maps composed, in `n_dimensions`; `changes` are those of the predictions, `shares` those
    of what a permutation changes at all.
    """
    found = {g: equivariances(scores, weight, image) for g, image in images.items()}
    name = {g: cycles(g) for g in found}
    for g, by_dimension in found.items():
        for d, one in enumerate(by_dimension, 1):
            for row in one.measures:
                yield d, name[g], "", *row
    d = min(n_dimensions, scores.shape[1])
    chosen = {g: by_dimension[d - 1] for g, by_dimension in found.items()}
    accepted = [g for g, one in chosen.items() if is_symmetry(one, changes[g], shares[g], limits)]
    for h, of_h in chosen.items():
        yield d, name[h], "", "is_symmetry", None, float(h in accepted)
        for g, of_g in chosen.items():
            if (both := composed(g, h)) in chosen:
                error = composition_error(of_g, of_h, chosen[both])
                yield d, name[h], name[g], "composition_error", None, error
    yield d, "", "", "n_symmetries", None, len(accepted)
    yield d, "", "", "is_group", None, float(is_group(accepted, list(chosen)))


def network_rows(
    tree: PrefixTree, activations: xr.Dataset, index: int, images: dict, n_dimensions: int, limits: tuple[float, float]
) -> Iterator[tuple]:
    """The rows of one snapshot: of its predictions, and of each site."""
    rows = rows_of_tree(activations, tree)
    probability = np.exp(activations["log_probability"][index, rows].values.astype(np.float64))
    probability /= probability.sum(axis=1, keepdims=True)
    weight = NextTokenModel(tree, probability).prefix_probability
    changes = {g: prediction_change(probability, weight, image, g) for g, image in images.items()}
    shares = {g: changed_shares(probability, weight, image, g) for g, image in images.items()}
    for g, image in images.items():
        yield "", None, cycles(g), "", "coverage", None, weight[image >= 0].sum() / weight.sum()
        yield "", None, cycles(g), "", "prediction_change", None, changes[g]
    for place, site in enumerate(activations["site"].values.tolist()):
        scores = principal_scores(activations["activation"][index, place, rows].values, weight, MOST_DIMENSIONS)
        for row in site_rows(scores, weight, images, changes, shares, n_dimensions, limits):
            yield site, *row


def find_symmetries(
    truth: xr.Dataset, activations: xr.Dataset, snapshots: list[int], n_dimensions: int, limits: tuple[float, float]
) -> pd.DataFrame:
    """The table of some snapshots of one run."""
    tree, rows = complete_part(tree_of(truth), truth.attrs["complete_length"]), []
    first, names = tree.levels[0], ("probability", "next_token_probability")
    joint = two_token_probabilities(tree, *(truth[name][first].values for name in names))
    images = {g: image_of_prefixes(tree, g) for g in token_permutations(joint)}
    for index in snapshots:
        which = [activations[name].values[index] for name in ("seed", "step", "origin")]
        rows += [(*which, *row) for row in network_rows(tree, activations, index, images, n_dimensions, limits)]
    return pd.DataFrame(rows, columns=COLUMNS[1:]).astype({"n_dimensions": "Int64", "index": "Int64"})


def compared_snapshots(activations: xr.Dataset) -> list[int]:
    """Every snapshot at random initialisation, and the last one of each network."""
    is_random = activations["origin"].values == RANDOM_INIT
    return sorted({*np.flatnonzero(is_random).tolist(), *last_of_each(activations["seed"].values)})


if __name__ == "__main__":
    with Job(snakemake) as job:
        source = snakemake.input
        with open_dataset(source.ground_truth) as truth, open_dataset(source.activations) as activations:
            snapshots = compared_snapshots(activations)
            settings = snakemake.params.symmetry
            limits = settings["largest_error"], settings["largest_prediction_change"]
            table = find_symmetries(truth, activations, snapshots, settings["dimensions"], limits)
        table = table.assign(experiment=snakemake.wildcards.experiment)
        write_table(table, snakemake.output.symmetry, Symmetry)
        last = table[(table["step"] == table["step"].max()) & (table["measure"] == "n_symmetries")]
        job.info(f"symmetries by site: {last.groupby('site', sort=False)['value'].mean().round(2).to_dict()}")
