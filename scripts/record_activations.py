"""A recording of a language model that reads a sample of words, and of one of its shape with random weights.

It is what `model.activations` names where somebody else has made it (docs/files.md, "A file of activations").
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from geometry.networks.devices import describe_device, select_device
from geometry.networks.language_files import language_model_files
from geometry.networks.language_model import load, recorded
from geometry.networks.language_tokens import token_ids
from geometry.networks.recording import PREDICTIONS, RANDOM, TOKENS
from geometry.processes.sampling import sample_process
from geometry.provenance.job import Job
from geometry.storage import Archive, zarr_archive
from geometry.tasks.task import task_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

TOKENS_AT_ONCE = 2048
"""Tokens that a model reads together: its logits over all of its vocabulary are in memory."""


def write_networks(
    archive: Archive, words: Integer[ndarray, "sequence position"], networks, sites: list[str]
) -> Iterator[str]:
    """Write the tokens, the states at each site and the predictions of networks; the name of each that is written.

    ``networks`` are pairs: what stands before the names of the arrays, and chunks of sequences as `recorded` gives.
    """
    tokens = archive.add_array(TOKENS, ("sequence", "position"), words.shape, np.int32, words.shape)
    archive.write_chunk(tokens, (0, 0), words.astype(np.int32))
    for before, chunks in networks:
        arrays = []
        for place, states, predicted in chunks:
            found = [*states, predicted]
            if not arrays:
                n_rows, n_positions = len(predicted), words.shape[1]
                for name, values in zip([*sites, PREDICTIONS], found, strict=True):
                    shape, chunk = (*words.shape, values.shape[2]), (n_rows, n_positions, values.shape[2])
                    dims = ("sequence", "position", "token" if name == PREDICTIONS else "feature")
                    arrays.append(archive.add_array(before + name, dims, shape, np.float32, chunk))
            for array, values in zip(arrays, found, strict=True):
                archive.write_chunk(array, (place.start // n_rows, 0, 0), values.numpy())
        yield before or "pretrained"


if __name__ == "__main__":
    with Job(snakemake) as job:
        params, task = snakemake.params, task_of(snakemake.params.task)
        own, files = params.language, language_model_files(params.language["folder"])
        ids = own["token_ids"] or token_ids(files, own["tokens"])
        device = select_device(params.device, snakemake.threads)
        rng = np.random.default_rng([params.tree_seed, params.seed])
        words = sample_process(task.process, own["sequences"], task.context, rng)
        layers = [files.sites.index(site) for site in params.sites]
        at_once = max(1, TOKENS_AT_ONCE // task.context)
        networks = (
            (before, recorded(load(files, device, seed), words, ids, own["bos"], layers, at_once, own["normalized"]))
            for before, seed in ((RANDOM, params.seed), ("", None))
        )
        job.info(f"{own['folder']}: {files.n_layers} layers of {files.d_model}, tokens {ids}")
        with zarr_archive(snakemake.output.recording) as archive:
            archive.group.create_group(RANDOM.rstrip("/"))
            for name in write_networks(archive, words, networks, list(params.sites)):
                job.info(f"{name}: {words.size} tokens read on {describe_device(device)}")
