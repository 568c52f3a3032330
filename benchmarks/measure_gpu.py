"""A training step and extraction on the GPU beside one core of the CPU, and by how much their numbers differ.

Milliseconds for the losses and gradients of some networks (each on its own sequences, already packed), on the GPU with
and without a captured graph, and for the activations of all sites. A difference is the largest one over the largest
value on the CPU, the median over networks; the time of one core is that of one network times their number. Needs a CUDA
device and no peers:

    PYTHONPATH=scripts .venv/bin/python benchmarks/measure_gpu.py benchmarks/results/gpu.csv
"""

import sys
from collections.abc import Callable

import numpy as np
import torch

from geometry.networks.build import build_network
from geometry.networks.devices import describe_device, select_device
from geometry.networks.extraction import tree_activations
from geometry.networks.hook_points import PREFIXES_AT_ONCE
from geometry.networks.transformer import Transformer
from geometry.processes.catalog import process_from_config
from geometry.processes.sampling import sample_process, sampled_tree
from geometry.training.batches import packed_batch
from geometry.training.cpu_gradient import TreeGradient
from geometry.training.engines import flattened
from geometry.training.gpu_gradient import EnsembleGradient
from timing import MESS3, MODELS, SITES, alternate, report, seconds

ROUNDS, TIMES = 5, 4
NETWORKS, BATCHES = (1, 32), (64, 1024)
PROCESS = process_from_config("mess3", MESS3)
SAMPLED = 200_000
"""Tokens of the sample on whose prefixes activations are read."""


def new_network(name: str, seed: int = 1) -> Transformer:
    """At seed 0, not used, a rectified unit of the published shape is zero up to rounding, where gradients jump."""
    model, context = MODELS[name]
    network = build_network(PROCESS.n_tokens, context, model)
    network.initialize(torch.Generator().manual_seed(seed))
    return network


def timed(function: Callable[[], object], times: int) -> Callable[[], float]:
    """A function that gives milliseconds of one call, all work of the GPU included."""

    def repeated():
        for _ in range(times):
            function()
        torch.cuda.synchronize()

    return lambda: seconds(repeated) / times * 1e3


def difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Of tensors whose first axis is the network."""
    shift, scale = (values.flatten(1).abs().max(1).values for values in (found.cpu() - wanted, wanted))
    return float((shift / scale).median())


def measure_step(name: str, n_networks: int, n_sequences: int, device: torch.device) -> dict:
    """Losses and gradients of some networks."""
    networks = [new_network(name, seed) for seed in range(1, n_networks + 1)]
    words = sample_process(PROCESS, n_networks * n_sequences, MODELS[name][1] + 1, np.random.default_rng(0))
    words = words.reshape(n_networks, n_sequences, -1)
    batches = [packed_batch(own, PROCESS, False, "sampled", False) for own in words]
    vectors = torch.stack([flattened(one.parameters()) for one in networks]).detach().to(device)
    on_gpu, on_cpu = EnsembleGradient(new_network(name).to(device)), [TreeGradient(one) for one in networks]
    nodes = [(batch.tokens, batch.parent, batch.position, batch.target) for batch in batches]
    inputs = [tensor.to(device) for tensor in on_gpu.inputs(vectors, batches)]

    gradient = on_gpu(vectors, batches)[2].clone()
    wanted = torch.from_numpy(np.stack([own(*of)[2] for own, of in zip(on_cpu, nodes, strict=True)]))
    found = alternate(
        {
            "gpu_ms": timed(lambda: on_gpu(vectors, batches), TIMES),
            "not_captured_ms": timed(lambda: on_gpu.evaluate(vectors, *inputs), TIMES),
            "one_core_ms": lambda: n_networks * timed(lambda: on_cpu[0](*nodes[0]), 1)(),
        },
        ROUNDS,
    )
    size = {"networks": n_networks, "sequences": n_sequences, "distinct_prefixes": len(batches[0].tokens)}
    return {"model": name, "what": "gradient", **size, **found, "difference": difference(gradient, wanted)}


def measure_extraction(name: str, device: torch.device) -> dict:
    """Activations of all sites, copied to the memory of the CPU."""
    tree, _ = sampled_tree(PROCESS, MODELS[name][1], SAMPLED, np.random.default_rng(0))

    def read(network: Transformer) -> torch.Tensor:
        chunks = tree_activations(network, *tree.network_input(None), SITES, PREFIXES_AT_ONCE, 0)
        return torch.cat([torch.stack([record[site] for site in SITES]).cpu() for _, record, _ in chunks], dim=1)

    on_cpu, on_gpu = new_network(name), new_network(name).to(device)
    found = alternate({"gpu_ms": timed(lambda: read(on_gpu), 1), "one_core_ms": timed(lambda: read(on_cpu), 1)}, ROUNDS)
    size = {"networks": 1, "sequences": SAMPLED // MODELS[name][1], "distinct_prefixes": len(tree)}
    found["difference"] = difference(read(on_gpu)[None], read(on_cpu)[None])
    return {"model": name, "what": "activations", **size, **found}


if __name__ == "__main__":
    device = select_device("cuda", 1)
    rows = [measure_step(name, n, size, device) for name in MODELS for size in BATCHES for n in NETWORKS]
    rows += [measure_extraction(name, device) for name in MODELS]
    print(f"{describe_device(device)}, PyTorch {torch.__version__}")
    report([row | {"speedup": row["one_core_ms"] / row["gpu_ms"]} for row in rows], sys.argv[1])
