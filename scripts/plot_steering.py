"""Steering and ablation: the prediction by dose and by site, a token later, and without the belief's directions."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import LogLocator, NullFormatter

from geometry.figures.style import CONTROL, STYLE_SHEET, TRAINED, UNTRAINED, WIDTH, save_figure
from geometry.networks.hook_points import short_site
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

AWAY, BACK = "kl_to_counterfactual_nats", "kl_to_original_nats"
LEAST = 1e-9
"""Nats below which a divergence is rounding."""

MOST_DOSE_CURVES = 6
MOST_NAMES = 7
PATTERN = {"color": TRAINED, "marker": "o", "linestyle": "-"}
FILTER = {"color": UNTRAINED, "marker": "^", "linestyle": "--"}
RANDOM = {"color": CONTROL, "marker": "x", "linestyle": ":"}
NEXT = {"color": CONTROL, "marker": "D", "linestyle": "-."}
LEGEND = {"loc": "upper right", "handlelength": 2.6}
ORIGINAL = {"color": "black", "marker": "s", "linestyle": "--"}
INTERVENTIONS = {
    "pattern": (PATTERN, "pattern"),
    "filter": (FILTER, "filter"),
    "random": (RANDOM, "random direction, as long as the pattern"),
}


def plot_steering(table: pd.DataFrame) -> Figure:
    """Dose curves of the sites above; below by site: at full dose, a token later, and without directions."""
    figure = plt.figure(figsize=(WIDTH, 0.8 * WIDTH))
    if table.empty:
        figure.text(0.5, 0.5, "no prefix has a partner of the same length that leads to another belief", ha="center")
        return figure
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.3])
    now = select(table, partner="any", tokens_later=0)
    draw_dose_curves(above, select(now, metric=AWAY))
    at_full_dose, later, ablation = below.subplots(1, 3, width_ratios=[1, 1.15, 1])
    draw_full_dose(at_full_dose, select(now, metric=AWAY))
    draw_later(later, table)
    draw_ablation(ablation, select(now, metric="kl_to_optimum_nats"))
    return figure


def describe(table: pd.DataFrame) -> str:
    """What the marks and lines are."""
    if table.empty:
        return "no pairs of prefixes"
    return f"{table['seed'].nunique()} seeds (marks), means (lines), {table['n_pairs'].max()} pairs of prefixes"


def draw_dose_curves(figure: SubFigure, table: pd.DataFrame) -> None:
    """A panel per site, or for some of them, evenly spaced."""
    sites = list(table["site"].unique())
    shown = np.unique(np.linspace(0, len(sites) - 1, MOST_DOSE_CURVES).round().astype(int))
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for ax, place in zip(axes, shown, strict=True):
        draw_interventions(ax, select(table, site=sites[place]), "dose")
        ax.set_title(short_site(sites[place]), fontsize=8)
        ax.set_xticks([0, 0.5, 1, 1.5], ["0", "", "1", ""])
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("KL to the counterfactual\noptimum (nats)")
    figure.supxlabel("dose: how much of the change of belief is added at the prefix's last position", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)


def draw_full_dose(ax: Axes, table: pd.DataFrame) -> None:
    """The interventions at dose 1, by site."""
    draw_interventions(ax, table[table["dose"].isin([0, 1])], "site")
    scale_to_divergence(ax)
    ax.set_title("Next token, dose 1\nlines as above")
    ax.set_ylabel("KL to the counterfactual\noptimum (nats)")


def draw_interventions(ax: Axes, table: pd.DataFrame, x: str) -> None:
    """A line per intervention, and the level without any."""
    for name, (style, label) in INTERVENTIONS.items():
        rows = select(table, intervention=name)
        draw_series(ax, rows[rows["dose"] > 0] if x == "site" else rows, x, label, style)
    draw_level(ax, select(table, dose=0), "unsteered")


def draw_later(ax: Axes, table: pd.DataFrame) -> None:
    """The prediction after one more token; of partners with the same next-token prediction, if there are any."""
    alike = select(table, partner="equal_next_token")
    pattern = select(table if alike.empty else alike, intervention="pattern")
    later, full = select(pattern, tokens_later=1), select(pattern, dose=1)
    if later.empty:  # prefixes of one token are all that there are
        ax.set_visible(False)
        return
    draw_series(ax, select(later, metric=AWAY, dose=1), "site", "counterfactual", PATTERN)
    draw_series(ax, select(later, metric=BACK, dose=1), "site", "original", ORIGINAL)
    draw_level(ax, select(later, metric=AWAY, dose=0), "counterfactual, unsteered")
    if not alike.empty:
        draw_series(ax, select(full, metric=AWAY, tokens_later=0), "site", "next token, either belief", NEXT)
    ax.set_ylim(0, 1.5 * ax.dataLim.ymax)  # room for the legend
    ax.set_title("One token later, pattern\n" + ("any partner" if alike.empty else "partners alike in the next token"))
    ax.set_ylabel("KL to that belief's\noptimum (nats)")
    ax.legend(**LEGEND)


def draw_ablation(ax: Axes, table: pd.DataFrame) -> None:
    """The prediction without the directions of the belief, by site."""
    draw_series(ax, select(table, intervention="ablate_belief"), "site", "those of the belief", PATTERN)
    draw_series(ax, select(table, intervention="ablate_random"), "site", "as many at random", RANDOM)
    draw_level(ax, select(table, intervention="none"), "none")
    low, high = scale_to_divergence(ax)
    ax.set_ylim(low / 2, high * (high / low) ** 0.5)  # room for the legend
    ax.set_title("Directions removed\nat all positions")
    ax.set_ylabel("KL to the optimum (nats)")
    ax.legend(**LEGEND)


def draw_series(ax: Axes, rows: pd.DataFrame, x: str, label: str, style: dict) -> None:
    """Seeds as marks, a line through their means."""
    place = rows[x]
    if x == "site":
        sites = list(rows["site"].unique())
        place = place.map(sites.index)
        named = range(0, len(sites), -(-len(sites) // MOST_NAMES))
        ax.set_xticks(named, [short_site(sites[i]) for i in named], rotation=35, ha="right")
    style = {**style, "markersize": 3.5, "markerfacecolor": "none", "markeredgewidth": 0.8}
    ax.plot(place, rows["value"], **style | {"linestyle": "none", "clip_on": False})
    mean = rows["value"].groupby(place).mean()
    ax.plot(mean.index, mean, **style | {"marker": "none"})
    ax.plot([], [], label=label, **style)


def draw_level(ax: Axes, rows: pd.DataFrame, label: str) -> None:
    """The mean of some rows as a level over the whole panel."""
    ax.axhline(rows["value"].mean(), color="black", linewidth=0.7, linestyle=(0, (6, 3)), label=label, zorder=0)


def scale_to_divergence(ax: Axes) -> tuple[float, float]:
    """A logarithmic axis with numbers that can be read, also within one decade; gives back the ends of the data.

    A divergence that is rounding, of a network that is certain where the optimum is, counts as `LEAST`.
    """
    low, high = np.maximum(ax.dataLim.intervaly, LEAST)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=[1] if high > 100 * low else [1, 2, 5]))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    return low, high


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.style.use(STYLE_SHEET)
        table = pd.concat([read_table(path) for path in snakemake.input.steering])
        figure = plot_steering(table)
        figure.suptitle(f"{snakemake.wildcards.experiment}, {describe(table)}", fontsize=9)
        save_figure(figure, snakemake.output.figure, snakemake.params.dpi)
        job.info(f"drew {snakemake.output.figure}")
