"""Draw networks on the same task side by side: loss, decoded belief, and recovered process."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from geometry.figures.style import TRAINED, WIDTH, save_figure
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MEASURES = {
    "loss_gap_nats": "loss above the optimum, nats",
    "unexplained": "unexplained share of the belief",
    "kl_rate_nats": "recovered process, nats/token",
}
"""Measures and their axis labels; all on a logarithmic scale, less is better."""

WIDTHS = 3
"""The number of widths of one kind of network from which on a task is drawn by width."""

LEAST = 1e-8
"""The lower limit of the axes."""


def with_unexplained(table: pd.DataFrame) -> pd.DataFrame:
    """The table with one minus R2 in place of R2."""
    is_r2 = table["measure"] == "belief_r2"
    value = table["value"].where(~is_r2, 1 - table["value"]).clip(lower=LEAST)
    return table.assign(measure=table["measure"].where(~is_r2, "unexplained"), value=value)


def draw_networks(ax: Axes, rows: pd.DataFrame, labels: list[str]) -> None:
    """Draw a row for each network, a mark for each seed."""
    ax.plot(rows["value"], rows["label"].map(labels.index), "o", color=TRAINED, markersize=3.5, markerfacecolor="none")
    ax.set(xscale="log", ylim=(len(labels) - 0.5, -0.5))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yticks(range(len(labels)), labels)
    ax.grid(axis="y", color="0.92", linewidth=0.6)


def draw_widths(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw values by width, with medians as a line for each architecture and depth, and the beliefs' dimension."""
    kinds = rows.groupby(["architecture", "n_layers"], sort=False)
    shades = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(kinds)))
    for color, ((architecture, n_layers), of_kind) in zip(shades, kinds, strict=True):
        median = of_kind.groupby("d_model")["value"].median()
        ax.plot(of_kind["d_model"], of_kind["value"], "o", color=color, markersize=2.5, markerfacecolor="none")
        ax.plot(median.index, median, color=color, linewidth=0.9, label=f"{architecture}, {n_layers} deep")
    ax.axvline(rows["belief_dimension"].iloc[0], color="0.6", linewidth=0.8, linestyle="--")
    widths = sorted(rows["d_model"].unique())
    ax.set(xscale="log", yscale="log", xlabel="width (d_model)")
    ax.set_xticks(widths, widths)
    ax.xaxis.set_minor_locator(NullLocator())


def plot_comparison(table: pd.DataFrame) -> Figure:
    """The figure: a row for each task, by network or, where there are many widths, by width."""
    tasks = [rows for _, rows in with_unexplained(table).groupby("task", sort=False)]
    widths = [rows.groupby(["architecture", "n_layers"])["d_model"].nunique().max() for rows in tasks]
    by_width = [number >= WIDTHS for number in widths]
    named = "process" if table["process"].nunique() == len(tasks) else "task"
    heights = [
        2.2 if wide else 0.35 + 0.19 * rows["label"].nunique() for rows, wide in zip(tasks, by_width, strict=True)
    ]
    size = WIDTH, sum(heights) + 0.6
    figure, axes = plt.subplots(len(tasks), 3, figsize=size, height_ratios=heights, squeeze=False)
    for row, rows, wide in zip(axes, tasks, by_width, strict=True):
        labels = list(rows["label"].unique())
        for ax, (measure, name) in zip(row, MEASURES.items(), strict=True):
            some = select(rows, measure=measure)
            if wide:
                draw_widths(ax, some)
                ax.set_ylabel(name, fontsize=7)
            else:
                draw_networks(ax, some, labels)
                if ax.get_subplotspec().is_last_row():
                    ax.set_xlabel(name, fontsize=7)
        if wide:
            row[-1].legend(fontsize=6, loc="upper left", bbox_to_anchor=(1, 1))
        else:
            for ax in row[1:]:
                ax.tick_params(labelleft=False)
        dimension = int(rows["belief_dimension"].iloc[0])
        row[0].set_title(f"{rows[named].iloc[0]}: beliefs of {dimension} dimension{'s' * (dimension > 1)}", loc="left")
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        table = read_table(snakemake.input.comparison)
        figure = plot_comparison(table)
        figure.suptitle(
            f"{table['experiment'].nunique()} networks, {table['seed'].nunique()} seeds of each", fontsize=9
        )
        save_figure(figure, job)
