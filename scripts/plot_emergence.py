"""Draw the decoded belief states at each snapshot of training."""

from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from geometry.figures.belief_cloud import draw_gallery
from geometry.figures.style import format_r2, save_figure
from geometry.networks.snapshots import first_network
from geometry.probing.probe_table import decoded_beliefs, held_out_r2
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def plot_emergence(truth: xr.Dataset, decoded: xr.Dataset, probe: pd.DataFrame, site: str, max_points: int) -> Figure:
    """The figure: one panel per snapshot, and the truth last."""
    scores, steps = held_out_r2(probe, site), decoded["step"].values
    names = [f"step {step}" if step else "step 0, at initialisation" for step in steps]
    titles = [f"{name}\n{format_r2(scores[step])}" for name, step in zip(names, steps, strict=True)]
    return draw_gallery(truth, list(zip(titles, decoded_beliefs(decoded, site), strict=True)), max_points)


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as run:
            decoded = first_network(run)
            probe = read_table(snakemake.input.probe)
            figure = plot_emergence(truth, decoded, probe, snakemake.params.site, snakemake.params.max_points)
        save_figure(figure, job)
