"""Sequences a second in training beside TransformerLens, and the share of the time that matrix products take alone."""

import sys
import time
from functools import partial

import numpy as np
import torch

from geometry.networks.build import build_network
from geometry.processes.catalog import process_from_config
from geometry.processes.sampling import sample_process
from geometry.training.batches import packed_batch
from geometry.training.cpu_gradient import tiles
from geometry.training.engines import gradient_engine
from geometry.training.train import Recipe, TrainingRun, train
from timing import MESS3, MODELS, Peer, alternate, report, seconds

ROUNDS = 7
STEPS = {"published": {64: 60, 256: 24, 1024: 8, 4096: 3}, "wide": {64: 16, 1024: 3}}
"""Steps by model and sequences in a batch."""


def new_run(model: dict, context: int) -> TrainingRun:
    network = build_network(3, context, model)
    network.initialize(torch.Generator().manual_seed(0))
    return TrainingRun(network, Recipe("sampled", "sgd", 0.01, 0.0, "constant", 0.0, sys.maxsize))


def step_seconds(run: TrainingRun, process, sequences: np.ndarray) -> float:
    """Seconds a step from sequences to updated weights, packing included."""
    batches = (packed_batch(batch, process, False, "sampled", False) for batch in sequences)
    engine = gradient_engine(run.model, run.vector, "packed")
    return seconds(lambda: train(run, engine, batches, [], set(), lambda run: None)) / len(sequences)


def products_of_tile(model: dict, n_nodes: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The matrix products of one block on so many nodes, there and back, as (left, right, result)."""
    d_model, d_mlp, width = model["d_model"], model["d_mlp"], model["n_heads"] * model["d_head"]
    rng, found = np.random.default_rng(0), []
    for inner, outer in ((d_model, 3 * width), (width, d_model), (d_model, d_mlp), (d_mlp, d_model)):
        x, weight, gradient = (
            rng.normal(size=size).astype(np.float32) for size in ((n_nodes, inner), (inner, outer), (n_nodes, outer))
        )
        found += [(x, weight, gradient.copy()), (gradient, weight.T, x.copy()), (x.T, gradient, weight.copy())]
    return found


def products(model: dict, n_nodes: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """All products of one block, tile by tile."""
    return [factors for tile in tiles(n_nodes) for factors in products_of_tile(model, tile.stop - tile.start)]


def product_seconds(factors, n_layers: int, steps: int) -> float:
    """Seconds a step for these products in every block."""
    begin = time.perf_counter()
    for _ in range(n_layers * steps):
        for left, right, result in factors:
            np.dot(left, right, out=result)
    return (time.perf_counter() - begin) / steps


def measure(peer: Peer, name: str, batch: int, steps: int) -> dict:
    (model, context), process = MODELS[name], process_from_config("mess3", MESS3)
    run, rng = new_run(model, context), np.random.default_rng(0)
    sequences = sample_process(process, steps * batch, context + 1, rng).reshape(steps, batch, -1)
    n_nodes = round(np.mean([len(packed_batch(one, process, False, "sampled", False).tokens) for one in sequences]))
    factors = products(model, n_nodes)
    found = alternate(
        {
            "study": lambda: step_seconds(run, process, sequences),
            "transformer_lens": partial(peer, task="train", model=name, batch=batch, steps=max(3, steps // 4)),
            "products": lambda: product_seconds(factors, model["n_layers"], steps),
        },
        ROUNDS,
    )
    operations = model["n_layers"] * sum(
        2 * left.shape[0] * left.shape[1] * right.shape[1] for left, right, _ in factors
    )
    return {
        "model": name,
        "batch_sequences": batch,
        "distinct_prefixes": n_nodes,
        "step_ms": found["study"] * 1e3,
        "transformer_lens_step_ms": found["transformer_lens"] * 1e3,
        "sequences_per_second": batch / found["study"],
        "speedup": found["transformer_lens"] / found["study"],
        "gflops": operations / found["study"] / 1e9,
        "products_gflops": operations / found["products"] / 1e9,
        "share_of_products_rate": found["products"] / found["study"],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    peer = Peer()
    tried = [(name, batch, n_steps) for name, of in STEPS.items() for batch, n_steps in of.items()]
    report([measure(peer, *one) for one in tried], sys.argv[1])
