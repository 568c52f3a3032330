"""How well the belief is decoded at each site: trained and untrained, in sample and held out, both weightings."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.job import Job
from geometry.probe_table import select
from geometry.sites import CONCATENATED
from geometry.storage import read_table
from geometry.style import CONTROL, STYLE_SHEET, TRAINED, UNTRAINED, WIDTH, save_figure, short_site

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

TITLES = {"probability": "weighted by prefix probability", "uniform": "all words alike (as published)"}
SPLITS = {"held_out_prefix": ("o", "-", "held-out prefixes"), "in_sample": ("x", ":", "in sample")}


def plot_r2_by_site(probe: pd.DataFrame) -> Figure:
    """One panel per weighting; a mark per seed, a line through their means."""
    weightings = probe["weighting"].unique()
    figure, axes = plt.subplots(1, len(weightings), figsize=(WIDTH, 0.5 * WIDTH), sharey=True, squeeze=False)
    axes = axes[0]
    first, last = probe["step"].min(), probe["step"].max()
    networks = [
        ("trained", TRAINED, {"step": last, "target": "belief_state"}),
        ("untrained", UNTRAINED, {"step": first, "target": "belief_state"}),
        ("trained, shuffled beliefs", CONTROL, {"step": last, "target": "shuffled_belief_state"}),
    ]
    sites = list(probe["site"].unique())
    for ax, weighting in zip(axes, weightings, strict=True):
        for name, color, where in networks:
            for split, (marker, line, split_name) in SPLITS.items():
                rows = select(probe, metric="r2", weighting=weighting, split=split, **where)
                draw_series(ax, rows, sites, color, marker, line, f"{name}, {split_name}")
        ax.set_xticks(range(len(sites)), [short_site(site) for site in sites], rotation=35, ha="right")
        ax.set_title(TITLES[weighting])
    scale_to_unexplained(axes[0], probe)
    axes[0].set_ylabel("R² of the decoded belief state")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def draw_series(ax: Axes, rows: pd.DataFrame, sites: list[str], color: str, marker: str, line: str, label: str) -> None:
    """The scores of one network and split: seeds as marks, their mean as a line."""
    place = rows["site"].map(sites.index)
    unexplained = 1 - rows["value"]
    ax.plot(place, unexplained, marker, color=color, markersize=3.5, markerfacecolor="none", markeredgewidth=0.8)
    mean = unexplained.groupby(place).mean()
    alone = sites.index(CONCATENATED) if CONCATENATED in sites else len(sites)  # no line leads to the joined streams
    style = {"color": color, "marker": marker, "markersize": 3.5, "markerfacecolor": "none"}
    ax.plot(mean.index[:alone], mean[:alone], line, label=label, **style)
    ax.plot(mean.index[alone:], mean[alone:], line, **style)


def scale_to_unexplained(ax: Axes, probe: pd.DataFrame) -> None:
    """An axis of R2 on which 0.99 and 0.999 are as far apart as 0.9 and 0.99."""
    values = 1 - probe.loc[probe["metric"] == "r2", "value"]
    low, high = max(values[values > 0].min(), 1e-12), max(2.0, values.max())
    ax.set_yscale("log")
    ax.set_ylim(high * 1.3, low / 1.5)
    ticks = [t for t in (10, 2, 1, 0.5, 0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10) if low / 1.5 < t < high * 1.3]
    ax.set_yticks(ticks, [np.format_float_positional(1 - tick, trim="-") for tick in ticks])
    ax.minorticks_off()


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.style.use(STYLE_SHEET)
        probe = pd.concat([read_table(path) for path in snakemake.input.probe])
        figure = plot_r2_by_site(probe)
        figure.suptitle(
            f"{snakemake.wildcards.experiment}, {probe['seed'].nunique()} seeds (marks), means (lines)", fontsize=9
        )
        save_figure(figure, snakemake.output.figure, snakemake.params.dpi)
        job.info(f"drew {snakemake.output.figure}")
