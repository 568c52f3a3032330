"""Draw the concentration of the energy of W_E and W_U on few vectors, by basis."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH, save_figure
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

BASES = {
    "fourier": ("Fourier", {"color": TRAINED, "marker": "o"}),
    "fourier_of_logarithm": ("Fourier of the logarithm", {"color": "#E69F00", "marker": "P"}),
    "db4_best_packets": ("db4 packets, best basis", {"color": "#009E73", "marker": ".", "linestyle": "--"}),
    "db4_packets": (
        "db4 packets, last level",
        {"color": "#009E73", "marker": "D", "linestyle": ":", "markerfacecolor": "none"},
    ),
    "db4": ("db4 wavelets", {"color": "#CC79A7", "marker": "s", "linestyle": "--"}),
    "haar": ("Haar wavelets", {"color": "#CC79A7", "marker": "^", "linestyle": "-."}),
    "fourier_of_shuffled_tokens": ("Fourier, tokens shuffled", {"color": CONTROL, "marker": "v", "linestyle": "--"}),
    "random": ("random orthogonal", {"color": CONTROL, "marker": "x", "linestyle": ":"}),
    "raw": ("raw: one token each", {"color": "black", "marker": "|", "linestyle": "-."}),
}
NETWORKS = {
    "trained": {"color": TRAINED, "marker": "o"},
    "same networks at initialisation": {"color": AT_INITIALISATION, "marker": "s", "markerfacecolor": "none"},
    "random networks": {"color": CONTROL, "marker": "x"},
}
MATRICES = {"W_E": "Embedding $W_E$", "W_U": "Unembedding $W_U$"}
MARK = {"markersize": 4, "markeredgewidth": 0.8}
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def draw_ratios(ax: Axes, networks: dict[str, pd.DataFrame], bases: list[str]) -> None:
    """Participation ratios: a row for each basis, marks for networks, the kinds of networks one below the other."""
    for shift, (kind, rows) in zip((-0.2, 0, 0.2), networks.items(), strict=True):
        ratio = select(rows, measure="participation_ratio")
        place = ratio["basis"].map(bases.index) + shift
        ax.plot(ratio["value"], place, linestyle="none", label=kind, **NETWORKS[kind], **MARK)
    mean = select(networks["trained"], measure="participation_ratio").groupby("basis")["value"].mean()
    style = {"color": TRAINED, "fontsize": 7, "ha": "right"}
    ax.text(1.13, 1.01, "mean", transform=ax.transAxes, **style)
    for place, basis in enumerate(bases):
        ax.text(1.13, place - 0.2, f"{mean[basis]:.1f}", transform=ax.get_yaxis_transform(), va="center", **style)
    ax.set_yticks(range(len(bases)), [BASES[basis][0] for basis in bases])
    ax.set_ylim(len(bases) - 0.5, -0.5)
    ax.grid(axis="both", color="0.93", linewidth=0.6)
    ax.set_axisbelow(True)


def draw_shares(ax: Axes, rows: pd.DataFrame, bases: list[str]) -> None:
    """Mean cumulative share of the energy by number of vectors, a line for each basis."""
    share = select(rows, measure="share_of_largest").groupby(["basis", "index"])["value"].mean()
    for basis in reversed(bases):  # the first on top
        label, style = BASES[basis]
        ax.plot(share[basis].index, share[basis], label=label, **{"linestyle": "-"} | style | MARK)
    ax.set_ylim(0, 1.03)
    ax.grid(axis="both", color="0.93", linewidth=0.6)


def scale_to_vectors(ax: Axes, p: int) -> None:
    """Scale the axis to numbers of vectors, from one to all of them."""
    ax.set(xscale="log", xlim=(0.93, 1.08 * p))
    ax.set_xticks([*(tick for tick in TICKS if tick < 0.75 * p), p])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_locator(NullLocator())


def plot_bases(table: pd.DataFrame, random_networks: pd.DataFrame, p: int) -> Figure:
    """The figure: above, the participation ratio by basis and kind of network; below, shares of the energy."""
    step = table.groupby("seed")["step"]
    trained, at_initialisation = (table[table["step"] == step.transform(end)] for end in ("max", "min"))
    networks = dict(zip(NETWORKS, (trained, at_initialisation, random_networks), strict=True))
    bases = [basis for basis in BASES if basis in set(table["basis"])]
    figure = plt.figure(figsize=(WIDTH, 0.9 * WIDTH))
    above, below = figure.subfigures(2, 1, height_ratios=[1 + 0.16 * len(bases), 2])
    for ax, (matrix, name) in zip(above.subplots(1, 2, sharey=True), MATRICES.items(), strict=True):
        draw_ratios(ax, {kind: select(rows, matrix=matrix) for kind, rows in networks.items()}, bases)
        scale_to_vectors(ax, p)
        ax.set_title(name)
        ax.set_xlabel("participation ratio (number of vectors)")
    above.legend(*above.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    for ax, (matrix, name) in zip(below.subplots(1, 2, sharey=True), MATRICES.items(), strict=True):
        draw_shares(ax, select(trained, matrix=matrix), bases)
        scale_to_vectors(ax, p)
        ax.set_title(f"{name}, trained")
        ax.set_xlabel("number of vectors, largest first")
    below.axes[0].set_ylabel("share of the energy\n(mean over networks)")
    handles, labels = below.axes[0].get_legend_handles_labels()
    below.legend(handles[::-1], labels[::-1], loc="outside right center", handlelength=3)
    return figure


def subtitle(table: pd.DataFrame, random_networks: pd.DataFrame, p: int) -> str:
    """The modulus, the numbers of networks, and the reason if wavelets are missing."""
    networks = f"p = {p}, {table['seed'].nunique()} trained networks, {random_networks['seed'].nunique()} random"
    return networks if "haar" in set(table["basis"]) else f"{networks}; wavelets need a power of two"


if __name__ == "__main__":
    with Job(snakemake) as job:
        table = pd.concat([read_table(path) for path in snakemake.input.bases])
        random_networks, p = read_table(snakemake.input.random_init), snakemake.params.task["parameters"]["modulus"]
        figure = plot_bases(table, random_networks, p)
        figure.suptitle(f"{snakemake.wildcards.experiment}: {subtitle(table, random_networks, p)}", fontsize=9)
        save_figure(figure, job)
