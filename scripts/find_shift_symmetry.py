"""Find the permutations of the pairs of numbers that act linearly on activations, at each site and snapshot.

Pairs are weighted uniformly. No frequency is assumed; those detected are the angles of the eigenvalues of the map that
the shift of the first number induces.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.modular_circuit.shift_symmetry import (
    SHIFT,
    answer_permutation,
    detected_frequencies,
    leading_scores,
    pair_permutations,
    turned_frequencies,
)
from geometry.provenance.job import Job
from geometry.recovery.token_symmetry import COLUMNS, composition_error, equivariances, prediction_change
from geometry.schemas.structure import Symmetry
from geometry.storage import open_dataset
from geometry.tables import select, write_table
from geometry.tasks.modular_arithmetic import ModularArithmetic
from geometry.tasks.task import modular_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def site_rows(x: np.ndarray, images: dict[str, np.ndarray], modulus: int) -> Iterator[tuple]:
    """Dimensions, permutation, the one after it, measure, index and value at one site.

    All but `error_by_dimension` refer to the fewest components that explain most of the variance.
    """
    scores, d = leading_scores(x, modulus)
    weight, chosen = np.ones(len(x)), {}
    for name, image in images.items():
        found = equivariances(scores, weight, image)
        for n, one in enumerate(found, 1):
            yield n, name, "", "error_by_dimension", None, one.error
        chosen[name] = found[d - 1]
        for row in chosen[name].measures:
            yield d, name, "", *row
    eigenvalues = chosen[SHIFT].eigenvalues
    for place, turn in enumerate(turned_frequencies(eigenvalues, modulus), 1):
        yield d, SHIFT, "", "frequency", place, turn
    for place, frequency in enumerate(detected_frequencies(eigenvalues, modulus), 1):
        yield d, SHIFT, "", "detected_frequency", place, frequency
    error = composition_error(chosen[SHIFT], chosen["b + 1"], chosen["a + 1, b + 1"])
    yield d, "b + 1", SHIFT, "composition_error", None, error


def network_rows(task: ModularArithmetic, activations: xr.Dataset, index: int, images: dict) -> Iterator[tuple]:
    """The rows of one snapshot: of its predictions, then of each site."""
    weight = np.ones(len(task.answer))
    probability = np.exp(activations["log_probability"][index].values.astype(np.float64))
    for name, image in images.items():
        if after := answer_permutation(task, image):
            change = prediction_change(probability, weight, image, after)
            yield "", None, name, "", "prediction_change", None, change
    for place, site in enumerate(activations["site"].values.tolist()):
        for row in site_rows(activations["activation"][index, place].values, images, task.modulus):
            yield site, *row


def find_shift_symmetry(task: ModularArithmetic, activations: xr.Dataset) -> pd.DataFrame:
    """The table of all snapshots of one run."""
    images, rows = pair_permutations(task), []
    for index in range(activations.sizes["snapshot"]):
        which = [activations[name].values[index] for name in ("seed", "step", "origin")]
        rows += [(*which, *row) for row in network_rows(task, activations, index, images)]
    return pd.DataFrame(rows, columns=COLUMNS[1:]).astype({"n_dimensions": "Int64", "index": "Int64"})


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.activations) as activations:
            table = find_shift_symmetry(modular_of(snakemake.params.task), activations)
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(table, snakemake.output.shift_symmetry, Symmetry)
        last = table[table["step"] == table["step"].max()]
        for site, rows in select(last, measure="error", permutation=SHIFT).groupby("site"):
            detected = select(last, measure="detected_frequency", site=site)["value"].unique().astype(int)
            least = rows["value"].min()
            names = ", ".join(map(str, detected)) or "none"
            job.info(f"{site}: {SHIFT} leaves {least:.2f} of the variance; frequencies detected: {names}")
