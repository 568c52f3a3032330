"""Draw correlation integrals and box counts by scale, true and decoded, and the resolution by loss."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from geometry.figures.style import WIDTH, note, save_figure
from geometry.provenance.job import Job
from geometry.tables import by_seed, read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SCALE = "scale (rms distance = 1)"

RECOVERED = "#D55E00"


def draw_by_scale(ax: Axes, table: pd.DataFrame, measure: str, colors: dict[int, tuple]) -> pd.DataFrame:
    """Draw a measure of the decoded set at each snapshot, of the recovered one at the last, and of the true one.

    Returns the rows of the true set.
    """
    rows = select(table, measure=measure)
    for step, of_step in select(rows, set="decoded").groupby("step"):
        ax.plot(of_step["scale"], of_step["value"], color=colors[step], linewidth=0.9, label=f"step {step:.0f}")
    recovered = select(rows, set="recovered", step=table["step"].max())
    ax.plot(
        recovered["scale"], recovered["value"], "--", color=RECOVERED, linewidth=1.2, zorder=3, label="recovered maps"
    )
    truth = select(rows, set="true")
    ax.plot(truth["scale"], truth["value"], color="black", linewidth=1.4, label="true beliefs")
    ax.set_xlabel(SCALE)
    if truth.empty:
        note(ax, "after the longest prefixes,\nall beliefs are equal")
        ax.set(xticks=[], yticks=[])
    else:
        ax.set(xscale="log", yscale="log")
    return truth


def draw_slope(ax: Axes, truth: pd.DataFrame, dimension: float, name: str) -> None:
    """Draw a line below the true box counts with the slope of a dimension."""
    scale = truth["scale"].to_numpy()
    inside = (scale > 0.01) & (scale < 0.3)
    anchor = truth["value"].to_numpy()[inside][-1]
    line = 0.6 * anchor * (scale[inside] / scale[inside][-1]) ** -dimension
    ax.plot(scale[inside], line, "--", color="0.4", linewidth=0.9, label=name)


def draw_resolution(ax: Axes, table: pd.DataFrame, gap: pd.Series, colors: dict[int, tuple]) -> None:
    """Draw the resolution of each snapshot against its loss above the optimum, a line through each seed."""
    found = select(table, measure="resolution", set="decoded").set_index(["seed", "step"])["value"]
    if not len(found):
        note(ax, "undefined for a finite set")
        ax.set_axis_off()
        return
    for _, values in found.groupby("seed"):
        x, steps = gap.reindex(values.index), values.index.get_level_values("step")
        ax.plot(x, values, color="0.7", linewidth=0.7, zorder=0)
        ax.scatter(x, values, c=[colors[step] for step in steps], s=16, edgecolors="black", linewidths=0.4)
    ax.set(xscale="log", yscale="log", ylim=(min(0.1, 0.6 * found.min()), 3))
    ax.set(xlabel="loss over the optimum (nats)", ylabel="resolution (color: step)")
    ax.yaxis.set_minor_formatter(NullFormatter())


def plot_dimension(dimension: list[pd.DataFrame], loss: pd.DataFrame) -> Figure:
    """The figure: two measures by scale of the first network, and the resolutions of all."""
    figure, (integral, boxes, fineness) = plt.subplots(1, 3, figsize=(WIDTH, 0.46 * WIDTH))
    first, table = dimension[0], pd.concat(dimension)
    steps = sorted(table["step"].dropna().unique())
    colors = dict(zip(steps, colormaps["YlGnBu"](np.linspace(0.3, 0.95, len(steps))), strict=True))  # light to dark
    draw_by_scale(integral, first, "correlation_integral", colors)
    truth = draw_by_scale(boxes, first, "effective_box_count", colors)
    maps = select(first, measure="kaplan_yorke")
    true = select(maps, set="true")["value"].item()
    if true > 0 and len(truth):
        recovered = select(maps, set="recovered", step=first["step"].max())["value"]
        beside = f", {recovered.item():.3f} of the recovered maps" if len(recovered) else ""
        draw_slope(boxes, truth, true, f"Kaplan-Yorke dimension {true:.3f}{beside}")
    draw_resolution(fineness, table, loss.groupby(["seed", "step"])["gap_nats"].mean(), colors)
    integral.set(title="Correlation integral", ylabel="share of pairs within that distance")
    boxes.set(title="Box count", ylabel="effective number of boxes")
    fineness.set(title="Resolution by loss")
    figure.legend(*boxes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        of_process = read_table(snakemake.input.of_process)
        dimension = [pd.concat([of_process, own]) for own in by_seed(snakemake.input.dimension)]
        loss = pd.concat([read_table(path) for path in snakemake.input.loss])
        figure = plot_dimension(dimension, loss)
        figure.suptitle(f"{snakemake.wildcards.experiment}, {len(dimension)} seeds", fontsize=9)
        save_figure(figure, job)
