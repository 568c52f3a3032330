"""The circles of a network of modular arithmetic: of its numbers, before and after surgery, and of its answers."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Circle
from numpy import ndarray

from geometry.figures.style import CONTROL, STYLE_SHEET, TRAINED, UNTRAINED, WIDTH, name_peaks, note, save_figure
from geometry.networks.hook_points import short_site
from geometry.probing.probe_table import circle_scores, last_layer_output
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_CIRCLES = 6
SIDE_BY_SIDE = 3
"""Circles of each kind, at most, that stand in one row with the others."""

MOST_NAMES = 9
NEAR = 0.3
"""Radians within which the names of two numbers would touch."""

LOWEST_R2 = -0.25
TRAINED_NETWORK = "trained (number: a key frequency)"
NETWORKS = {
    TRAINED_NETWORK: {"color": TRAINED, "marker": "o"},
    "the same network at initialisation": {"color": UNTRAINED, "marker": "s", "markerfacecolor": "none"},
    "never trained": {"color": CONTROL, "marker": "x"},
}


def named_numbers(turn: Float[ndarray, " token"]) -> list[int]:
    """The first of 0, s, 2 s, .. whose names have room on a circle, s the least step between two that do."""

    def touch(number: int, other: int) -> bool:
        return 2 * np.pi * abs((turn[number] - turn[other] + 0.5) % 1 - 0.5) < NEAR

    step = next((s for s in range(1, len(turn)) if not touch(0, s)), len(turn))
    named: list[int] = []
    for number in range(0, len(turn), step)[:MOST_NAMES]:
        if any(touch(number, other) for other in named):
            break
        named.append(number)
    return named


def draw_circle(ax: Axes, points: Float[ndarray, "token 2"], frequency: int, title: str) -> None:
    """The numbers on the plane of a frequency, coloured by where they belong; the first ones joined.

    The names of these stand on a dial around it, where they belong.
    """
    p = len(points)
    turn = frequency * np.arange(p) % p / p
    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor="0.6", linewidth=0.5, zorder=0))
    style = {"s": float(np.clip(600 / p, 4, 12)), "edgecolors": "0.3", "linewidths": 0.25, "clip_on": False}
    ax.scatter(*points.T, c=plt.colormaps["twilight"](turn), **style)
    named, dial = named_numbers(turn), max(1.25, 0.15 + np.linalg.norm(points, axis=1).max())
    ax.plot(*points[named].T, "o-", color="black", linewidth=0.5, markersize=1.2)
    for number in named:
        angle = 2 * np.pi * turn[number]
        ax.text(dial * np.cos(angle), dial * np.sin(angle), str(number), ha="center", va="center", fontsize=6)
    reach = dial + 0.15
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    ax.set_title(title, fontsize=8, loc="center")


def draw_circles(figure: SubFigure, circles: xr.DataArray, frequencies: list[int], names: list[str]) -> None:
    """A panel for each of the first key frequencies."""
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for ax, points, k, name in zip(axes, circles.values, frequencies, names, strict=False):
        draw_circle(ax, points, k, name)


def draw_scores(ax: Axes, networks: dict[str, pd.DataFrame], keys: list[int], p: int) -> None:
    """R2 by frequency, a stem for the trained network; the key frequencies named."""
    for kind, rows in reversed(networks.items()):
        style = {"linestyle": "none", "markersize": 3.5, "markeredgewidth": 0.8}
        ax.plot(rows["frequency"], rows["value"].clip(LOWEST_R2), label=kind, **style | NETWORKS[kind])
    trained = networks[TRAINED_NETWORK].set_index("frequency")["value"].dropna()
    ax.vlines(trained.index, 0, trained.clip(LOWEST_R2), color=TRAINED, linewidth=0.8)
    heights = {k: max(trained[k], 0) + 0.06 for k in keys if k in trained}
    name_peaks(ax, heights, dict.fromkeys(keys, TRAINED), near=0.0125 * p, line_height=0.12)
    if trained.empty:
        note(ax, "no pairs are held out on which a circle could be decoded")
    ax.axhline(0, color="black", linewidth=0.6, zorder=0)
    ax.set(xlim=(0, p // 2 + 1), ylim=(1.1 * LOWEST_R2, 1.3), xlabel="frequency k", ylabel="R²")
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])


def plot_circles(
    circuit: xr.Dataset, re_cut: xr.Dataset, surgery: pd.DataFrame, probe: pd.DataFrame, untrained: pd.DataFrame
) -> Figure:
    """Above, the embedding on its circles and that for another modulus; below, which circles of answers are decoded."""
    p, modulus = circuit.sizes["token"], re_cut.sizes["token"]
    keys = [k for k in circuit["key_frequency"].values.tolist() if k]
    old, new = (re_cut[name].values.tolist()[:MOST_CIRCLES] for name in ("key_frequency", "chosen_frequency"))
    groups = [
        (f"Embedding of the numbers modulo p = {p}", circuit, keys, [f"k = {k}" for k in keys]),
        (
            f"Re-cut for p' = {modulus}, accuracy {accuracy_for(surgery, modulus):.4f}",
            re_cut,
            new,
            [f"k = {k}  →  k' = {k_new}" for k, k_new in zip(old, new, strict=True)],
        ),
    ]
    in_one_row = max(len(keys), len(new)) <= SIDE_BY_SIDE
    side = 0.9 * WIDTH / 6
    figure = plt.figure(figsize=(WIDTH, (1 if in_one_row else 2) * (side + 0.55) + 2.4))
    above, below = figure.subfigures(2, 1, height_ratios=[(1 if in_one_row else 2) * (side + 0.55), 2.4])
    parts = above.subfigures(*((1, 2) if in_one_row else (2, 1)))
    for part, (title, dataset, frequencies, names) in zip(parts, groups, strict=True):
        part.suptitle(title, fontsize=9)
        if names:
            draw_circles(part, dataset["embedding_circle"], frequencies, names)
        else:
            part.text(0.5, 0.4, "no key frequency", ha="center", fontsize=8, color="0.4")
    site, ax = last_layer_output(probe), below.subplots()
    scores, never = (select(circle_scores(table), site=site) for table in (probe, untrained))
    steps = [scores[scores["step"] == step] for step in (scores["step"].max(), scores["step"].min())]
    draw_scores(ax, dict(zip(NETWORKS, (*steps, never), strict=True)), keys, p)
    ax.set_title(f"Circles of the answer, decoded from {short_site(site)} on held-out pairs")
    handles, labels = ax.get_legend_handles_labels()
    below.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=3)
    return figure


def accuracy_for(surgery: pd.DataFrame, modulus: int) -> float:
    """Of the last snapshot, re-cut."""
    rows = select(surgery, network="surgery", measure="accuracy", modulus=modulus)
    return rows.set_index("step")["value"].sort_index().iloc[-1]


def describe(circuit: xr.Dataset, untrained: pd.DataFrame) -> str:
    """Which networks are drawn."""
    p, seed, n = circuit.sizes["token"], int(circuit["seed"]), untrained["seed"].nunique()
    return f"p = {p}, one trained network (seed {seed}), {n} never trained"


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.style.use(STYLE_SHEET)
        source = snakemake.input
        circuit, untrained = open_dataset(source.circuit).isel(seed=0), read_table(source.untrained)
        tables = read_table(source.surgery), read_table(source.probe), untrained
        figure = plot_circles(circuit, open_dataset(source.circles), *tables)
        figure.suptitle(f"{snakemake.wildcards.experiment}: {describe(circuit, untrained)}", fontsize=9)
        save_figure(figure, snakemake.output.figure, snakemake.params.dpi)
        job.info(f"drew {snakemake.output.figure}")
