"""Networks of an experiment's shape that are never trained: what a probe finds in them, training has not put there."""

from typing import TYPE_CHECKING

import numpy as np

from geometry.job import Job
from geometry.storage import write_tensors
from geometry.tasks import process_of
from geometry.transformer import initial_parameters, transformer_config

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

FIRST_SEED = 1_000_001
"""Seeds of initialisation from here on, so that these are not the networks that a study trains."""


if __name__ == "__main__":
    with Job(snakemake) as job:
        params = snakemake.params
        n_tokens, context = process_of(params.task).n_tokens, params.task["context"]
        config = transformer_config(n_tokens, context, params.model)
        seeds = np.arange(FIRST_SEED, FIRST_SEED + params.n_networks)
        networks = [initial_parameters(config, seed) for seed in seeds.tolist()]
        stacks = {name: np.stack([network[name] for network in networks]) for name in networks[0]}
        write_tensors({**stacks, "step": np.zeros_like(seeds), "seed": seeds}, snakemake.output.snapshots)
        job.info(f"{len(seeds)} untrained networks")
