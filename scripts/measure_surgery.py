"""Network surgery: adapt a network for modular addition to other moduli, and score it beside its controls.

The key frequencies are those of the snapshot itself, also at early steps: nothing of later ones is used.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr

from geometry.modular_circuit.circuit import Weights
from geometry.modular_circuit.fourier import circle_coordinates
from geometry.modular_circuit.surgery import (
    apply_surgery,
    best_torus,
    choose_frequencies,
    key_amplitudes,
    score,
    torus_of,
)
from geometry.modular_circuit.surgery_controls import pairs_of, shift_averaged_accuracy, surgery_and_controls
from geometry.networks.origins import parameter_stacks
from geometry.networks.snapshots import by_network
from geometry.provenance.job import Job
from geometry.schemas.modular import Surgery
from geometry.storage import read_tensors, write_dataset
from geometry.tables import select, write_table
from geometry.tasks.task import modular_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

EVERY = 13
"""Every so many moduli, surgery is scored at all snapshots, and with logits averaged over shifts."""

N_SHIFTS = 8
"""Shifts (a + s, b - s) over which logits are averaged."""

COLUMNS = ["step", "network", "modulus", "n_pairs", "measure", "frequency", "value"]


def last_rows(
    last: Weights, first: Weights, sign: int, key_share: float, tried: list[tuple[int, int]], of_controls: int
) -> Iterator[tuple]:
    """Rows of surgery on the last snapshot and of all controls, one of which is surgery at initialisation.

    `tried` holds moduli with the largest number of pairs of each; controls are scored on at most `of_controls` pairs.
    """
    torus = best_torus(last, key_share, sign)
    initial_torus = torus_of(key_amplitudes(first, key_share, sign, len(torus.amplitudes)), torus.modulus, order=1)
    for modulus, n_pairs in tried:
        pairs = pairs_of(modulus, n_pairs, np.random.default_rng(modulus))
        size = modulus, len(pairs[0])
        choice, gap = choose_frequencies(torus, modulus)
        yield "surgery", *size, "predicted_gap", None, gap
        yield from (("surgery", *size, "chosen_frequency", k, new) for k, new in zip(torus.keys, choice, strict=True))
        networks = surgery_and_controls(last, torus, choice, modulus, first, initial_torus)
        found = score(networks["surgery"], pairs, sign)
        yield "surgery", *size, "accuracy", None, found.accuracy
        yield "surgery", *size, "accuracy_of_all_tokens", None, found.accuracy_of_all_tokens
        yield "surgery", *size, "least_gap", None, found.least_gap
        fewer = pairs_of(modulus, of_controls, np.random.default_rng(modulus))
        for name in list(networks)[1:]:
            accuracy = score(networks[name], fewer, sign).accuracy
            yield name, modulus, len(fewer[0]), "accuracy", None, accuracy
        if modulus % EVERY == 2:
            averaged = shift_averaged_accuracy(networks["surgery"], pairs, N_SHIFTS, sign)
            yield "surgery", *size, "shift_averaged_accuracy", None, averaged


def early_rows(weights: Weights, sign: int, key_share: float, moduli: list[int], n_pairs: int) -> Iterator[tuple]:
    """Rows of surgery on an earlier snapshot, at some of the moduli."""
    torus = best_torus(weights, key_share, sign)
    for modulus in moduli:
        pairs = pairs_of(modulus, n_pairs, np.random.default_rng(modulus))
        choice, _ = choose_frequencies(torus, modulus)
        found = score(apply_surgery(weights, torus, choice, modulus), pairs, sign)
        yield "surgery", modulus, len(pairs[0]), "accuracy", None, found.accuracy


def measure_surgery(
    stacks: dict[str, np.ndarray], sign: int, key_share: float, moduli: list[int], large: list[int], n_pairs: int
) -> pd.DataFrame:
    """The table of one network: all moduli at the last snapshot, some of them at the others."""
    (*earlier, end), stacks = stacks["step"].tolist(), parameter_stacks(stacks)
    snapshots = [{name: stack[index] for name, stack in stacks.items()} for index in range(len(earlier) + 1)]
    rows = []
    for step, weights in zip(earlier, snapshots[:-1], strict=True):
        rows += [(step, *row) for row in early_rows(weights, sign, key_share, moduli[::EVERY], n_pairs)]
    tried = [(modulus, modulus**2) for modulus in moduli] + [(modulus, n_pairs) for modulus in large]
    rows += [(end, *row) for row in last_rows(snapshots[-1], snapshots[0], sign, key_share, tried, n_pairs)]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"frequency": "Int64"})


def shown_modulus(p: int, moduli: list[int]) -> int:
    """The least prime above p among the moduli, or else the largest modulus."""
    primes = (n for n in sorted(moduli) if n > p and all(n % divisor for divisor in range(2, math.isqrt(n) + 1)))
    return next(primes, max(moduli))


def circles_dataset(weights: Weights, sign: int, key_share: float, moduli: list[int]) -> xr.Dataset:
    """The embedding of the numbers after surgery for one modulus, on the circles of the keys, for figures."""
    torus = best_torus(weights, key_share, sign)
    modulus = shown_modulus(torus.modulus, moduli)
    choice, _ = choose_frequencies(torus, modulus)
    numbers = apply_surgery(weights, torus, choice, modulus)["embed.W_E"][:modulus].astype(float)
    circles = np.array([circle_coordinates(numbers, new) for new in choice]).reshape(len(choice), modulus, 2)
    return xr.Dataset(
        {
            "key_frequency": ("key", np.array(torus.keys, dtype=int)),
            "chosen_frequency": ("key", np.array(choice, dtype=int)),
            "embedding_circle": (("key", "token", "axis"), circles),
        },
        coords={"token": np.arange(modulus)},
    )


if __name__ == "__main__":
    with Job(snakemake) as job:
        torch.set_num_threads(snakemake.threads)
        params, stacks = snakemake.params, read_tensors(snakemake.input.snapshots)
        sign, moduli = modular_of(params.task).sign, list(range(2, params.surgery["largest_modulus"] + 1))
        large, n_pairs = params.surgery["large_moduli"], params.surgery["sampled_pairs"]
        tables, last = [], None
        for seed, own in by_network(stacks["seed"]):
            network = {name: stack[own] for name, stack in stacks.items()}
            table = measure_surgery(network, sign, params.key_share, moduli, large, n_pairs)
            tables.append(table.assign(seed=seed))
            last = last or {name: stack[-1] for name, stack in parameter_stacks(network).items()}
        table = pd.concat(tables).assign(experiment=snakemake.wildcards.experiment)
        write_table(table, snakemake.output.surgery, Surgery)
        write_dataset(circles_dataset(last, sign, params.key_share, moduli), snakemake.output.circles)
        accuracy = select(table, step=table["step"].max(), measure="accuracy")
        means = accuracy[accuracy["modulus"].isin(moduli)].groupby("network", sort=False)["value"].mean()
        job.info("mean accuracy " + ", ".join(f"{name} {value:.4f}" for name, value in means.items()))
