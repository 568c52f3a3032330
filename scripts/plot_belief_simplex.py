"""Draw the true belief states beside those decoded from the trained network and from it at initialisation."""

from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from geometry.figures.belief_cloud import BeliefPainter
from geometry.figures.style import STYLE_SHEET, WIDTH, format_r2, save_figure
from geometry.networks.snapshots import first_network
from geometry.probing.probe_table import decoded_beliefs, held_out_r2
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def plot_belief_simplex(
    truth: xr.Dataset, decoded: xr.Dataset, probe: pd.DataFrame, site: str, max_points: int
) -> Figure:
    """The figure: three panels of the same prefixes in the same colours."""
    painter = BeliefPainter(truth, max_points)
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 0.39 * WIDTH))
    prefixes = f"prefixes of 1 to {truth['length'].values.max()} tokens"
    prefixes = f"all {prefixes}" if truth.attrs["complete"] else f"{prefixes}, sampled"
    painter.draw(axes[0], truth["target"].values, f"True belief states\n{prefixes}")
    scores, beliefs = held_out_r2(probe, site), decoded_beliefs(decoded, site)
    for ax, index, title in ((axes[1], -1, "Decoded, trained network"), (axes[2], 0, "Decoded, at initialisation")):
        step = int(decoded["step"].values[index])
        painter.draw(ax, beliefs[index], f"{title}\n{format_r2(scores[step])}, held-out prefixes")
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.style.use(STYLE_SHEET)
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as run:
            decoded = first_network(run)
            figure = plot_belief_simplex(
                truth,
                decoded,
                read_table(snakemake.input.probe),
                snakemake.params.site,
                snakemake.params.max_points,
            )
        save_figure(figure, snakemake.output.figure, snakemake.params.dpi)
        job.info(f"drew {snakemake.output.figure}")
