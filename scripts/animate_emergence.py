"""Animate the decoded belief states over training."""

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from PIL import Image

from geometry.figures.belief_cloud import BeliefPainter
from geometry.figures.style import format_r2
from geometry.files import atomic_path
from geometry.networks.snapshots import first_network
from geometry.probing.probe_table import decoded_beliefs, held_out_r2
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

INCHES, DPI = 3.2, 110
FRAME_MS, LAST_FRAME_MS = 700, 3000
BLEND = 2
"""Interpolated frames between two snapshots."""


def draw_frames(
    truth: xr.Dataset, decoded: xr.Dataset, probe: pd.DataFrame, site: str, max_points: int
) -> list[Image.Image]:
    """A frame per snapshot and, between two snapshots, `BLEND` interpolated ones."""
    painter, scores = BeliefPainter(truth, max_points), held_out_r2(probe, site)
    steps, beliefs = decoded["step"].values, decoded_beliefs(decoded, site)
    frames = []
    for position in np.linspace(0, len(steps) - 1, (len(steps) - 1) * (BLEND + 1) + 1):
        before, share = int(position), position - int(position)
        after = min(before + 1, len(steps) - 1)
        step = steps[before]
        figure, ax = plt.subplots(figsize=(INCHES, INCHES))
        cloud = (1 - share) * beliefs[before] + share * beliefs[after]
        painter.draw(ax, cloud, f"step {step}    {format_r2(scores[step])}")
        frames.append(to_image(figure))
    return frames


def to_image(figure) -> Image.Image:
    """The image of a figure, with at most 128 colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    plt.close(figure)
    return Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)


if __name__ == "__main__":
    with Job(snakemake) as job:
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.decoded) as run:
            decoded = first_network(run)
            probe, max_points = read_table(snakemake.input.probe), snakemake.params.max_points
            frames = draw_frames(truth, decoded, probe, snakemake.params.site, max_points)
        durations = [FRAME_MS // (BLEND + 1)] * (len(frames) - 1) + [LAST_FRAME_MS]
        with atomic_path(snakemake.output.animation) as path:
            frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)
        job.info(f"drew {snakemake.output.animation}")
