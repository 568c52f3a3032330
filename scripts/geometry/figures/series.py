"""Series of several seeds: a mark for each seed, and a line through their means."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

LEAST = 1e-9
"""Nats below which a divergence is rounding."""

MOST_NAMES = 7
"""Sites that are named on an axis."""


def draw_series(ax: Axes, rows: pd.DataFrame, place: pd.Series, label: str, style: dict) -> None:
    """The values of some rows at their places: the seeds as marks, their means as a line."""
    style = {**style, "markersize": 3.5, "markerfacecolor": "none", "markeredgewidth": 0.8}
    ax.plot(place, rows["value"], **style | {"linestyle": "none", "clip_on": False})
    mean = rows.groupby(place)["value"].mean()
    ax.plot(mean.index, mean, **style | {"marker": "none"})
    ax.plot([], [], label=label, **style)


def draw_level(ax: Axes, rows: pd.DataFrame, label: str) -> None:
    """The mean of some rows as a level over the whole panel."""
    ax.axhline(rows["value"].mean(), color="black", linewidth=0.7, linestyle=(0, (6, 3)), label=label, zorder=0)


def draw_mean_rows(ax: Axes, means: pd.Series, networks: dict[str, tuple[str, dict]]) -> None:
    """Means from 0 to 1, indexed by network and seed: a row for each network, marks for seeds, a number for their mean.

    `networks` gives the label and the style of each.
    """
    for place, (name, (_, style)) in enumerate(networks.items()):
        mark = {"markersize": 4, "markerfacecolor": "none", "markeredgewidth": 0.9, "clip_on": False}
        ax.plot(means[name], [place] * len(means[name]), **style | mark | {"linestyle": "none"})
        ax.plot([-0.24, -0.04], [place, place], **style | {"marker": "none", "linewidth": 1.2, "clip_on": False})
        value = {"va": "center", "ha": "right", "fontsize": 7, "color": style["color"]}
        ax.text(1.38, place, f"{means[name].mean():.3f}", **value)
    ax.set_yticks(range(len(networks)), [label for label, _ in networks.values()])
    ax.tick_params(axis="y", length=0, pad=23)
    ax.set(xlim=(0, 1), ylim=(len(networks) - 0.5, -0.5), xlabel="mean accuracy")
    ax.spines["left"].set_visible(False)
    ax.grid(axis="both", color="0.93", linewidth=0.6)
    ax.set_axisbelow(True)


def name_sites(ax: Axes, names: list[str]) -> None:
    """The names of sites at 0, 1, ... on the horizontal axis; of many, some evenly spaced ones."""
    named = range(0, len(names), -(-len(names) // MOST_NAMES))
    ax.set_xticks(named, [names[i] for i in named], rotation=35, ha="right")


def scale_to_divergence(ax: Axes) -> tuple[float, float]:
    """A logarithmic axis with legible ticks, also within one decade; returns the limits of the data.

    Divergences below `LEAST` are drawn there.
    """
    low, high = np.maximum(ax.dataLim.intervaly, LEAST)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=[1] if high > 100 * low else [1, 2, 5]))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    return low, high
