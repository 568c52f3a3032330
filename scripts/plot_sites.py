"""Draw the belief states decoded from each site of the trained network, in the order of the forward pass."""

from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from geometry.figures.belief_cloud import draw_gallery
from geometry.figures.style import format_r2, save_figure
from geometry.networks.hook_points import short_site
from geometry.networks.snapshots import first_network
from geometry.probing.probe_table import decoded_beliefs, held_out_r2
from geometry.processes.prefix_tree import scored_part
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def plot_sites(truth: xr.Dataset, decoded: xr.Dataset, probe: pd.DataFrame, max_points: int) -> Figure:
    """The figure: one panel per site, and the truth last."""
    sites, step = decoded["site"].values, int(decoded["step"].values[-1])
    titles = [f"{short_site(site)}\n{format_r2(held_out_r2(probe, site)[step])}" for site in sites]
    beliefs = [decoded_beliefs(decoded, site)[-1] for site in sites]
    return draw_gallery(truth, list(zip(titles, beliefs, strict=True)), max_points)


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as run:
            probe, max_points = read_table(snakemake.input.probe), snakemake.params.max_points
            figure = plot_sites(scored_part(truth), first_network(run), probe, max_points)
        save_figure(figure, job)
