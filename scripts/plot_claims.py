"""Draw the gain of every claim with its interval, and the side of the margin that is claimed."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.claims.outcomes import IN_ONE_NETWORK, OUTCOMES, counts_in_words, range_in_network, with_outcomes
from geometry.claims.verdicts import bound_of
from geometry.figures.style import WIDTH, save_figure
from geometry.provenance.job import Job
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

LOOKS = {
    "supported": ("o", "#0072B2"),
    "opposed": ("X", "#D55E00"),
    "undecided": ("D", "#E69F00"),
    "untestable": ("s", "#7F7F7F"),
}
"""Marker and colour of each style of outcome; of one network, markers are hollow."""

LEFT = ("supported", IN_ONE_NETWORK["supported"])
"""The outcomes of the left column; all others are in the right one."""

KINDS = ("more", "no less", "no more")
"""The kinds of claims, in the order in which they are drawn."""

ROW, TITLE = 0.125, 2.0
"""The height of a row in inches, and that of a title and an axis in rows."""

ENDS = ((-1, "<"), (1, ">"))
"""The ends of the scale, with the marks of what goes beyond them."""


def in_order(claims: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The claims of one outcome, by kind, the largest gain first."""
    rows = claims[claims["outcome"] == outcome]
    return rows.assign(place=rows["kind"].map(KINDS.index)).sort_values(["place", "gain"], ascending=[True, False])


def draw_interval(ax: Axes, place: int, row, color: str) -> None:
    """Draw the interval of a gain over seeds or, of one network, over draws of folds, cut at the ends of the scale."""
    ends = (row.gain_ci_low, row.gain_ci_high) if row.n_seeds > 1 else range_in_network(row)
    ax.plot(np.clip(ends, -1, 1), [place, place], color=color, linewidth=1)
    for value, (end, mark) in zip(ends, ENDS, strict=True):
        if abs(value) > 1:
            ax.plot(end, place, mark, color=color, markersize=3, clip_on=False)


def draw_claims(ax: Axes, rows: pd.DataFrame, outcome: str, margin: float) -> None:
    """Draw a row for each claim: its gain with the interval, before the claimed side of its bound."""
    mark = OUTCOMES[outcome]
    marker, color = LOOKS[mark.style.split()[0]]
    fill = "none" if " one" in mark.style else color
    for place, row in enumerate(rows.itertuples()):
        bound, end = bound_of(margin, row.kind), -1 if row.kind == "no more" else 1
        ax.barh(place, end - bound, 1, bound, color="0.93", zorder=0)
        if row.verdict != "not testable":
            draw_interval(ax, place, row, color)
        ax.plot(row.gain, place, marker, color=color, markerfacecolor=fill, markersize=4, clip_on=False)
    ax.axvline(0, color="0.6", linewidth=0.6, zorder=0)
    ax.set(xlim=(-1, 1), ylim=(len(rows) - 0.5, -0.5), xticks=[-1, -0.5, 0, 0.5, 1])
    ax.set_yticks(range(len(rows)), [f"{row.experiment}: {row.name}" for row in rows.itertuples()], fontsize=6)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelbottom=False)
    ax.set_title(f"{len(rows)} {outcome}", fontweight="bold", color=color)


def plot_claims(claims: pd.DataFrame, margin: float) -> Figure:
    """The figure: what is supported on the left, all else on the right; ``claims`` have their outcomes."""
    groups = {name: rows for name in OUTCOMES if len(rows := in_order(claims, name))}
    columns = [[name for name in groups if (name in LEFT) == left] for left in (True, False)]
    columns = [names for names in columns if names]
    heights = [[len(groups[name]) + TITLE for name in names] for names in columns]
    tallest = max(map(sum, heights))
    figure = plt.figure(figsize=(0.75 * WIDTH * len(columns), ROW * tallest + 0.5))
    sides = np.atleast_1d(figure.subfigures(1, len(columns)))
    for side, names, of_names in zip(sides, columns, heights, strict=True):
        left_over = max(tallest - sum(of_names), 1e-6)
        axes = side.subplots(len(names) + 1, 1, height_ratios=[*of_names, left_over], squeeze=False)[:, 0]
        axes[-1].set_axis_off()
        for ax, name in zip(axes, names, strict=False):
            draw_claims(ax, groups[name], name, margin)
        axes[len(names) - 1].tick_params(axis="x", labelbottom=True)
        axes[len(names) - 1].set_xlabel("gain over the best baseline\n(shaded: what is claimed)")
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        margin = snakemake.params.claims["margin"]
        claims = with_outcomes(read_table(snakemake.input.claims), margin)
        figure = plot_claims(claims, margin)
        figure.suptitle(counts_in_words(claims), fontsize=9)
        save_figure(figure, job)
