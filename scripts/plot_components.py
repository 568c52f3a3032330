"""Draw the activations on their two leading principal components, coloured by the true belief, without a probe."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geometry.figures.belief_cloud import draw_cloud
from geometry.figures.simplex import belief_colors
from geometry.figures.style import AT_INITIALISATION, TRAINED, WIDTH, save_figure
from geometry.networks.hook_points import short_site
from geometry.processes.prefix_tree import scored_part
from geometry.provenance.job import Job
from geometry.storage import open_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

NETWORKS = {-1: ("trained", TRAINED, "o-"), 0: ("at initialisation", AT_INITIALISATION, "x:")}


def plot_components(truth: xr.Dataset, result: xr.Dataset, max_points: int) -> Figure:
    """The figure: the spectrum, and the cloud after training and at initialisation."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 0.36 * WIDTH))
    belief = truth["target"].values
    colors = belief_colors(belief, truth.attrs["target_kind"] != "probabilities")
    rows = np.random.default_rng(0).permutation(len(belief))[:max_points]
    for ax, (index, (name, color, line)) in zip(axes[1:], NETWORKS.items(), strict=True):
        shares, score = result["variance_share"].values[index], result["score"].values[index]
        axes[0].plot(range(1, len(shares) + 1), shares, line, color=color, markersize=3, label=name)
        draw_cloud(ax, score[rows], colors[rows])
        disparity = float(result["procrustes_disparity"][index])
        ax.set_title(f"{name.capitalize()}\nProcrustes disparity {disparity:.3f}")
        ax.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
        ax.set(xlabel=f"component 1 ({shares[0]:.0%} of the variance)", ylabel=f"component 2 ({shares[1]:.0%})")
    dimension = result.attrs["belief_dimension"]
    axes[0].axvline(dimension + 0.5, color="0.6", linewidth=0.6, linestyle="--")
    text = f"beliefs have {dimension}\ndimension{'s' * (dimension > 1)}"
    place = {"xycoords": ("data", "axes fraction"), "xytext": (4, 0), "textcoords": "offset points"}
    axes[0].annotate(text, (dimension + 0.5, 1), **place, va="top", fontsize=7)
    axes[0].set(xlabel="principal component", ylabel="share of the variance", ylim=(0, None))
    axes[0].set_title(f"Spectrum\n{short_site(result.attrs['site'])}")
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].legend(loc="center right")
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.components) as result:
            figure = plot_components(scored_part(truth), result, snakemake.params.max_points)
        save_figure(figure, job)
