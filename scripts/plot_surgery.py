"""Draw the accuracy of network surgery for other moduli beside its controls."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from geometry.figures.series import draw_mean_rows
from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH, save_figure
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SURGERY = "surgery"
NETWORKS = {
    SURGERY: ("surgery", {"color": TRAINED, "marker": "o", "linestyle": "-"}),
    "nearest_tokens": ("nearest numbers", {"color": "#D55E00", "marker": "D", "linestyle": "--"}),
    "unedited": ("unedited", {"color": "black", "marker": "s", "linestyle": "-."}),
    "embedding_only": ("surgery on $W_E$ alone", {"color": "#009E73", "marker": "^", "linestyle": "-"}),
    "unembedding_only": ("surgery on $W_U$ alone", {"color": "#CC79A7", "marker": "v", "linestyle": "--"}),
    "permuted_frequencies": ("k' permuted in $W_U$", {"color": "#56B4E9", "marker": "P", "linestyle": "-."}),
    "other_frequencies": ("key frequencies left out", {"color": CONTROL, "marker": "x", "linestyle": ":"}),
    "at_initialisation": ("surgery at initialisation", {"color": AT_INITIALISATION, "marker": "*", "linestyle": ":"}),
}
"""Labels and styles of the networks."""

SHIFTED = {"color": "black", "marker": "^", "linestyle": "none", "markerfacecolor": "none", "markeredgewidth": 0.7}


def draw_seeds(ax: Axes, rows: pd.DataFrame, **style) -> None:
    """Draw a mark for each seed and modulus."""
    ax.plot(rows["modulus"], rows["value"], **{"linestyle": "none", "markersize": 2.2, "clip_on": False} | style)


def draw_accuracy(ax: Axes, accuracy: pd.DataFrame) -> None:
    """Accuracy by modulus: a line for each network, the mean over seeds, and a mark for each seed of the surgery."""
    for name, (_, style) in reversed(NETWORKS.items()):
        mean = select(accuracy, network=name).groupby("modulus")["value"].mean()
        width = {"linewidth": 1.4 if name == SURGERY else 0.8, "marker": "none"}
        ax.plot(mean.index, mean, **style | width)
    draw_seeds(ax, select(accuracy, network=SURGERY), marker="o", color=TRAINED, markeredgewidth=0)


def draw_large(ax: Axes, accuracy: pd.DataFrame) -> None:
    """Accuracy at a few large moduli: the mean over seeds of each network, and each seed of the surgery."""
    moduli = sorted(accuracy["modulus"].unique())
    accuracy = accuracy.assign(modulus=accuracy["modulus"].map(moduli.index))
    for name, (_, style) in reversed(NETWORKS.items()):
        mean = select(accuracy, network=name).groupby("modulus")["value"].mean()
        mark = {"linestyle": "none", "markersize": 3.5, "markeredgewidth": 0.8, "clip_on": False}
        own = {"marker": "_", "markersize": 7} if name == SURGERY else {"markerfacecolor": "none"}
        ax.plot(mean.index, mean, **style | mark | own)
    draw_seeds(ax, select(accuracy, network=SURGERY), marker="o", color=TRAINED, markeredgewidth=0)
    ax.set_xticks(range(len(moduli)), moduli, rotation=90)
    ax.set(xlim=(-0.6, len(moduli) - 0.4), yticks=[])
    ax.spines["left"].set_visible(False)


def draw_error(ax: Axes, table: pd.DataFrame) -> None:
    """The error of the surgery for each seed, also with logits averaged over shifts; an error of 0 is at the bottom."""
    error = table.assign(value=1 - table["value"])
    lowest = 0.3 / table["n_pairs"].max()
    error["value"] = error["value"].mask(error["value"] < lowest, lowest)
    draw_seeds(
        ax, select(error, measure="accuracy"), marker="o", color=TRAINED, markeredgewidth=0, label="one evaluation"
    )
    shifted = select(error, measure="shift_averaged_accuracy")
    draw_seeds(ax, shifted, **SHIFTED | {"markersize": 3.5}, label="logits averaged over shifts")
    ax.set(yscale="log", ylim=(lowest, 1), ylabel="error (1 - accuracy)")
    powers = [10.0**power for power in range(-9, 1) if 10.0**power > 2 * lowest]
    ax.set_yticks([lowest, *powers], ["0", *(f"{power:g}" for power in powers)])
    ax.yaxis.set_minor_locator(NullLocator())


def draw_gaps(ax: Axes, gaps: pd.DataFrame) -> None:
    """The measured least logit gap against the predicted one, for each modulus and seed."""
    gaps = gaps[gaps["measure"].isin(["predicted_gap", "least_gap"])]
    wide = gaps.pivot(index=["seed", "modulus"], columns="measure", values="value")
    ax.plot(wide["predicted_gap"], wide["least_gap"], "o", color=TRAINED, markersize=2.2, markeredgewidth=0)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(xlim=(0, None), xlabel="predicted least gap of logits", ylabel="measured least gap")


def plot_surgery(table: pd.DataFrame, p: int) -> Figure:
    """The figure: above, accuracy by modulus and its mean; below, the error of the surgery and its logit gaps."""
    last = table[table["step"] == table["step"].max()]
    large = is_large(last["modulus"])
    tried, beyond = last[~large], select(last[large], measure="accuracy")
    accuracy, surgery = select(tried, measure="accuracy"), select(tried, network=SURGERY)
    figure = plt.figure(figsize=(WIDTH, 0.72 * WIDTH))
    above, below = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    by_modulus, by_large, means = above.subplots(1, 3, width_ratios=[4, 0.15 + 0.13 * beyond["modulus"].nunique(), 1.3])
    error, gaps = below.subplots(1, 2, width_ratios=[3, 1])
    draw_accuracy(by_modulus, accuracy)
    by_modulus.set(ylim=(0, 1.02), xlabel="modulus p'", ylabel="accuracy")
    by_modulus.set_title("Accuracy by modulus (line: mean of the networks)", pad=13)
    draw_large(by_large, beyond)
    by_large.set(ylim=(0, 1.02), visible=not beyond.empty, xlabel="large p'")
    draw_mean_rows(means, accuracy.groupby(["network", "seed"])["value"].mean(), NETWORKS)
    means.set_title(f"Mean over p' ≤ {tried['modulus'].max()}", pad=13)
    draw_error(error, surgery)
    error.set(xlabel="modulus p'", title="Error of the surgery")
    error.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, borderpad=0)
    for ax in (by_modulus, error):
        ax.axvline(p, color="black", linewidth=0.6, linestyle=(0, (6, 3)), zorder=0)
        ax.set_xlim(0, tried["modulus"].max() + 1)
    by_modulus.annotate(f"p = {p}", (p, 1.02), (0, 3), textcoords="offset points", fontsize=7, ha="center")
    draw_gaps(gaps, surgery)
    gaps.set_title("Logit gaps")
    return figure


def is_large(modulus: pd.Series) -> pd.Series:
    """True for moduli beyond the contiguous range that is scored completely."""
    moduli = np.unique(modulus)
    return ~modulus.isin(moduli[moduli == moduli[0] + np.arange(len(moduli))])


def subtitle(table: pd.DataFrame, p: int) -> str:
    """The modulus, the number of networks, and the number of pairs."""
    last = table[table["step"] == table["step"].max()]
    sampled = last.loc[last["n_pairs"] < last["modulus"] ** 2, "n_pairs"]
    fewer = f" (of controls and large p', at most {sampled.max():,} sampled ones)" if len(sampled) else ""
    return f"p = {p}, {table['seed'].nunique()} trained networks; all p'² pairs{fewer}"


if __name__ == "__main__":
    with Job(snakemake) as job:
        table = pd.concat([read_table(path) for path in snakemake.input.surgery])
        p = snakemake.params.task["parameters"]["modulus"]
        figure = plot_surgery(table, p)
        figure.suptitle(f"{snakemake.wildcards.experiment}: {subtitle(table, p)}", fontsize=9)
        save_figure(figure, job)
