"""Panels of the recovered process: its maps beside the true ones, and the eigenvalues of both."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from geometry.figures.belief_cloud import BeliefPainter, draw_cloud
from geometry.figures.simplex import ANCHORS, belief_colors

MOST_TOKENS = 12
"""Tokens whose eigenvalues are drawn."""


def draw_fractals(axes: np.ndarray, truth: xr.Dataset, fractal: xr.Dataset, max_points: int) -> None:
    """The images of random sequences under the true and the recovered maps, in the true belief's colour.

    Sequences that are impossible under the true maps are grey on the recovered ones.
    """
    painter = BeliefPainter(truth, max_points)
    true, recovered = (fractal[f"{name}_belief"].values.astype(np.float64) for name in ("true", "recovered"))
    known = np.isfinite(true).all(axis=1)
    colors = np.full((len(true), 3), 0.8)
    colors[known] = belief_colors(true[known], truth.attrs["target_kind"] != "probabilities")
    order = np.argsort(known, kind="stable")
    for ax, belief, title in ((axes[0], true, "True maps"), (axes[1], recovered, "Recovered maps")):
        drawn = order[np.isfinite(belief[order]).all(axis=1)]
        draw_cloud(ax, painter.projection(belief[drawn]), colors[drawn])
        painter.frame(ax)
        if painter.lift.any():
            ax.set_ylabel("")  # these sequences are all of one length
        ax.set_title(f"{title}\nafter {len(drawn):,} sequences")


def frequent_tokens(truth: xr.Dataset) -> list[int]:
    """The tokens whose eigenvalues are drawn: the most probable first tokens, in their own order."""
    first = truth["length"].values == 1
    weight = np.bincount(truth["last_token"].values[first], truth["weight"].values[first], truth.sizes["token"])
    return sorted(np.argsort(-weight, kind="stable")[:MOST_TOKENS].tolist())


def draw_eigenvalues(ax: Axes, fractal: xr.Dataset, tokens: list[int]) -> None:
    """The eigenvalues of some tokens' operators in the complex plane: true ones as rings, recovered ones as crosses."""
    real, imaginary = np.moveaxis(fractal["eigenvalue"].values, -1, 0)
    for token in tokens:
        color = ANCHORS[token % len(ANCHORS)]
        ax.plot(real[0, token], imaginary[0, token], "o", color=color, markerfacecolor="none", markersize=7)
        ax.plot(real[1, token], imaginary[1, token], "x", color=color, markersize=4)
    ax.plot([], [], "o", color="0.3", markerfacecolor="none", label="true")
    ax.plot([], [], "x", color="0.3", label="recovered")
    ax.axhline(0, color="0.85", linewidth=0.6, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.6, zorder=0)
    ax.set(xlabel="real part", ylabel="imaginary part", aspect="equal", adjustable="datalim")
    ax.margins(0.2)
    ax.legend(loc="best", fontsize=6)
    every = len(tokens) == fractal.sizes["token"]
    ax.set_title("Eigenvalues\nof " + ("each token's operator" if every else f"{len(tokens)} frequent tokens"))
