"""Draw the error of decoded beliefs by position, beside that of finite-memory observers."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geometry.figures.style import AT_INITIALISATION, WIDTH, save_figure
from geometry.networks.hook_points import short_site
from geometry.provenance.job import Job
from geometry.tables import by_seed, read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MARKERS = "osD^vP*X"
RATES = {"mixing": ("--", "mixing without observations"), "contraction": (":", "contraction along typical sequences")}


def draw_positions(ax: Axes, table: pd.DataFrame, colors: dict[str, tuple]) -> None:
    """Errors by position: observers in grey, each layer output after training, the last one also at initialisation."""
    observers = select(table, measure="observer_error")
    for k, rows in observers[(observers["value"] > 0) & (observers["n_recalled"] > 0)].groupby("n_recalled"):
        ax.plot(rows["position"], rows["value"], ".-", color="0.75", linewidth=0.6, markersize=2, zorder=0)
        label = {"fontsize": 6, "color": "0.45", "va": "center", "textcoords": "offset points", "xytext": (3, 0)}
        ax.annotate(f"k = {k:.0f}", (rows["position"].iloc[-1], rows["value"].iloc[-1]), **label)
    errors = select(table, measure="belief_error")
    trained = select(errors, step=errors["step"].max())
    for marker, (site, color) in zip(MARKERS * len(colors), colors.items(), strict=False):
        rows = select(trained, site=site)
        ax.plot(rows["position"], rows["value"], f"{marker}-", color=color, markersize=3, label=short_site(site))
    before = select(errors, step=errors["step"].min(), site=list(colors)[-1])
    ax.plot(before["position"], before["value"], "x:", color=AT_INITIALISATION, label="last, at initialisation")
    ax.set(yscale="log", xlim=(0.8, errors["position"].max() + 0.2))
    ax.set(xlabel="observed tokens", ylabel="RMS error of the belief")
    ax.set_title("Error by position")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_memory(ax: Axes, tables: list[pd.DataFrame], colors: dict[str, tuple]) -> None:
    """Errors after the longest prefixes: observers by number of tokens, theoretical rates, and each layer output."""
    longest = select(tables[0], position=tables[0]["position"].max())
    observers = select(longest, measure="observer_error")
    observers = observers[observers["value"] > 0]
    ax.plot(observers["n_recalled"], observers["value"], ".-", color="0.6", markersize=4, label="observer of k tokens")
    for measure, (line, label) in RATES.items():
        rate = select(longest, measure=measure)
        if rate["value"].iloc[-1] > 0:
            ax.plot(rate["n_recalled"], rate["value"], line, color="0.3", linewidth=0.9, label=label)
    known, drawn = observers["value"].tolist(), []
    for table in tables:
        last = select(table, step=table["step"].max())
        reached, errors = (select(last, measure=name) for name in ("memory_reached", "belief_error"))
        at_longest = select(errors, position=errors["position"].max()).set_index("site")["value"]
        for marker, (site, color) in zip(MARKERS * len(colors), colors.items(), strict=False):
            k = select(reached, site=site)["value"].item()
            drawn.append(at_longest[site])
            edge = {"markeredgecolor": "black", "markeredgewidth": 0.4}
            ax.plot(k, at_longest[site], marker, color=color, markersize=4.5, **edge)
    positive = [error for error in (*known, *drawn) if error > 0]
    if positive:
        ax.set(yscale="log", ylim=(0.5 * min(positive), 8 * max(known or positive)))
    ax.set(xlabel="observed last tokens k", xlim=(-0.2, longest["position"].max() + 0.2))
    ax.set(ylabel="RMS error of the belief", title="Equivalent memory")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="upper right")


def plot_convergence(tables: list[pd.DataFrame]) -> Figure:
    """The figure: errors of the first network by position, and the equivalent memory of all."""
    figure, (positions, memory) = plt.subplots(1, 2, figsize=(WIDTH, 0.5 * WIDTH))
    sites = list(tables[0]["site"].dropna().unique())
    colors = dict(zip(sites, colormaps["viridis"](np.linspace(0.9, 0.05, len(sites))), strict=True))
    draw_positions(positions, tables[0], colors)
    draw_memory(memory, tables, colors)
    figure.legend(*positions.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        of_process = read_table(snakemake.input.of_process)
        tables = [pd.concat([of_process, own]) for own in by_seed(snakemake.input.convergence)]
        figure = plot_convergence(tables)
        figure.suptitle(f"{snakemake.wildcards.experiment}, {len(tables)} seeds", fontsize=9)
        save_figure(figure, job)
