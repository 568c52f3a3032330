"""Sample the training sequences of each seed: for each step a batch of sequences, one token longer than the context."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geometry.processes.sampling import sample_process
from geometry.provenance.job import Job
from geometry.storage import zarr_archive
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

NUMBERS_AT_ONCE = 10_000_000
"""The size of temporary arrays while sampling."""


def write_sequences(path, process, n_batches: int, batch_size: int, length: int, seeds: list[int]) -> None:
    """Sample batches of sequences for each seed into a Zarr archive, some at a time, so that memory stays bounded."""
    block = max(1, NUMBERS_AT_ONCE // (process.n_tokens * process.n_states) // batch_size)
    with zarr_archive(path) as archive:
        archive.add_variables(xr.Dataset(coords={"seed": seeds}))
        shape, dims = (len(seeds), n_batches, batch_size, length), ("seed", "step", "sequence", "place")
        array = archive.add_array("token", dims, shape, process.token_dtype, (1, block, batch_size, length))
        for place, seed in enumerate(seeds):
            rng = np.random.default_rng([seed, 0])
            for start in range(0, n_batches, block):
                count = min(block, n_batches - start)
                sequences = sample_process(process, count * batch_size, length, rng)
                shape = 1, count, batch_size, length
                archive.write_chunk(array, (place, start // block, 0, 0), sequences.reshape(shape))


if __name__ == "__main__":
    with Job(snakemake) as job:
        params, task, size = snakemake.params, snakemake.params.task, snakemake.params.size
        n_batches = size["steps"] + 1  # one batch more than steps: the last is only measured
        shape = n_batches, size["batch_size"], task["context"] + 1
        write_sequences(snakemake.output.sequences, process_of(task), *shape, params.seeds)
        job.info(f"{n_batches} batches of {size['batch_size']} sequences of {task['context'] + 1} tokens")
