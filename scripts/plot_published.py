"""Draw the numbers of the study against published ones, each row in units of its tolerance."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.claims.published import NOT_COMPARABLE, NOT_REPRODUCED, REPRODUCED, counts_of_verdicts, distance
from geometry.figures.style import WIDTH, save_figure
from geometry.provenance.job import Job
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

LOOKS = {REPRODUCED: ("o", "#0072B2"), NOT_REPRODUCED: ("D", "#D55E00"), NOT_COMPARABLE: ("s", "#7F7F7F")}
"""Marker and colour of each verdict."""

LIMIT = 100
"""The ends of the scale, in tolerances."""

ROW = 0.27
"""The height of a row in inches."""

LINE = 62
"""Characters in a line of text."""


def in_tolerances(values: pd.Series, table: pd.DataFrame) -> pd.Series:
    """The distance of values from what was published in tolerances; nan where either is unknown."""
    return distance(values, table["published_low"], table["published_high"]) / table["tolerance"]


def in_words(low: float, high: float) -> str:
    """A published number or range."""
    if np.isnan(low):
        return "none"
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"


def remark(row) -> str:
    """The text on what was published, what comes out here, and why there is no verdict, if there is none."""
    ours = "none" if np.isnan(row.ours) else f"{row.ours:.4g}"
    text = f"{in_words(row.published_low, row.published_high)} | {ours}"
    return text if row.verdict != NOT_COMPARABLE else f"{text} | {row.reason}"


def shortened(text: str) -> str:
    """At most two lines of a text, literally."""
    lines = textwrap.wrap(text, LINE)
    lines = lines[:2] if len(lines) <= 2 else [lines[0], f"{lines[1][: LINE - 1]}…"]
    return "\n".join(lines).replace("$", r"\$")


def draw_points(ax: Axes, values: pd.Series, places: np.ndarray, marker: str, label: str, **look) -> None:
    """Draw values in tolerances; what lies beyond the ends of the scale is an arrow at its end."""
    inside = values.abs() <= LIMIT
    ax.plot(values[inside], places[inside], marker, linestyle="none", label=label, **look)
    for end, arrow in ((-LIMIT, "<"), (LIMIT, ">")):
        beyond = places[(values > LIMIT) if end > 0 else (values < -LIMIT)]
        if len(beyond):  # a line of no points, not clipped, would be laid out too
            ax.plot(np.full(len(beyond), end), beyond, arrow, linestyle="none", clip_on=False, **look)


def plot_published(table: pd.DataFrame) -> Figure:
    """The figure: a row for each published number."""
    figure, ax = plt.subplots(figsize=(1.5 * WIDTH, ROW * len(table) + 1))
    places = np.arange(len(table))
    ax.axvspan(-1, 1, color="0.92", zorder=0)
    ax.axvline(0, color="0.6", linewidth=0.6, zorder=0)
    ends = [in_tolerances(table[end], table) for end in ("ci_low", "ci_high")]
    ends = [end.clip(-LIMIT, LIMIT).where(np.isfinite(end)) for end in ends]  # of one network there is none
    for verdict, (marker, color) in LOOKS.items():
        own = (table["verdict"] == verdict).to_numpy()
        if own.any():
            rows, at = table[own], places[own]
            ax.hlines(at, *(end[own] for end in ends), color=color, linewidth=1)
            draw_points(ax, in_tolerances(rows["baseline"], rows), at, "x", "baseline", color="0.45", markersize=4)
            hollow = {"markerfacecolor": "white", "markersize": 4.5}
            draw_points(ax, in_tolerances(rows["held_out"], rows), at, "o", "held out", color=color, **hollow)
            draw_points(ax, in_tolerances(rows["ours"], rows), at, marker, verdict, color=color, markersize=4)
    ax.set_xscale("symlog", linthresh=1)
    ax.set(xlim=(-LIMIT, LIMIT), ylim=(len(table) - 0.5, -0.5))
    ticks = [-100, -10, -1, 0, 1, 10, 100]
    ax.set_xticks(ticks, ticks, minor=False)
    ax.minorticks_off()
    ax.set_xlabel("distance from what was published, in tolerances")
    ax.set_yticks(places, [shortened(f"{row.id}: {row.quantity}") for row in table.itertuples()], fontsize=6)
    ax.tick_params(axis="y", length=0)
    for place, row in enumerate(table.itertuples()):
        color = LOOKS[row.verdict][1]
        text = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 6, "color": color}
        ax.text(1.02, place, shortened(remark(row)), **text)
    ax.text(1.02, -0.8, "published | here", transform=ax.get_yaxis_transform(), fontsize=7, fontweight="bold")
    known = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))  # each label once
    ax.legend(known.values(), known, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(known), fontsize=6)
    figure.suptitle(counts_of_verdicts(table), fontsize=9)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        figure = plot_published(read_table(snakemake.input.published))
        save_figure(figure, job)
