"""Scores of features on their leading principal components."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

ROWS_AT_ONCE = 8192


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
