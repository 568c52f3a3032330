"""The numbers of modular arithmetic on the circle of one frequency, as a network represents them."""

import numpy as np
from jaxtyping import Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from numpy import ndarray

MOST_NAMES = 9
"""Numbers that are named and connected."""

NEAR = 0.3
"""Radians within which the names of two numbers would overlap."""


def named_numbers(turn: Float[ndarray, " token"]) -> list[int]:
    """The first of 0, s, 2 s, .. whose names do not overlap on a circle, s the least step for which 0 and s do not.

    ``turn[t]`` is the angle of number t as a share of the circle.
    """

    def overlap(number: int, other: int) -> bool:
        return bool(2 * np.pi * abs((turn[number] - turn[other] + 0.5) % 1 - 0.5) < NEAR)

    step = next((s for s in range(1, len(turn)) if not overlap(0, s)), len(turn))
    named: list[int] = []
    for number in range(0, len(turn), step)[:MOST_NAMES]:
        if any(overlap(number, other) for other in named):
            break
        named.append(number)
    return named


def draw_circle(ax: Axes, points: Float[ndarray, "token 2"], frequency: int, title: str) -> None:
    """The numbers on the plane of a frequency, coloured by their ideal angle; the first ones connected.

    The names of these stand on a dial around the circle, at their ideal angle.
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
