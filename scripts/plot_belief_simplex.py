"""Draw the true belief states beside those decoded from the trained network, at initialisation and from the tokens."""

from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from geometry.figures.belief_cloud import BeliefPainter
from geometry.figures.style import WIDTH, format_r2, save_figure
from geometry.networks.snapshots import first_network
from geometry.probing.probe_table import ALL_TOKENS, baseline_r2, decoded_beliefs, held_out_r2
from geometry.processes.prefix_tree import scored_part
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def plot_belief_simplex(
    truth: xr.Dataset,
    decoded: xr.Dataset,
    probe: pd.DataFrame,
    of_tokens: xr.Dataset,
    baselines: pd.DataFrame,
    site: str,
    max_points: int,
) -> Figure:
    """The figure: four panels of the same prefixes in the same colours; three if nothing is known of initialisation."""
    painter, n_panels = BeliefPainter(truth, max_points), 3 + (decoded.sizes["snapshot"] > 1)
    figure, axes = plt.subplots(1, n_panels, figsize=(WIDTH, 1.16 / n_panels * WIDTH))
    length = truth["length"].values
    prefixes = f"{'all' if truth.attrs['complete'] else 'sampled'} prefixes, {length.min()} to {length.max()} tokens"
    painter.draw(axes[0], truth["target"].values, f"True belief states\n{prefixes}")
    scores, beliefs = held_out_r2(probe, site), decoded_beliefs(decoded, site)
    r2 = [scores[int(step)] for step in decoded["step"].values]
    panels = {"Decoded, trained network": (beliefs[-1], r2[-1])}
    if len(r2) > 1:
        panels["Decoded, at initialisation"] = beliefs[0], r2[0]
    panels["Decoded from the tokens"] = of_tokens["decoded_belief"].values, baseline_r2(baselines, ALL_TOKENS)
    for ax, (title, (belief, score)) in zip(axes[1:], panels.items(), strict=True):
        painter.draw(ax, belief, f"{title}\nheld-out {format_r2(score)}")
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.rc("axes", titlesize=8)
        with (
            open_dataset(snakemake.input.ground_truth) as truth,
            open_dataset(snakemake.input.decoded) as run,
            open_dataset(snakemake.input.of_tokens) as of_tokens,
        ):
            scored, decoded, params = scored_part(truth), first_network(run), snakemake.params
            probe, baselines = (read_table(snakemake.input[name]) for name in ("probe", "baselines"))
            figure = plot_belief_simplex(scored, decoded, probe, of_tokens, baselines, params.site, params.max_points)
        save_figure(figure, job)
