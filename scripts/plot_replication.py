"""Draw the gain of every claim against that of the reference, with both intervals, and list the changed verdicts."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.claims.replication import CHANGED, SAME, agreement
from geometry.figures.style import TRAINED, WIDTH, save_figure
from geometry.networks.hook_points import short_site
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MARKS = {
    SAME: {"color": TRAINED, "marker": "o", "markersize": 3},
    CHANGED: {"color": "#D55E00", "marker": "D", "markersize": 5, "markerfacecolor": "white"},
}
"""Changed verdicts differ in shape, filling and number, not in colour alone."""

LIMIT = 1.08
"""The end of both axes; a gain beyond -1 is drawn at -1, and an interval is cut at the end."""

COLUMNS = 4
LISTED = 25
"""Panels in a row; changed verdicts in the list, at most."""


def bars(rows: pd.DataFrame, prefix: str) -> np.ndarray:
    """The lengths (lower, upper) of the interval of each gain, up to beyond the axes; none where it is unbounded."""
    place = rows[f"{prefix}gain"].clip(-1, 1)
    low, high = (rows[f"{prefix}gain_ci_{end}"] for end in ("low", "high"))
    ends = np.stack([place - low.clip(-2 * LIMIT, place), high.clip(place, 2 * LIMIT) - place])
    return np.where(np.isfinite(low + high), ends, 0)


def draw_experiment(ax: Axes, rows: pd.DataFrame, margin: float) -> None:
    """Draw the claims that both tables have and that are testable: published along, ours upwards."""
    for bound in (-margin, margin):
        ax.axhline(bound, color="0.85", linewidth=0.6, zorder=0)
        ax.axvline(bound, color="0.85", linewidth=0.6, zorder=0)
    ax.axline((0, 0), slope=1, color="0.6", linewidth=0.6, zorder=0)
    for outcome, mark in MARKS.items():
        some = select(rows, outcome=outcome).dropna(subset=["gain", "reference_gain"])
        x, y = (some[name].clip(-1, 1) for name in ("reference_gain", "gain"))
        lengths = {"xerr": bars(some, "reference_"), "yerr": bars(some, "")}
        ax.errorbar(x, y, **lengths, linestyle="none", elinewidth=0.5, alpha=0.8, **mark)
        for row, *place in zip(some.itertuples(), x, y, strict=True):
            if outcome == CHANGED:
                ax.annotate(str(row.number), place, xytext=(4, 4), textcoords="offset points", fontsize=7)
    n_same = len(select(rows, outcome=SAME))
    n_both = n_same + len(select(rows, outcome=CHANGED))
    ax.set_title(f"{rows['experiment'].iloc[0]}\n{n_same} of {n_both}", fontsize=8)
    ax.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])


def changes(table: pd.DataFrame) -> Iterator[str]:
    """A line for each changed verdict, by its number: from that of the reference to that of this study."""
    changed = select(table, outcome=CHANGED)
    for row in changed.head(LISTED).itertuples():
        name = f"{row.number}  {row.experiment}: {row.claim}, {short_site(row.site)}"
        yield f"{name}: {row.reference_verdict} → {row.verdict}"
    if len(changed) > LISTED:
        yield f"and {len(changed) - LISTED} more"


def plot_replication(table: pd.DataFrame, margin: float, source: str) -> Figure:
    """The figure: a panel for each experiment that both tables have, and the list of changed verdicts."""
    table = table.assign(number=(table["outcome"] == CHANGED).cumsum())
    shared = [rows for _, rows in table.groupby("experiment", sort=False) if rows["outcome"].isin(MARKS).any()]
    lines = list(changes(table)) or ["no verdict changed"]
    n_rows = -(-len(shared) // COLUMNS)
    heights = [*[WIDTH / COLUMNS + 0.3] * n_rows, 0.14 * len(lines) + 0.1]
    figure = plt.figure(figsize=(WIDTH, sum(heights) + 0.6))
    grid = figure.add_gridspec(n_rows + 1, COLUMNS, height_ratios=heights)
    for place, rows in enumerate(shared):
        ax = figure.add_subplot(grid[divmod(place, COLUMNS)])
        draw_experiment(ax, rows, margin)
        if place % COLUMNS == 0:
            ax.set_ylabel("gain here")
        if place + COLUMNS >= len(shared):
            ax.set_xlabel("gain of the reference")
    ax = figure.add_subplot(grid[n_rows, :])
    ax.axis("off")
    ax.text(0, 1, "\n".join(lines).replace("$", r"\$"), transform=ax.transAxes, va="top", fontsize=7, linespacing=1.3)
    figure.suptitle(agreement(table, source).replace("$", r"\$"), fontsize=9)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        params = snakemake.params
        figure = plot_replication(read_table(snakemake.input.replication), params.claims["margin"], params.source)
        save_figure(figure, job)
