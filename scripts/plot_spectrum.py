"""Draw the frequencies of networks of modular arithmetic: in embeddings, logits and neurons."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import CONTROL, TRAINED, WIDTH, name_peaks, note, save_figure
from geometry.provenance.job import Job
from geometry.storage import open_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_ROWS = 3
OF_KEYS = (
    {"color": TRAINED},
    {"color": "#D55E00", "hatch": "////"},
    {"color": "#009E73", "hatch": "...."},
    {"color": "#CC79A7", "hatch": "xxxx"},
    {"color": "#56B4E9", "hatch": "\\\\\\\\"},
    {"color": "black"},
)
REST = {"color": CONTROL, "alpha": 0.6}
INITIAL = {"color": "black", "linewidth": 0.8}
MATRICES = {"W_E": "Embedding $W_E$", "W_U": "Unembedding $W_U$"}
NEAR = 0.13
"""The distance, as a share of the frequencies, within which names would overlap."""

BINS = np.arange(0, 1.01, 0.05)


def draw_spectrum(ax: Axes, values: xr.DataArray, keys: dict[int, dict]) -> None:
    """Draw a bar for each frequency, with the key ones in colour and named, and a line for the values at step 0."""
    initial, trained = values.values
    frequency = values["frequency"].values
    for k in frequency[1:].tolist():
        ax.bar(k, trained[k], width=0.85, **keys.get(k, REST) | {"hatch": None})
    ax.step(frequency[1:], initial[1:], where="mid", **INITIAL)
    ax.set_xlim(-0.5, frequency[-1] + 1)
    highest = max(trained[1:].max(), initial[1:].max(), np.finfo(float).tiny)
    ax.set_ylim(1.1 * min(0, trained[1:].min()), 1.25 * highest)
    heights, colors = {k: trained[k] for k in keys}, {k: style["color"] for k, style in keys.items()}
    name_peaks(ax, heights, colors, near=NEAR * len(frequency), line_height=0.1 * highest)


def draw_neurons(ax: Axes, frequency: np.ndarray, share: np.ndarray, keys: dict[int, dict], pure: float) -> None:
    """Draw a histogram of the share of one frequency in each neuron's variance, stacked by key frequency."""
    groups = {k: frequency == k for k in keys} | {None: ~np.isin(frequency, list(keys))}
    bottom = np.zeros(len(BINS) - 1)
    for k, chosen in groups.items():
        height, _ = np.histogram(share[chosen], BINS)
        label = f"{'others' if k is None else k}: {chosen.sum()}"
        style = {"width": np.diff(BINS), "align": "edge", "edgecolor": "white", "linewidth": 0}
        ax.bar(BINS[:-1], height, bottom=bottom, label=label, **style | keys.get(k, REST))
        bottom += height
    ax.axvline(pure, color="black", linewidth=0.8, linestyle="--")
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, pure], ["0", "0.5", str(pure)])
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "handlelength": 1.2, "alignment": "left"}
    ax.legend(title="best k: neurons", title_fontsize=7, **beside)


def plot_spectrum(circuits: list[xr.Dataset], pure: float) -> Figure:
    """The figure: a row for each of the first networks, with both embeddings, the logits and the neurons."""
    shown = circuits[:MOST_ROWS]
    figure, axes = plt.subplots(len(shown), 4, figsize=(WIDTH, 0.9 + 1.55 * len(shown)), sharex="col", squeeze=False)
    for row, network in zip(axes, shown, strict=True):
        keys = dict(zip((k for k in network["key_frequency"].values.tolist() if k), OF_KEYS, strict=False))
        for ax, matrix in zip(row, MATRICES, strict=False):
            draw_spectrum(ax, network["energy"].sel(matrix=matrix), keys)
        if np.isfinite(network["logit_amplitude"]).all():
            draw_spectrum(row[2], network["logit_amplitude"], keys)
            if not keys:
                note(row[2], "no key\nfrequency")
        else:
            note(row[2], "no waves of a sum\nor a difference")
        draw_neurons(row[3], network["neuron_frequency"].values, network["neuron_share"].values, keys, pure)
        labels = f"seed {int(network['seed'])}\nenergy", "energy", "amplitude", "neurons"
        for ax, label in zip(row, labels, strict=True):
            ax.set_ylabel(label)
    for ax, title in zip(axes[0], [*MATRICES.values(), "Logits", "Neurons"], strict=True):
        ax.set_title(title)
    for ax in axes[-1, :3]:
        ax.set_xlabel("frequency k")
    axes[-1, 3].set_xlabel("share of one frequency\nin a neuron's variance")
    handles = [
        plt.Rectangle((0, 0), 1, 1, **OF_KEYS[0], label="trained, a key frequency (number: k)"),
        plt.Rectangle((0, 0), 1, 1, **REST, label="trained, another frequency"),
        plt.Line2D([], [], label="same network at initialisation", **INITIAL),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def subtitle(circuits: list[xr.Dataset], p: int) -> str:
    """The modulus and the networks of the rows."""
    n = len(circuits)
    if n > MOST_ROWS:
        return f"p = {p}, the first {MOST_ROWS} of {n} trained networks"
    return f"p = {p}, {n} trained network{'s' * (n > 1)}, a row each"


if __name__ == "__main__":
    with Job(snakemake) as job:
        runs = [open_dataset(path) for path in snakemake.input.circuit]
        circuits = [run.isel(seed=place) for run in runs for place in range(run.sizes["seed"])]
        figure = plot_spectrum(circuits, snakemake.params.pure_neuron_share)
        p = snakemake.params.task["parameters"]["modulus"]
        figure.suptitle(f"{snakemake.wildcards.experiment}: {subtitle(circuits, p)}", fontsize=9)
        save_figure(figure, job)
