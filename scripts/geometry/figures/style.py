"""The style of all figures, set at import: style sheet, colours, common marks and axes; and saving without a date."""

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
matplotlib.rcdefaults()  # ignores a matplotlibrc of the user

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullLocator

from geometry.files import atomic_path

if TYPE_CHECKING:
    from geometry.provenance.job import Job

plt.style.use(Path(__file__).with_name("study.mplstyle"))

WIDTH = 7.2
"""The width of a figure across a page, in inches."""

TRAINED, AT_INITIALISATION, CONTROL = "#0072B2", "#E69F00", "#7F7F7F"
METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None},
}


def draw_unit_circle(ax: Axes) -> None:
    """The unit circle of the complex plane, in the background."""
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    ax.plot(circle.real, circle.imag, color="0.75", linewidth=0.8, zorder=0)


def name_peaks(ax: Axes, heights: dict[int, float], colors: dict[int, str], near: float, line_height: float) -> None:
    """The number of each peak above it; of two near peaks, the name of the higher one is above the other's."""
    bases: dict[int, float] = {}
    for x in sorted(heights, key=heights.get):
        taken = [base + line_height for other, base in bases.items() if abs(x - other) < near]
        bases[x] = max([heights[x] + 0.25 * line_height, *taken])
        outline = [withStroke(linewidth=1.5, foreground="white")]
        text = {"fontsize": 7, "fontweight": "bold", "color": colors[x], "ha": "center", "path_effects": outline}
        ax.text(x, bases[x], str(x), **text)


def note(ax: Axes, text: str) -> None:
    """A text in the middle of a panel, such as the reason why it is empty."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=8, color="0.4")


def save_figure(figure: Figure, job: "Job") -> None:
    """Write the figure of a job whole or not at all, without a date, in the format of its suffix; and log it."""
    path, dpi = job.snakemake.output.figure, job.snakemake.params.dpi
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, metadata=METADATA[Path(path).suffix[1:]])
    plt.close(figure)
    job.info(f"drew {path}")


UNEXPLAINED = (10, 2, 1, 0.5, 0.1, 0.01, 1e-3, 1e-4, 1e-5)
"""Ticks of an axis of 1 - R2."""


def scale_to_unexplained(axis: Axis, unexplained: pd.Series, ticks=UNEXPLAINED) -> tuple[float, float]:
    """An axis of R2 that is logarithmic in 1 - R2, so that 0.99 and 0.999 are as far apart as 0.9 and 0.99.

    Returns its limits, to which values beyond them can be clipped.
    """
    low, high = max(unexplained.min() / 1.5, 1e-6), min(max(2.6, unexplained.max() * 1.3), 13)
    axis.axes.set(**{f"{axis.axis_name}scale": "log", f"{axis.axis_name}lim": (high, low)})
    ticks = [tick for tick in ticks if low < tick < high]
    axis.set_ticks(ticks, [np.format_float_positional(1 - tick, trim="-") for tick in ticks])
    axis.set_minor_locator(NullLocator())
    return low, high


def format_r2(value: float) -> str:
    """An R2 as text for a title; fewer digits far below zero."""
    return f"R² = {value:.4f}" if value > -1 else f"R² = {value:.3g}"
