"""Labels at the right ends of curves, moved apart where they would overlap."""

from itertools import pairwise

from matplotlib.axes import Axes

LINE_HEIGHT = 0.075
"""The height of a line of text, as a share of a panel's height."""

HIGHEST = 1.05
"""The upper limit of all labels, as a share of a panel's height."""


def name_ends(ax: Axes, ends: dict[str, float], colors: dict[str, str]) -> None:
    """A label to the right of the panel for the end of each curve, given by name and value."""
    ax.get_ylim()  # computes the limits, which the transformations below need
    order = sorted(ends, key=ends.get)
    shares = {name: ax.transLimits.transform(ax.transScale.transform((1, ends[name])))[1] for name in order}
    for name, place in label_places(shares).items():
        at = {"xy": (1, ends[name]), "xycoords": ax.get_yaxis_transform(), "annotation_clip": False}
        text = {"xytext": (1.03, place), "textcoords": "axes fraction", "va": "center", "fontsize": 7}
        line = {"arrowstyle": "-", "color": "0.7", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 1}
        ax.annotate(name, **at, **text, color=colors[name], arrowprops=line)


def label_places(shares: dict[str, float]) -> dict[str, float]:
    """The vertical centres of labels, near the given ones but not overlapping, as shares of a panel's height.

    Labels are given from the lowest to the highest; each may have several lines.
    """
    height = {name: LINE_HEIGHT * (name.count("\n") + 1) for name in shares}
    place = dict(shares)
    for below, above in pairwise(shares):
        place[above] = max(place[above], place[below] + (height[below] + height[above]) / 2)
    limit = HIGHEST
    for name in reversed(list(shares)):
        place[name] = min(place[name], limit - height[name] / 2)
        limit = place[name] - height[name] / 2
    return place
