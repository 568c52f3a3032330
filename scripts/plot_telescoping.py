"""Draw the belief over the states of each component of a mixture, scaled by its posterior: true and decoded."""

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.belief_cloud import draw_cloud, draw_corners
from geometry.figures.simplex import belief_colors, project_targets
from geometry.figures.style import WIDTH, format_r2, save_figure
from geometry.networks.snapshots import first_network
from geometry.probing.probe_table import ALL_TOKENS, baseline_r2, decoded_beliefs, held_out_r2
from geometry.processes.composition import Composition, Part, part_beliefs, source_posterior
from geometry.processes.prefix_tree import scored_part
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import read_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_SHOWN = 4
"""Components that are drawn, at most."""


def draw_component(ax: Axes, part: Part, belief: np.ndarray, own: np.ndarray, weight: np.ndarray) -> None:
    """Draw the scaled belief of one component, in the colours of its true belief, in a simplex about its centre."""
    generalized = bool(np.ptp(part.readout) > 0)
    projection, scaled = project_targets(own, weight, generalized), belief @ part.marginal
    centre = np.zeros(2) if projection.corners is None else projection.corners.mean(axis=0)
    points = projection(scaled) - (scaled @ part.readout)[:, None] * centre  # the centre stands for a posterior of 0
    draw_cloud(ax, points, belief_colors(own, generalized))
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    if projection.corners is not None:
        corners = projection.corners - centre
        draw_corners(ax, corners, [str(state) for state in range(len(corners))])
        (low_x, low_y), (high_x, high_y) = 1.25 * corners.min(axis=0), 1.25 * corners.max(axis=0)
        ax.set(xlim=(low_x, high_x), ylim=(min(low_y, -0.1), max(high_y, 0.1)))


def plot_telescoping(
    truth: xr.Dataset, composition: Composition, ways: dict[str, np.ndarray], max_points: int
) -> Figure:
    """The figure: a column for each way of knowing the belief, a row for each component, and one for the posterior."""
    rows = np.random.default_rng(0).permutation(truth.sizes["prefix"])[:max_points]
    target, weight = truth["target"].values[rows], truth["weight"].values[rows]
    shown, own = composition.parts[:MOST_SHOWN], part_beliefs(composition, target)
    n_rows = len(shown) + 1
    figure, axes = plt.subplots(n_rows, len(ways), figsize=(WIDTH, n_rows * WIDTH / len(ways)), squeeze=False)
    posterior = source_posterior(composition, target)[:, 0]
    for line, (way, belief) in zip(axes.T, ways.items(), strict=True):
        for ax, part, beliefs in zip(line, shown, own, strict=False):
            draw_component(ax, part, belief[rows], beliefs, weight)
        found = source_posterior(composition, belief[rows])[:, 0]
        draw_cloud(line[-1], np.stack([posterior, found], axis=1), np.full((len(rows), 3), 0.35))
        line[-1].plot([0, 1], [0, 1], color="0.75", linewidth=0.6, zorder=0)
        line[-1].set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), aspect="equal", xticks=[0, 1], yticks=[0, 1])
        line[-1].set_xlabel("true posterior")
        line[0].set_title(way)
    for ax, part in zip(axes[:, 0], shown, strict=False):
        ax.set_ylabel(part.name)
    axes[-1, 0].set_ylabel(f"posterior of {shown[0].name}")
    return figure


def ways_of(truth: xr.Dataset, decoded: xr.Dataset, probe: pd.DataFrame, of_tokens, baselines, site: str) -> dict:
    """The true belief, and those decoded from the trained network, at initialisation and from the tokens, by label."""
    scores, beliefs = held_out_r2(probe, site), decoded_beliefs(decoded, site)
    first, last = (format_r2(scores[int(step)]) for step in decoded["step"].values[[0, -1]])
    before = {f"decoded, at initialisation\n{first}": beliefs[0]} if len(beliefs) > 1 else {}
    return {
        "true belief\n": truth["target"].values,
        f"decoded, trained\n{last}": beliefs[-1],
        **before,
        f"decoded from the tokens\n{format_r2(baseline_r2(baselines, ALL_TOKENS))}": of_tokens["decoded_belief"].values,
    }


if __name__ == "__main__":
    with Job(snakemake) as job:
        source, params = snakemake.input, snakemake.params
        with (
            open_dataset(source.ground_truth) as truth,
            open_dataset(source.decoded) as run,
            open_dataset(source.of_tokens) as of_tokens,
        ):
            tables = read_table(source.probe), of_tokens, read_table(source.baselines)
            scored = scored_part(truth)
            ways = ways_of(scored, first_network(run), *tables, params.site)
            figure = plot_telescoping(scored, process_of(json.loads(params.task)).composition, ways, params.max_points)
        figure.suptitle(f"{snakemake.wildcards.experiment}, {params.site}", fontsize=9)
        save_figure(figure, job)
