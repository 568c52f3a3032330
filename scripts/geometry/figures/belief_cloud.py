"""Clouds of belief states on the simplex, in the colours of the true beliefs."""

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from geometry.figures.simplex import ANCHORS, belief_colors, project_targets
from geometry.figures.style import WIDTH


class BeliefPainter:
    """A painter of clouds of beliefs of one task, with one projection and always the true belief's colour.

    Beliefs over two states lie on a line; they are lifted by the length of their prefix.
    """

    def __init__(self, truth: xr.Dataset, max_points: int):
        target, generalized = truth["target"].values, truth.attrs["target_kind"] != "probabilities"
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
        """Draw a cloud of targets, true or decoded, in the true colours."""
        draw_cloud(ax, (self.projection(target) + self.lift)[self.rows], self.colors)
        self.frame(ax)
        ax.set_title(title)

    def frame(self, ax: Axes) -> None:
        """Draw the simplex with its corners named, or label the axes of the projection."""
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
    """Square panels, four in a row: each decoded cloud with its title, and the truth last."""
    rows = len(clouds) // 4 + 1
    figure, axes = plt.subplots(rows, 4, figsize=(WIDTH, rows * WIDTH / 4 * 1.02), squeeze=False)
    painter, panels = BeliefPainter(truth, max_points), [*clouds, ("true belief states\n", truth["target"].values)]
    for ax, (title, belief) in zip(axes.flat, panels, strict=False):
        painter.draw(ax, belief, title)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    return figure


def draw_cloud(ax: Axes, points: Float[ndarray, "row 2"], colors: Float[ndarray, "row 3"]) -> None:
    """Draw points, smaller where there are more, as a raster image in vector formats too."""
    size = float(np.clip(12_000 / max(len(points), 1), 0.12, 14))
    ax.scatter(*points.T, c=colors, s=size, linewidths=0, rasterized=True)


def draw_corners(ax: Axes, corners: Float[ndarray, "corner 2"], names: list[str]) -> None:
    """Draw the pure states as coloured marks with their names, connected by thin lines."""
    for i, start in enumerate(corners):
        for end in corners[i + 1 :]:
            ax.plot(*zip(start, end, strict=True), color="0.75", linewidth=0.5, zorder=0)
    centre = corners.mean(axis=0)
    for place, (corner, name) in enumerate(zip(corners, names, strict=True)):
        ax.plot(*corner, "o", color=ANCHORS[place % len(ANCHORS)], markersize=3, zorder=3, clip_on=False)
        outwards = (corner - centre) / max(np.linalg.norm(corner - centre), 1e-9)
        label = name.replace("$", r"\$")  # not a formula
        text = {"ha": "center", "va": "center", "fontsize": 7}
        ax.annotate(label, corner, xytext=7 * outwards, textcoords="offset points", **text)
