"""Random networks of an experiment's shape, never trained: the run `random_init`, a baseline of claims on training."""

from typing import TYPE_CHECKING

import numpy as np

from geometry.networks.build import build_network, initial_parameters
from geometry.networks.origins import RANDOM_INIT, origin_codes
from geometry.provenance.job import Job
from geometry.storage import write_tensors
from geometry.tasks.task import task_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

FIRST_SEED = 1_000_001
"""Seeds of initialisation from here on, so that these are not the networks that a study trains."""


if __name__ == "__main__":
    with Job(snakemake) as job:
        params = snakemake.params
        n_tokens, context = task_of(params.task).n_tokens, params.task["context"]
        network = build_network(n_tokens, context, params.model)
        seeds = np.arange(FIRST_SEED, FIRST_SEED + params.n_networks)
        drawn = [initial_parameters(network, seed) for seed in seeds.tolist()]
        stacks = {name: np.stack([parameters[name] for parameters in drawn]) for name in drawn[0]}
        axis = {"step": np.zeros_like(seeds), "seed": seeds, "origin": origin_codes([RANDOM_INIT] * len(seeds))}
        write_tensors(stacks | axis, snakemake.output.snapshots)
        job.info(f"{len(seeds)} random networks")
