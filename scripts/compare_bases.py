"""Measure the sparsity of the embedding and the unembedding, as functions of the token, in several bases."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from geometry.modular_circuit.bases import energies_by_basis
from geometry.modular_circuit.fourier import sparsity
from geometry.provenance.job import Job
from geometry.schemas.modular import Bases
from geometry.storage import read_tensors
from geometry.tables import write_table
from geometry.tasks.task import modular_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

LARGEST = sorted({10, *(2**k for k in range(12)), *(3 * 2**k for k in range(11))})
"""Numbers of vectors with the most energy whose share of it is in the table."""


def shares_of_largest(energy: Float[ndarray, " vector"]) -> dict[int, float]:
    """By number of vectors, the share of the energy in so many with the most of it; nan of no energy."""
    share = np.cumsum(np.sort(energy)[::-1]) / (energy.sum() or np.nan)
    return {n: float(share[n - 1]) for n in LARGEST if n <= len(energy)}


def functions_of_the_token(snapshots: dict[str, ndarray], index: int, p: int) -> dict[str, Float[ndarray, "p d_model"]]:
    """The rows of W_E and the columns of W_U that stand for residues, at one snapshot."""
    matrices = {"W_E": snapshots["embed.W_E"][index], "W_U": snapshots["unembed.W_U"][index].T}
    return {name: matrix[:p].astype(np.float64) for name, matrix in matrices.items()}


def measured(snapshots: dict[str, ndarray], p: int, of_products: bool) -> Iterator[tuple]:
    """The rows of the table, and for each matrix the share of energy of the means, which are in no basis."""
    for index, (seed, step) in enumerate(zip(snapshots["seed"], snapshots["step"], strict=True)):
        for matrix, functions in functions_of_the_token(snapshots, index, p).items():
            share_of_means = p * (functions.mean(axis=0) ** 2).sum() / ((functions**2).sum() or np.nan)
            yield seed, step, matrix, "constant", "share", None, share_of_means
            for basis, energy in energies_by_basis(functions, np.random.default_rng(seed), of_products).items():
                for measure, value in sparsity(energy).items():
                    yield seed, step, matrix, basis, measure, None, value
                for n, share in shares_of_largest(energy).items():
                    yield seed, step, matrix, basis, "share_of_largest", n, share


def compare_bases(snapshots: dict[str, ndarray], p: int, of_products: bool = False) -> pd.DataFrame:
    """Each measure of the energies in each basis, per snapshot and matrix.

    The random basis and the shuffle are drawn by the seed of the network, the same at all its snapshots.
    """
    columns = ["seed", "step", "matrix", "basis", "measure", "index", "value"]
    return pd.DataFrame(measured(snapshots, p, of_products), columns=columns).astype({"index": "Int64"})


if __name__ == "__main__":
    with Job(snakemake) as job:
        arithmetic = modular_of(snakemake.params.task)
        of_products = arithmetic.operation == "multiplication"
        table = compare_bases(read_tensors(snakemake.input.snapshots), arithmetic.modulus, of_products)
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(table, snakemake.output.bases, Bases)
        last = table[(table["step"] == table["step"].max()) & (table["measure"] == "participation_ratio")]
        found = last.groupby(["matrix", "basis"], sort=False)["value"].mean()["W_E"]
        job.info("participation ratio of W_E: " + ", ".join(f"{basis} {value:.1f}" for basis, value in found.items()))
