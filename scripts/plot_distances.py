"""Draw pairwise distances of decoded beliefs against those of true beliefs and of optimal predictions."""

from typing import TYPE_CHECKING

import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from geometry.figures.style import WIDTH, save_figure
from geometry.networks.hook_points import short_site
from geometry.provenance.job import Job
from geometry.storage import open_dataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


SPLITS = {"in_sample": "in sample, as published", "held_out_prefix": "held-out prefixes"}
GEOMETRIES = {"belief": "true belief distance", "next_token": "optimal prediction distance"}


def plot_distances(result: xr.Dataset, sites: list[str]) -> Figure:
    """The figure: a row per site, in sample and held out, against the distances of beliefs and of predictions."""
    height = 0.31 * WIDTH * len(sites)
    figure, axes = plt.subplots(len(sites), 4, figsize=(WIDTH, height), squeeze=False, sharex="col", sharey="row")
    panels = [(split, geometry) for split in SPLITS for geometry in GEOMETRIES]
    for row, site in zip(axes, sites, strict=True):
        for ax, (split, geometry) in zip(row, panels, strict=True):
            here = result.sel(split=split, site=site)
            at_initialisation, trained = here[f"r2_{geometry}"].values
            x, y = result[f"{geometry}_distance"].values, here["decoded_distance"][-1].values
            ax.scatter(x, y, s=1, color="black", alpha=0.12, linewidths=0, rasterized=True)
            ax.set_title(f"{SPLITS[split]}\nR² = {trained:.2f} (at step 0 {at_initialisation:.2f})", fontsize=7)
        row[0].set_ylabel(f"distance decoded from\n{short_site(site)}")
    for ax, (_, geometry) in zip(axes[-1], panels, strict=True):
        ax.set_xlabel(GEOMETRIES[geometry])
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.distances) as result:
            figure = plot_distances(result, snakemake.params.sites)
            confounded = result.attrs["r2_belief_next_token"]
            figure.suptitle(
                f"{snakemake.wildcards.experiment}, {result.sizes['pair']} pairs of prefixes; "
                f"the two true distances share R² = {confounded:.3f}",
                fontsize=8,
            )
        save_figure(figure, job)
