"""Measure the principal components of the activations at one site, at initialisation and after training."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geometry.networks.snapshots import first_network
from geometry.probing.cloud_shape import SPECTRUM, affine_dimension, cloud_shape
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import regress
from geometry.processes.prefix_tree import scored_part
from geometry.provenance.job import Job
from geometry.storage import open_dataset, write_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def components_of(x: np.ndarray, belief: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The scores on the two leading components, the shares of the variance, and the Procrustes disparity."""
    (moments,) = cell_gram_matrices(x, belief, weight[None], np.zeros(len(x), dtype=int))
    regression = regress(moments)
    axes = regression.directions[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    shares = regression.variance[::-1][:SPECTRUM] / regression.total_variance
    disparity = cloud_shape(regression, slice(None))["procrustes_disparity"]
    scores = (x - regression.feature_mean) @ axes
    missing = 2 - scores.shape[1]
    return np.pad(scores, ((0, 0), (0, missing))), np.pad(shares, (0, SPECTRUM - len(shares))), disparity


def measure_components(truth: xr.Dataset, activations: xr.Dataset, site: str) -> xr.Dataset:
    """The components at the first and the last snapshot of the first network."""
    activations = first_network(activations)
    place, belief, weight = list(activations["site"].values).index(site), truth["target"].values, truth["weight"].values
    found = [components_of(activations["activation"][index, place].values, belief, weight) for index in (0, -1)]
    scores, shares, disparity = (np.stack(part) for part in zip(*found, strict=True))
    return xr.Dataset(
        {
            "score": (("snapshot", "prefix", "axis"), scores.astype(np.float32)),
            "variance_share": (("snapshot", "component"), shares),
            "procrustes_disparity": ("snapshot", disparity),
        },
        coords={"step": ("snapshot", activations["step"].values[[0, -1]]), "prefix": activations["prefix"].values},
        attrs={"site": site, "belief_dimension": affine_dimension(np.cov(belief.T, aweights=weight))},
    )


if __name__ == "__main__":
    with Job(snakemake) as job:
        source = snakemake.input
        with open_dataset(source.ground_truth) as truth, open_dataset(source.activations) as activations:
            result = measure_components(scored_part(truth), activations, snakemake.params.site)
        write_dataset(result, snakemake.output.components)
        job.info(f"Procrustes disparity {result['procrustes_disparity'].values.round(4).tolist()} at {result.site}")
