"""The decoded belief states at each snapshot: the geometry as it emerges with training."""

from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from geometry.job import Job
from geometry.probe_table import decoded_beliefs, held_out_r2
from geometry.storage import open_dataset, read_table
from geometry.style import STYLE_SHEET, BeliefPainter, format_r2, panels, save_figure

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def plot_emergence(truth: xr.Dataset, decoded: xr.Dataset, probe: pd.DataFrame, site: str, max_points: int) -> Figure:
    """One panel per snapshot, and the truth last."""
    painter, scores = BeliefPainter(truth, max_points), held_out_r2(probe, site)
    steps = decoded["step"].values
    figure, axes = panels(len(steps) + 1)
    beliefs = decoded_beliefs(decoded, site)
    for ax, index in zip(axes, range(len(steps)), strict=False):
        title = f"step {steps[index]}" if steps[index] else "step 0, untrained"
        painter.draw(ax, beliefs[index], f"{title}\n{format_r2(scores[steps[index]])}")
    painter.draw(axes[-1], truth["target"].values, "true belief states\n")
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.style.use(STYLE_SHEET)
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as decoded:
            probe = read_table(snakemake.input.probe)
            figure = plot_emergence(truth, decoded, probe, snakemake.params.site, snakemake.params.max_points)
        save_figure(figure, snakemake.output.figure, snakemake.params.dpi)
        job.info(f"drew {snakemake.output.figure}")
