"""A recording of the network in tests/data/mess3.safetensors: tests/data/activations.safetensors, in float16.

    .venv/bin/python tests/make_activations.py

So somebody saves activations who has a network and sequences; its sites have the names of layers. Beside them are
those of a network of the same shape with random weights.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

from geometry.networks.build import build_network, initial_parameters  # noqa: E402
from geometry.networks.checkpoint_file import network_parameters, read  # noqa: E402
from geometry.networks.extraction import tree_activations  # noqa: E402
from geometry.processes.prefix_tree import tree_of_sequences  # noqa: E402
from geometry.processes.sampling import sample_process  # noqa: E402
from geometry.tasks.task import process_of  # noqa: E402

N_SEQUENCES, CONTEXT = 120, 8
MODEL = {"architecture": "transformer", "n_layers": 2, "n_heads": 2, "d_model": 16, "d_head": 8, "d_mlp": 32}
MODEL |= {"activation": "gelu", "normalization": "LN", "biases": "all", "bos": False}
SITES = {
    "layers.0": "blocks.0.hook_resid_pre",
    "layers.1": "blocks.0.hook_resid_post",
    "layers.2": "blocks.1.hook_resid_post",
}


def recorded(network, tree, nodes):
    """The arrays of one network: its sites, and its predictions."""
    ((_, record, logits),) = tree_activations(network, *tree.network_input(None), [*SITES.values()], len(tree), 0)
    found = {name: record[site] for name, site in SITES.items()} | {"log_probability": logits.log_softmax(1)}
    return {name: values.numpy()[nodes].astype(np.float16) for name, values in found.items()}


if __name__ == "__main__":
    process = process_of({"process": "mess3", "parameters": {"x": 0.05, "alpha": 0.85}, "context": CONTEXT})
    sequences = sample_process(process, N_SEQUENCES, CONTEXT, np.random.default_rng(0))
    tree, nodes = tree_of_sequences(sequences)
    network = build_network(process.n_tokens, CONTEXT, MODEL)
    arrays = {"tokens": sequences.astype(np.int8)}
    initial_parameters(network, 0)
    arrays |= {f"random_init/{name}": values for name, values in recorded(network, tree, nodes).items()}
    network.set_parameters(network_parameters(read(ROOT / "tests/data/mess3.safetensors"), CONTEXT, "LN"))
    save_file(arrays | recorded(network, tree, nodes), ROOT / "tests/data/activations.safetensors")
