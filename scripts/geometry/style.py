"""How figures look: one way to draw a cloud of beliefs, one way to save a figure."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcdefaults()  # whatever a matplotlibrc of the user says

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullLocator
from numpy import ndarray

from geometry.simplex import ANCHORS, belief_colors, project_targets
from geometry.storage import atomic_path

STYLE_SHEET = Path(__file__).with_name("study.mplstyle")

WIDTH = 7.2
"""The width of a figure across a page, in inches."""

TRAINED, UNTRAINED, CONTROL = "#0072B2", "#E69F00", "#7F7F7F"
METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None},
}


class BeliefPainter:
    """Draws clouds of beliefs of one task: one projection, and always the true belief's colour.

    Beliefs over two states lie on a line; they are lifted by the length of their prefix.
    """

    def __init__(self, truth: xr.Dataset, max_points: int):
        target, generalized = truth["target"].values, bool(truth.attrs["generalized"])
        rng = np.random.default_rng(0)  # a random order, so that no token is always drawn on top
        self.rows = rng.permutation(len(target))[:max_points]
        self.projection = project_targets(target, truth["weight"].values, generalized)
        self.lift = 0.05 * truth["length"].values[:, None] * [0, 1] * (target.shape[1] == 2)
        self.colors = belief_colors(target, generalized)[self.rows]
        self.names = [str(name) for name in truth["component"].values]
        self.limits = self._limits(self.projection(target) + self.lift)

    def _limits(self, points: Float[ndarray, "row 2"]) -> Float[ndarray, "2 2"]:
        corners = self.projection.corners
        reach = points if corners is None else np.vstack([points, corners])
        low, high = reach.min(axis=0), reach.max(axis=0)
        pad = 0.1 * max((high - low).max(), 1e-3)
        return np.stack([low - pad, high + pad])

    def draw(self, ax: Axes, target: Float[ndarray, "row component"], title: str) -> None:
        """The cloud of a target, of the truth or as decoded, in the true colours."""
        draw_cloud(ax, (self.projection(target) + self.lift)[self.rows], self.colors)
        self.frame(ax)
        ax.set_title(title)

    def frame(self, ax: Axes) -> None:
        """The simplex with its corners named, or the axes of the projection."""
        corners = self.projection.corners
        ax.set(xlim=self.limits[:, 0], ylim=self.limits[:, 1], xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set_visible(False)
        if corners is not None:
            draw_corners(ax, corners, self.names)
        if self.lift.any():
            ax.set_ylabel("length of the prefix")
        if self.projection.axis_labels:
            ax.set(xlabel=self.projection.axis_labels[0], ylabel=self.projection.axis_labels[1])


def draw_gallery(
    truth: xr.Dataset, clouds: list[tuple[str, Float[ndarray, "row component"]]], max_points: int
) -> Figure:
    """Square panels, four in a row: each decoded cloud under its title, and the truth last."""
    rows = len(clouds) // 4 + 1
    figure, axes = plt.subplots(rows, 4, figsize=(WIDTH, rows * WIDTH / 4 * 1.02), squeeze=False)
    painter, panels = BeliefPainter(truth, max_points), [*clouds, ("true belief states\n", truth["target"].values)]
    for ax, (title, belief) in zip(axes.flat, panels, strict=False):
        painter.draw(ax, belief, title)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    return figure


def draw_cloud(ax: Axes, points: Float[ndarray, "row 2"], colors: Float[ndarray, "row 3"]) -> None:
    """Points as a picture of a size that does not grow with their number; the more, the smaller."""
    size = float(np.clip(12_000 / max(len(points), 1), 0.12, 14))
    ax.scatter(*points.T, c=colors, s=size, linewidths=0, rasterized=True)


def draw_unit_circle(ax: Axes) -> None:
    """In the complex plane, behind what is drawn there."""
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    ax.plot(circle.real, circle.imag, color="0.75", linewidth=0.8, zorder=0)


def draw_corners(ax: Axes, corners: Float[ndarray, "corner 2"], names: list[str]) -> None:
    """The pure states as coloured marks with their names, joined by thin lines."""
    for i, start in enumerate(corners):
        for end in corners[i + 1 :]:
            ax.plot(*zip(start, end, strict=True), color="0.75", linewidth=0.5, zorder=0)
    centre = corners.mean(axis=0)
    for place, (corner, name) in enumerate(zip(corners, names, strict=True)):
        ax.plot(*corner, "o", color=ANCHORS[place % len(ANCHORS)], markersize=3, zorder=3, clip_on=False)
        outwards = (corner - centre) / max(np.linalg.norm(corner - centre), 1e-9)
        label = name.replace("$", r"\$")  # no formula
        text = {"ha": "center", "va": "center", "fontsize": 7}
        ax.annotate(label, corner, xytext=7 * outwards, textcoords="offset points", **text)


def name_peaks(ax: Axes, heights: dict[int, float], colors: dict[int, str], near: float, line_height: float) -> None:
    """The name of some places above their heights; where two are near, that of the higher one is above the other's."""
    bases: dict[int, float] = {}
    for x in sorted(heights, key=heights.get):
        taken = [base + line_height for other, base in bases.items() if abs(x - other) < near]
        bases[x] = max([heights[x] + 0.25 * line_height, *taken])
        outline = [withStroke(linewidth=1.5, foreground="white")]
        text = {"fontsize": 7, "fontweight": "bold", "color": colors[x], "ha": "center", "path_effects": outline}
        ax.text(x, bases[x], str(x), **text)


def note(ax: Axes, text: str) -> None:
    """What a panel has not to show, and why, in its middle."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=8, color="0.4")


def save_figure(figure: Figure, path: str | Path, dpi: int) -> None:
    """Write a figure whole or not at all, without a date, in the format of its suffix."""
    kind = Path(path).suffix[1:]
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, metadata=METADATA[kind])
    plt.close(figure)


UNEXPLAINED = (10, 2, 1, 0.5, 0.1, 0.01, 1e-3, 1e-4, 1e-5)


def scale_to_unexplained(axis: Axis, unexplained: pd.Series, ticks=UNEXPLAINED) -> tuple[float, float]:
    """An axis of R2, drawn as one minus it, on which 0.99 and 0.999 are as far apart as 0.9 and 0.99.

    Returns its ends, to which what is beyond them can be clipped.
    """
    low, high = max(unexplained.min() / 1.5, 1e-6), min(max(2.6, unexplained.max() * 1.3), 13)
    axis.axes.set(**{f"{axis.axis_name}scale": "log", f"{axis.axis_name}lim": (high, low)})
    ticks = [tick for tick in ticks if low < tick < high]
    axis.set_ticks(ticks, [np.format_float_positional(1 - tick, trim="-") for tick in ticks])
    axis.set_minor_locator(NullLocator())
    return low, high


def format_r2(value: float) -> str:
    """An R2 for a title; far below zero, its digits tell nothing."""
    return f"R² = {value:.4f}" if value > -1 else f"R² = {value:.3g}"
