"""Draw the origin of the fractal of belief states: the chaos game, the belief maps, and the game on them."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from geometry.figures.belief_cloud import draw_cloud, draw_corners
from geometry.figures.simplex import ANCHORS, TRIANGLE
from geometry.figures.style import WIDTH, save_figure
from geometry.provenance.job import Job
from geometry.storage import open_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def plot_explainer(game: xr.Dataset, truth: xr.Dataset, max_points: int) -> Figure:
    """The figure: four triangles, coloured by the last token."""
    figure, axes = plt.subplots(2, 2, figsize=(0.85 * WIDTH, 0.85 * WIDTH))
    names, tokens = [str(n) for n in truth["component"].values], [str(n) for n in truth["token"].values]
    draw_points(axes[0, 0], game["sierpinski"].values, game["sierpinski_token"].values, ["A", "B", "C"], max_points)
    axes[0, 0].set_title("1  Chaos game: repeatedly jump halfway\nto a random corner")
    draw_images(axes[0, 1], game, names, tokens)
    axes[0, 1].set_title("2  Observing a token maps the simplex into\none triangle (darker: two tokens)")
    draw_points(axes[1, 0], game["belief"].values, game["last_token"].values, names, max_points)
    axes[1, 0].set_title(f"3  The chaos game on these maps: beliefs\nafter {game.attrs['n_tokens']} random tokens")
    draw_points(axes[1, 1], truth["target"].values, truth["last_token"].values, names, max_points)
    axes[1, 1].set_title(
        f"4  Exact beliefs of all prefixes of 1 to {truth['length'].values.max()}\ntokens: the same set"
    )
    return figure


def draw_points(ax: Axes, belief: np.ndarray, token: np.ndarray, names: list[str], max_points: int) -> None:
    rows = np.random.default_rng(0).permutation(len(belief))[:max_points]
    draw_cloud(ax, belief[rows] @ TRIANGLE, ANCHORS[token[rows]])
    finish(ax, names)


def draw_images(ax: Axes, game: xr.Dataset, names: list[str], tokens: list[str]) -> None:
    """The images of the simplex under one token (pale) and two tokens (dark), coloured by the last one."""
    for name, alpha in (("image_one_token", 0.25), ("image_two_tokens", 0.45)):
        images = game[name].values @ TRIANGLE
        last = np.repeat(np.arange(len(tokens)), len(images) // len(tokens))
        for corners, token in zip(images, last, strict=True):
            ax.add_patch(Polygon(corners, facecolor=(*ANCHORS[token], alpha), edgecolor=ANCHORS[token], linewidth=0.6))
    for token, corners in enumerate(game["image_one_token"].values @ TRIANGLE):
        centre, whole = corners.mean(axis=0), TRIANGLE.mean(axis=0)
        place = whole + 1.75 * (centre - whole)
        box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": ANCHORS[token], "linewidth": 0.5}
        ax.annotate(f"token {tokens[token]}".replace("$", r"\$"), place, ha="center", va="center", fontsize=7, bbox=box)
    finish(ax, names)


def finish(ax: Axes, names: list[str]) -> None:
    draw_corners(ax, TRIANGLE, names)
    ax.set(xlim=(-0.1, 1.1), ylim=(-0.1, 0.97), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.chaos_game) as game, open_dataset(snakemake.input.ground_truth) as truth:
            figure = plot_explainer(game, truth, snakemake.params.max_points)
        save_figure(figure, job)
