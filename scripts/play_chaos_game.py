"""Compute the points of the explainer: the Sierpinski triangle and a belief set by chaos game, and the maps."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geometry.processes.chaos_game import play, sierpinski, simplex_images
from geometry.processes.process import Process
from geometry.provenance.job import Job
from geometry.storage import write_dataset
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

TOKENS = 64  # the maps contract: after so many tokens the starting corner no longer shows


def explain(process: Process, n_points: int, seed: int) -> xr.Dataset:
    """Chaos games and the images of the simplex, as barycentric coordinates."""
    rng = np.random.default_rng(seed)
    triangle, triangle_token = play(sierpinski(), n_points, TOKENS, rng)
    belief, token = play(process, n_points, TOKENS, rng)
    return xr.Dataset(
        {
            "sierpinski": (("point", "corner"), triangle),
            "sierpinski_token": ("point", triangle_token.astype(np.int32)),
            "belief": (("point", "component"), belief),
            "last_token": ("point", token.astype(np.int32)),
            "image_one_token": (("one", "vertex", "component"), simplex_images(process, 1)),
            "image_two_tokens": (("two", "vertex", "component"), simplex_images(process, 2)),
        },
        attrs={"process": process.name, "n_tokens": TOKENS},
    )


if __name__ == "__main__":
    with Job(snakemake) as job:
        result = explain(process_of(snakemake.params.task), snakemake.params.n_points, snakemake.params.seed)
        write_dataset(result, snakemake.output.chaos_game)
        job.info(f"{result.sizes['point']} games of {TOKENS} tokens each")
