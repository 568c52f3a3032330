"""Draw R2 of the decoded belief at each site: trained and random networks, in sample and held out, both weightings.

Held out with ridge regression, as for verdicts; in sample by least squares, as published.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH, save_figure, scale_to_unexplained
from geometry.networks.hook_points import CONCATENATED, short_site
from geometry.probing.probe_table import BASELINES, estimated, of_random_networks
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

TITLES = {"probability": "weighted by prefix probability", "uniform": "uniform over sequences (as published)"}
WAYS = {
    ("held_out_prefix", "ridge"): ("o", "-", "held out, ridge"),
    ("in_sample", "least_squares"): ("x", ":", "in sample, least squares"),
}

NAMED = {
    "last token": "last token",
    "all tokens, additive": "all tokens",
    "3-gram": "3-gram",
    "6-gram": "6-gram",
    "optimal log-probabilities": "optimal log-p",
}
"""Short labels of the baselines that are drawn."""


def plot_r2_by_site(probe: pd.DataFrame, baselines: pd.DataFrame, random_networks: pd.DataFrame) -> Figure:
    """The figure: a panel per weighting, with a mark per seed, a line through their means, and lines for baselines."""
    weightings = [name for name in TITLES if name in probe["weighting"].values]
    figure, axes = plt.subplots(1, len(weightings), figsize=(WIDTH, 0.52 * WIDTH), sharey=True, squeeze=False)
    axes = axes[0]
    probe, random_networks = (select(table, metric="r2") for table in (probe, random_networks))
    last = probe["step"].max()
    baselines = select(baselines, metric="r2", target="belief_state", split="held_out_prefix")
    at_sites = select(probe, features="activations")
    never = select(random_networks, features="activations")
    networks = [
        ("trained", TRAINED, select(at_sites, step=last, target="belief_state")),
        ("random networks", AT_INITIALISATION, select(never, target="belief_state")),
        ("shuffled beliefs", CONTROL, select(at_sites, step=last, target="shuffled_belief_state")),
    ]
    networks = [one for one in networks if len(one[2])]  # of a recording, there may be no random network
    sites = list(at_sites["site"].unique())
    shown = [select(table, split=split, estimator=way)["value"] for _, _, table in networks for split, way in WAYS]
    ends = scale_to_unexplained(axes[0].yaxis, 1 - pd.concat(shown))
    for ax, weighting in zip(axes, weightings, strict=True):
        for name, color, table in networks:
            for (split, estimator), (marker, line, way) in WAYS.items():
                rows = select(table, weighting=weighting, split=split, estimator=estimator)
                draw_series(ax, rows, sites, color, marker, line, f"{name}, {way}", ends)
        draw_baselines(ax, ends, select(baselines, weighting=weighting))
        ax.set_xticks(range(len(sites)), [short_site(site) for site in sites], rotation=35, ha="right")
        ax.set_title(TITLES[weighting])
    axes[0].set_ylabel("R² of the decoded belief state")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def draw_baselines(ax: Axes, ends: tuple[float, float], scores: pd.DataFrame) -> None:
    """R2 of baselines on held-out prefixes, as lines named at their right end."""
    scores = estimated(scores, "ridge")
    left = {short: 1 - select(scores, features=BASELINES[name][1])["value"].mean() for name, short in NAMED.items()}
    levels = {name: np.clip(level, *ends) for name, level in left.items()}
    apart, label = (ends[1] / ends[0]) ** 0.045, np.inf
    for name, level in sorted(levels.items(), key=lambda item: -item[1]):
        label = max(min(level, label / apart), ends[0])  # at least the height of a name above the one below
        ax.axhline(level, color="0.55", linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        place = {"xy": (1, label), "xycoords": ("axes fraction", "data"), "xytext": (2, 0)}
        ax.annotate(name, textcoords="offset points", fontsize=5.5, color="0.35", va="center", **place)


def draw_series(
    ax: Axes, rows: pd.DataFrame, sites: list[str], color: str, marker: str, line: str, label: str, ends
) -> None:
    """R2 of one network and split: seeds as marks, their mean as a line; values beyond the axis at its ends."""
    place = rows["site"].map(sites.index)
    unexplained = (1 - rows["value"]).clip(*ends)
    marks = {"color": color, "markersize": 3.5, "markerfacecolor": "none", "markeredgewidth": 0.8}
    ax.plot(place, unexplained, marker, clip_on=False, **marks)
    mean = unexplained.groupby(place).mean()
    alone = sites.index(CONCATENATED) if CONCATENATED in sites else len(sites)  # no line to the concatenated site
    ax.plot(mean.index[:alone], mean[:alone], line, color=color)
    ax.plot([], [], line, marker=marker, label=label, **marks)


if __name__ == "__main__":
    with Job(snakemake) as job:
        probe = pd.concat([read_table(path) for path in snakemake.input.probe])
        random_networks = of_random_networks(snakemake.input.random_init, like=probe)
        figure = plot_r2_by_site(probe, read_table(snakemake.input.baselines), random_networks)
        n, never = probe["seed"].nunique(), random_networks["seed"].nunique()
        title = f"{snakemake.wildcards.experiment}: {n} trained and {never} random networks (marks), means (lines)"
        figure.suptitle(title, fontsize=9)
        save_figure(figure, job)
