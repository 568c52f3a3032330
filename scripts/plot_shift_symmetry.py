"""Draw the equivariance errors of permutations of pairs of numbers, and the eigenvalues of the map of a + 1."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import AT_INITIALISATION, TRAINED, WIDTH, draw_unit_circle, save_figure
from geometry.modular_circuit.shift_symmetry import SHIFT
from geometry.networks.hook_points import short_site
from geometry.provenance.job import Job
from geometry.tables import by_seed, read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_PLANES = 2
"""Networks whose eigenvalues are drawn."""

NETWORK = {"linestyle": "none", "markerfacecolor": "none", "markersize": 4}
TRAINED_NETWORK = {"marker": "o", "color": TRAINED, "label": "trained"} | NETWORK
RANDOM_NETWORK = {"marker": "s", "color": AT_INITIALISATION, "label": "at initialisation, or random"} | NETWORK
KEY = {"color": "black", "linewidth": 0.8, "label": "rotation by a key frequency (number: k)"}

MARK = np.array([0.92, 1.08])
BESIDE, FAR, NEAR = 1.22, 1.42, 0.2
"""The radius of a frequency's name, that of one that would overlap, and the angle in radians within which they do."""


def draw_errors(ax: Axes, trained: pd.DataFrame, random_networks: pd.DataFrame) -> None:
    """Draw the error of each permutation, a mark per network."""
    names = list(trained["permutation"].unique())
    for table, mark in ((random_networks, RANDOM_NETWORK), (trained, TRAINED_NETWORK)):
        place = table["permutation"].map(names.index)
        ax.plot(table["value"], place, clip_on=False, **mark)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlim=(0, 1.05), ylim=(len(names) - 0.5, -0.5), xlabel="unexplained share of the variance")


def draw_plane(ax: Axes, trained: pd.DataFrame, random_networks: pd.DataFrame, keys: list[int], modulus: int) -> None:
    """Draw the eigenvalues of the map of a + 1 in the complex plane, and the rotations by the key frequencies."""
    draw_unit_circle(ax)
    keys = sorted(keys)
    angles, radius = 2 * np.pi * np.array(keys) / modulus, BESIDE
    for k, angle, gap in zip(keys, angles, np.diff(angles, prepend=-1), strict=True):
        radius = FAR if gap < NEAR and radius == BESIDE else BESIDE
        x, y = np.cos(angle), np.sin(angle)
        ax.plot(MARK * x, MARK * y, MARK * x, -MARK * y, **KEY)
        ax.text(radius * x, radius * y, str(k), ha="center", va="center", fontsize=7)
    for table, mark in ((random_networks, RANDOM_NETWORK), (trained, TRAINED_NETWORK)):
        real, imaginary = (select(table, measure=f"eigenvalue_{part}")["value"] for part in ("real", "imaginary"))
        ax.plot(real, imaginary, **mark)
    ax.set(aspect="equal", xlim=(-1.55, 1.55), ylim=(-1.2, 1.55), xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    ax.set_xlabel("real part of the eigenvalue")


def key_frequencies(circuit: pd.DataFrame) -> list[int]:
    """The key frequencies of the last snapshot."""
    rows = select(circuit, measure="is_key", step=circuit["step"].max(), value=1)
    return rows["frequency"].astype(int).tolist()


def plot_shift_symmetry(
    tables: list[pd.DataFrame], random_networks: pd.DataFrame, circuits: list[pd.DataFrame], site: str, modulus: int
) -> Figure:
    """The figure: errors of all networks, and the eigenvalues of the first ones' maps."""
    tables = [select(table, site=site) for table in tables]
    last, first = ([select(table, step=table["step"].agg(end)) for table in tables] for end in ("max", "min"))
    without_training = pd.concat([*first, select(random_networks, site=site)])
    shown = list(zip(last, first, circuits, strict=True))[:MOST_PLANES]
    figure, (errors, *planes) = plt.subplots(
        1, 1 + len(shown), figsize=(WIDTH, 3), width_ratios=(1.2, *[1] * len(shown))
    )
    draw_errors(errors, *(select(table, measure="error") for table in (pd.concat(last), without_training)))
    errors.set_title(f"Equivariance at {short_site(site)}")
    for ax, (after, at_first, circuit) in zip(planes, shown, strict=True):
        own = [select(table, permutation=SHIFT) for table in (after, at_first)]
        draw_plane(ax, *own, key_frequencies(circuit), modulus)
        ax.set_title(f"Map of {SHIFT}, seed {after['seed'].iloc[0]}")
        if not key_frequencies(circuit):
            ax.text(0, BESIDE, "no key frequency", ha="center", va="center", fontsize=7, color="0.4")
    planes[0].set_ylabel("imaginary part")
    handles = [plt.Line2D([], [], **style) for style in (TRAINED_NETWORK, RANDOM_NETWORK, KEY)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        trained, circuits = (by_seed(snakemake.input[name]) for name in ("shift_symmetry", "circuit"))
        random_networks, p = read_table(snakemake.input.random_init), snakemake.params.task["parameters"]["modulus"]
        figure = plot_shift_symmetry(trained, random_networks, circuits, snakemake.params.site, p)
        n = f"{len(trained)} trained, the same at initialisation and {random_networks['seed'].nunique()} random"
        figure.suptitle(f"{snakemake.wildcards.experiment}: p = {p}, {n}", fontsize=9)
        save_figure(figure, job)
