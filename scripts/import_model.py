"""A pretrained network in the place of one that is trained here; its initialisation is unknown.

The first snapshot is a new random network of the same shape, the second the pretrained one.
"""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geometry.networks.build import build_network, initial_parameters
from geometry.networks.checkpoint_file import network_parameters, read
from geometry.networks.extraction import log_probabilities
from geometry.networks.origins import PRETRAINED, RANDOM_INIT, origin_codes
from geometry.processes.prefix_tree import scored_positions, tree_of
from geometry.provenance.job import Job
from geometry.storage import open_dataset, write_tensors
from geometry.tasks.loss import loss_table, network_cautions
from geometry.tasks.task import task_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

STEPS = np.array([0, 1])
"""The steps of the random and the pretrained network; how many the latter took is not known."""


if __name__ == "__main__":
    with Job(snakemake) as job:
        params = snakemake.params
        n_tokens, context = task_of(params.task).n_tokens, params.task["context"]
        network = build_network(n_tokens, context, params.model)
        config = network.config
        weights = read(snakemake.input.checkpoint, params.format, params.model.get("n_heads"))
        trained = network_parameters(weights, config.n_ctx, config.normalization)
        initial = initial_parameters(network, params.seed)
        stacks = {name: np.stack([initial[name], trained[name]]) for name in initial}
        write_tensors(trained, snakemake.output.model)
        axis = {"step": STEPS, "seed": np.full_like(STEPS, params.seed)}
        axis["origin"] = origin_codes([RANDOM_INIT, PRETRAINED])
        write_tensors(stacks | axis, snakemake.output.snapshots)
        n_numbers = sum(values.size for values in trained.values())
        job.info(f"{n_numbers} parameters; taken to have {config.activation} and normalization {config.normalization}")
        network.set_parameters(trained)
        with open_dataset(snakemake.input.ground_truth) as truth:
            where = scored_positions(truth)
            predicted = log_probabilities(network, tree_of(truth), n_tokens, params.model["bos"])[where]
            network_axis = {"step": STEPS[1:], "seed": [params.seed], "origin": [PRETRAINED]}
            outcome = xr.Dataset(
                {"log_probability": (("snapshot", "prefix", "token"), predicted.numpy()[None])},
                {name: ("snapshot", values) for name, values in network_axis.items()}
                | {"prefix": np.arange(truth.sizes["prefix"])[where]},
            )
            loss = loss_table(truth, outcome)
        mean = loss.mean(numeric_only=True)
        job.info(f"loss {mean['loss_nats']:.6f}, optimum {mean['optimal_loss_nats']:.6f} nats")
        if caution := network_cautions(loss, is_pretrained=True, limits=params.loss):
            job.info(f"CAUTION: {caution}")
