"""How well the belief is decoded at each site: trained and untrained, in sample and held out, both weightings.

Held out, by ridge, as verdicts rest on it; in sample by least squares, as published.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import CONTROL, STYLE_SHEET, TRAINED, UNTRAINED, WIDTH, save_figure, scale_to_unexplained
from geometry.networks.hook_points import CONCATENATED, short_site
from geometry.probing.probe_table import BASELINES, estimated
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

TITLES = {"probability": "weighted by prefix probability", "uniform": "all words alike (as published)"}
WAYS = {
    ("held_out_prefix", "ridge"): ("o", "-", "held-out prefixes, ridge"),
    ("in_sample", "least_squares"): ("x", ":", "in sample, least squares"),
}

NAMED = {
    "last token": "last token",
    "all tokens, additive": "all tokens",
    "3-gram": "last 3, table",
    "6-gram": "last 6, table",
    "optimal log-probabilities": "optimal log-p",
}
"""The baselines that are drawn, and how short they are called."""


def plot_r2_by_site(probe: pd.DataFrame, baselines: pd.DataFrame, untrained: pd.DataFrame) -> Figure:
    """One panel per weighting; a mark per seed, a line through their means, and lines for what needs no network."""
    weightings = [name for name in TITLES if name in probe["weighting"].values]
    figure, axes = plt.subplots(1, len(weightings), figsize=(WIDTH, 0.52 * WIDTH), sharey=True, squeeze=False)
    axes = axes[0]
    probe, untrained = (select(table, metric="r2") for table in (probe, untrained))
    first, last = probe["step"].min(), probe["step"].max()
    baselines = select(baselines, metric="r2", target="belief_state", split="held_out_prefix")
    at_sites = select(probe, features="activations")
    never = pd.concat([select(table, features="activations", step=first) for table in (probe, untrained)])
    networks = [
        ("trained", TRAINED, select(at_sites, step=last, target="belief_state")),
        ("random networks", UNTRAINED, select(never, target="belief_state")),
        ("trained, shuffled beliefs", CONTROL, select(at_sites, step=last, target="shuffled_belief_state")),
    ]
    sites = list(at_sites["site"].unique())
    shown = [select(table, split=split, estimator=way)["value"] for _, _, table in networks for split, way in WAYS]
    ends = scale_to_unexplained(axes[0].yaxis, 1 - pd.concat(shown))
    for ax, weighting in zip(axes, weightings, strict=True):
        for name, color, table in networks:
            for (split, estimator), (marker, line, way) in WAYS.items():
                rows = select(table, weighting=weighting, split=split, estimator=estimator)
                draw_series(ax, rows, sites, color, marker, line, f"{name}, {way}", ends)
        draw_floors(ax, ends, select(baselines, weighting=weighting))
        ax.set_xticks(range(len(sites)), [short_site(site) for site in sites], rotation=35, ha="right")
        ax.set_title(TITLES[weighting])
    axes[0].set_ylabel("R² of the decoded belief state")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def draw_floors(ax: Axes, ends: tuple[float, float], scores: pd.DataFrame) -> None:
    """What is decoded from held-out prefixes without a network, as lines named at their right end."""
    scores = estimated(scores, "ridge")
    left = {short: 1 - select(scores, features=BASELINES[name][1])["value"].mean() for name, short in NAMED.items()}
    levels = {name: np.clip(level, *ends) for name, level in left.items()}
    apart, label = (ends[1] / ends[0]) ** 0.045, np.inf
    for name, level in sorted(levels.items(), key=lambda item: -item[1]):
        label = max(min(level, label / apart), ends[0])  # a name no nearer than its height to the one below
        ax.axhline(level, color="0.55", linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        place = {"xy": (1, label), "xycoords": ("axes fraction", "data"), "xytext": (2, 0)}
        ax.annotate(name, textcoords="offset points", fontsize=5.5, color="0.35", va="center", **place)


def draw_series(
    ax: Axes, rows: pd.DataFrame, sites: list[str], color: str, marker: str, line: str, label: str, ends
) -> None:
    """The scores of one network and split: seeds as marks, their mean as a line; what is beyond an end is there."""
    place = rows["site"].map(sites.index)
    unexplained = (1 - rows["value"]).clip(*ends)
    marks = {"color": color, "markersize": 3.5, "markerfacecolor": "none", "markeredgewidth": 0.8}
    ax.plot(place, unexplained, marker, clip_on=False, **marks)
    mean = unexplained.groupby(place).mean()
    alone = (
        sites.index(CONCATENATED) if CONCATENATED in sites else len(sites)
    )  # no line leads to the joined layer outputs
    ax.plot(mean.index[:alone], mean[:alone], line, color=color)
    ax.plot([], [], line, marker=marker, label=label, **marks)


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.style.use(STYLE_SHEET)
        probe = pd.concat([read_table(path) for path in snakemake.input.probe])
        untrained = read_table(snakemake.input.random_init)
        figure = plot_r2_by_site(probe, read_table(snakemake.input.baselines), untrained)
        n, never = probe["seed"].nunique(), untrained["seed"].nunique()
        figure.suptitle(
            f"{snakemake.wildcards.experiment}: {n} trained, the same at initialisation and {never} never trained "
            "(marks), means (lines)",
            fontsize=9,
        )
        save_figure(figure, snakemake.output.figure, snakemake.params.dpi)
        job.info(f"drew {snakemake.output.figure}")
