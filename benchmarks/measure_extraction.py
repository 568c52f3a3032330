"""Activations of all sites beside TransformerLens's cache: of all sequences of ten tokens, and of a sample."""

import sys

import numpy as np
import torch

from geometry.networks.build import build_network
from geometry.networks.extraction import tree_activations
from geometry.networks.hook_points import PREFIXES_AT_ONCE
from geometry.networks.transformer import Transformer
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.prefix_tree import PrefixTree
from geometry.processes.sampling import sampled_tree
from timing import MESS3, MODELS, SITES, Peer, alternate, report, seconds

ROUNDS = 5
BATCHES = [1024, 8192]
SAMPLED = 20_000
"""Sequences of the model for which all are too many."""


def extract(network: Transformer, tree: PrefixTree, d_model: int) -> None:
    kept = np.empty((len(SITES), len(tree), d_model), np.float32)
    for chunk, record, _ in tree_activations(network, *tree.network_input(None), SITES, PREFIXES_AT_ONCE, False):
        for place, site in enumerate(SITES):
            kept[place, chunk] = record[site].numpy()


def measure(peer: Peer, name: str) -> list[dict]:
    (model, context), process = MODELS[name], process_from_config("mess3", MESS3)
    network = build_network(process.n_tokens, context, model)
    network.initialize(torch.Generator().manual_seed(0))
    tree, n_sequences = complete_tree(process, context, 10**6), process.n_tokens**context
    if tree is None:
        n_sequences = SAMPLED
        tree, _ = sampled_tree(process, context, SAMPLED * context, np.random.default_rng(0))
    question = {"task": "extract", "model": name, "n_sequences": n_sequences}
    found = alternate(
        {
            "study": lambda: seconds(lambda: extract(network, tree, model["d_model"])),
            **{f"transformer_lens, {n} at once": lambda n=n: peer(**question, batch=n) for n in BATCHES},
        },
        ROUNDS,
    )
    size = {"model": name, "sequences": n_sequences, "distinct_prefixes": len(tree)}
    return [size | {"what": what, "seconds": value, "speedup": value / found["study"]} for what, value in found.items()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    peer = Peer()
    report([row for name in MODELS for row in measure(peer, name)], sys.argv[1])
