"""The shape of a cloud of features without a probe: its principal components, and how these lie beside a target."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.probing.regression import Regression

SPECTRUM = 12
"""Principal components whose share of the variance is in the table."""

ROWS_AT_ONCE = 8192


def affine_dimension(covariance: Float[ndarray, "component component"]) -> int:
    """The number of dimensions that a cloud with that covariance spans."""
    spread = np.linalg.eigvalsh(covariance)
    return int((spread > 1e-9 * spread[-1]).sum())


def cloud_shape(regression: Regression, target: slice) -> dict[str, float | ndarray]:
    """The features' spectrum, and the Procrustes disparity of their leading components to the target.

    The disparity is the share of the variance that differs when as many components as the target has
    dimensions are laid on it by rotation, reflection and one scale (Gower 1975; 0: the same shape, 1:
    nothing in common). The participation ratio is the number of components, were all alike, with the
    same sum of squared shares.
    """
    variance, covariance = regression.variance[::-1], regression.covariance[::-1, target]
    of_target = regression.target_covariance[target, target]
    dimension = affine_dimension(of_target)
    overlap = np.linalg.svd(covariance[:dimension], compute_uv=False).sum() ** 2
    size = variance[:dimension].sum() * np.trace(of_target)
    shares = variance / regression.total_variance if len(variance) else variance
    return {
        "procrustes_disparity": 1 - overlap / size if size > 0 else float("nan"),
        "participation_ratio": 1 / (shares**2).sum() if len(shares) else float("nan"),
        "variance_share": shares[:SPECTRUM],
    }


def principal_scores(
    x: Float[ndarray, "prefix feature"], weight: Float[ndarray, " prefix"], n_dimensions: int
) -> Float[ndarray, "prefix dimension"]:
    """Each row on the leading principal components of the weighted rows, about their mean; fewer if there are fewer."""
    share, parts = weight / weight.sum(), range(0, len(x), ROWS_AT_ONCE)
    rows = [slice(start, start + ROWS_AT_ONCE) for start in parts]
    mean = sum(share[part] @ x[part].astype(np.float64) for part in rows)
    gram = np.zeros((x.shape[1], x.shape[1]))
    for part in rows:
        centred = x[part] - mean
        gram += centred.T @ (share[part, None] * centred)
    axes = np.linalg.eigh(gram)[1][:, ::-1][:, :n_dimensions]
    return np.concatenate([(x[part] - mean) @ axes for part in rows])
