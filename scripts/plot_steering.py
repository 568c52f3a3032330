"""Draw steering and ablation: divergences by dose and by site, one token later, and with the belief ablated."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from geometry.figures.series import draw_level, draw_series, name_sites, scale_to_divergence
from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH, save_figure
from geometry.networks.hook_points import short_site
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

COUNTERFACTUAL, ORIGINAL = "kl_to_counterfactual_nats", "kl_to_original_nats"
MOST_DOSE_CURVES = 6
PATTERN = {"color": TRAINED, "marker": "o", "linestyle": "-"}
FILTER = {"color": AT_INITIALISATION, "marker": "^", "linestyle": "--"}
RANDOM = {"color": CONTROL, "marker": "x", "linestyle": ":"}
NEXT = {"color": CONTROL, "marker": "D", "linestyle": "-."}
LEGEND = {"loc": "upper right", "handlelength": 2.6}
TO_ORIGINAL = {"color": "black", "marker": "s", "linestyle": "--"}
INTERVENTIONS = {
    "pattern": (PATTERN, "pattern (encoding directions)"),
    "filter": (FILTER, "filter (decoding directions)"),
    "random": (RANDOM, "random direction of equal length"),
}


def plot_steering(table: pd.DataFrame) -> Figure:
    """The figure: above, dose curves of some sites; below, by site, at dose 1, one token later, and ablated."""
    figure = plt.figure(figsize=(WIDTH, 0.8 * WIDTH))
    if table.empty:
        figure.text(0.5, 0.5, "no prefix has a partner of the same length with another belief", ha="center")
        return figure
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.3])
    now = select(table, partner="any", tokens_later=0)
    draw_dose_curves(above, select(now, metric=COUNTERFACTUAL))
    at_full_dose, later, ablation = below.subplots(1, 3, width_ratios=[1, 1.15, 1])
    draw_full_dose(at_full_dose, select(now, metric=COUNTERFACTUAL))
    draw_later(later, table)
    draw_ablation(ablation, select(now, metric="kl_to_optimum_nats"))
    return figure


def subtitle(table: pd.DataFrame) -> str:
    """The numbers of seeds and of pairs of prefixes."""
    if table.empty:
        return "no pairs of prefixes"
    return f"{table['seed'].nunique()} seeds (marks), means (lines), {table['n_pairs'].max()} pairs of prefixes"


def draw_dose_curves(figure: SubFigure, table: pd.DataFrame) -> None:
    """Divergence by dose, in a panel per site or, of many, for some evenly spaced ones."""
    sites = list(table["site"].unique())
    shown = np.unique(np.linspace(0, len(sites) - 1, MOST_DOSE_CURVES).round().astype(int))
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for ax, place in zip(axes, shown, strict=True):
        draw_interventions(ax, select(table, site=sites[place]), "dose")
        ax.set_title(short_site(sites[place]), fontsize=8)
        ax.set_xticks([0, 0.5, 1, 1.5], ["0", "", "1", ""])
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("KL to the counterfactual\noptimum (nats)")
    figure.supxlabel("dose: share of the change of belief that is added at the prefix's last position", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)


def draw_full_dose(ax: Axes, table: pd.DataFrame) -> None:
    """Divergence by site, of each intervention at dose 1."""
    draw_interventions(ax, table[table["dose"].isin([0, 1])], "site")
    scale_to_divergence(ax)
    ax.set_title("Next token, dose 1\nlines as above")
    ax.set_ylabel("KL to the counterfactual\noptimum (nats)")


def draw_interventions(ax: Axes, table: pd.DataFrame, x: str) -> None:
    """Divergence by dose or by site, a line per intervention, and the level without any."""
    for name, (style, label) in INTERVENTIONS.items():
        rows = select(table, intervention=name)
        if x == "site":
            draw_by_site(ax, rows[rows["dose"] > 0], label, style)
        else:
            draw_series(ax, rows, rows[x], label, style)
    draw_level(ax, select(table, dose=0), "unsteered")


def draw_by_site(ax: Axes, rows: pd.DataFrame, label: str, style: dict) -> None:
    """Divergence by site, in the order of the forward pass."""
    sites = list(rows["site"].unique())
    name_sites(ax, [short_site(site) for site in sites])
    draw_series(ax, rows, rows["site"].map(sites.index), label, style)


def draw_later(ax: Axes, table: pd.DataFrame) -> None:
    """Divergence one token later, if possible of partners with the same next-token prediction."""
    alike = select(table, partner="equal_next_token")
    pattern = select(table if alike.empty else alike, intervention="pattern")
    later, full = select(pattern, tokens_later=1), select(pattern, dose=1)
    if later.empty:  # all prefixes have one token
        ax.set_visible(False)
        return
    draw_by_site(ax, select(later, metric=COUNTERFACTUAL, dose=1), "counterfactual", PATTERN)
    draw_by_site(ax, select(later, metric=ORIGINAL, dose=1), "original", TO_ORIGINAL)
    draw_level(ax, select(later, metric=COUNTERFACTUAL, dose=0), "counterfactual, unsteered")
    if not alike.empty:
        draw_by_site(ax, select(full, metric=COUNTERFACTUAL, tokens_later=0), "next token, either belief", NEXT)
    ax.set_ylim(0, 1.5 * ax.dataLim.ymax)  # room for the legend
    ax.set_title("One token later, pattern\n" + ("any partner" if alike.empty else "partners with equal prediction"))
    ax.set_ylabel("KL to that belief's\noptimum (nats)")
    ax.legend(**LEGEND)


def draw_ablation(ax: Axes, table: pd.DataFrame) -> None:
    """Divergence by site, with the directions of the belief or random ones ablated."""
    draw_by_site(ax, select(table, intervention="ablate_belief"), "belief", PATTERN)
    draw_by_site(ax, select(table, intervention="ablate_random"), "random subspace", RANDOM)
    draw_level(ax, select(table, intervention="none"), "none")
    low, high = scale_to_divergence(ax)
    ax.set_ylim(low / 2, high * (high / low) ** 0.5)  # room for the legend
    ax.set_title("Directions ablated\nat all positions")
    ax.set_ylabel("KL to the optimum (nats)")
    ax.legend(**LEGEND)


if __name__ == "__main__":
    with Job(snakemake) as job:
        table = pd.concat([read_table(path) for path in snakemake.input.steering])
        figure = plot_steering(table)
        figure.suptitle(f"{snakemake.wildcards.experiment}, {subtitle(table)}", fontsize=9)
        save_figure(figure, job)
