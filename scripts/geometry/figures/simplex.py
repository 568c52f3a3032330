"""The projection of belief states to the plane, and their colours."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

TRIANGLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])
"""The corners of the drawn simplex."""

ANCHORS = np.array(
    [
        [0xE6, 0x9F, 0x00],  # orange
        [0x56, 0xB4, 0xE9],  # sky blue
        [0x00, 0x00, 0x00],  # black
        [0x00, 0x9E, 0x73],  # bluish green
        [0xCC, 0x79, 0xA7],  # reddish purple
        [0xD5, 0x5E, 0x00],  # vermilion
        [0xF0, 0xE4, 0x42],  # yellow
        [0x00, 0x72, 0xB2],  # blue
    ]
) / np.float64(255)
"""Okabe and Ito's palette; the first three stay apart under every colour blindness."""


@dataclass(frozen=True)
class Projection:
    """An affine map from targets to the plane, ``target @ matrix + offset``, with its corners or axis labels."""

    matrix: Float[ndarray, "component 2"]
    offset: Float[ndarray, " 2"]
    corners: Float[ndarray, "corner 2"] | None  # of the pure states, if they are drawn
    axis_labels: tuple[str, str] | None

    def __call__(self, target: Float[ndarray, "row component"]) -> Float[ndarray, "row 2"]:
        return target @ self.matrix + self.offset


def project_targets(
    target: Float[ndarray, "row component"], weight: Float[ndarray, " row"], generalized: bool
) -> Projection:
    """The projection with hidden states at the corners of a regular polygon and beliefs at their weighted mean.

    For three states it is the simplex. A generalized process has no corners: its targets are projected on their two
    leading principal components.
    """
    n = target.shape[1]
    if not generalized:
        corners = TRIANGLE if n == 3 else polygon(n)
        return Projection(corners, np.zeros(2), corners, None)
    share = weight / weight.sum()
    centre = share @ target
    _, _, axes = np.linalg.svd((target - centre) * np.sqrt(share)[:, None], full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2, np.abs(axes[:2]).argmax(axis=1)].diagonal())[:, None]
    return Projection(axes.T, -centre @ axes.T, None, ("first principal component", "second"))


def polygon(n: int) -> Float[ndarray, "corner 2"]:
    """The corners of a regular polygon, the first on top; for two, the ends of a line."""
    angles = np.pi / 2 - 2 * np.pi * np.arange(n) / n if n > 2 else np.array([np.pi, 0])
    return 0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def belief_colors(target: Float[ndarray, "row component"], generalized: bool) -> Float[ndarray, "row 3"]:
    """The mix of the hidden states' anchor colours in proportion to the belief.

    A generalized process has no probabilities over states; its components are rescaled to shares.
    """
    if generalized:
        spread = np.ptp(target, axis=0)
        target = ((target - target.min(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]
        target = target / np.maximum(target.sum(axis=1, keepdims=True), 1e-9)
    anchors = ANCHORS[np.arange(target.shape[1]) % len(ANCHORS)]
    return np.clip(target @ anchors, 0, 1)
