"""Activations of all sites for all words of ten tokens, beside TransformerLens's cache."""

import sys

import numpy as np
import torch

from geometry.networks.build import build_network
from geometry.networks.extraction import tree_activations
from geometry.networks.hook_points import PREFIXES_AT_ONCE
from geometry.networks.transformer import Transformer
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from timing import CONTEXT, MESS3, PUBLISHED_MODEL, SITES, Peer, alternate, report, seconds

ROUNDS = 5
BATCHES = [1024, 8192]


def extract(network: Transformer, tree) -> None:
    kept = np.empty((len(SITES), len(tree), PUBLISHED_MODEL["d_model"]), np.float32)
    for chunk, record, _ in tree_activations(network, *tree.network_input(None), SITES, PREFIXES_AT_ONCE, False):
        for place, site in enumerate(SITES):
            kept[place, chunk] = record[site].numpy()


if __name__ == "__main__":
    torch.set_num_threads(1)
    process, peer = process_from_config("mess3", MESS3), Peer()
    network = build_network(3, CONTEXT, PUBLISHED_MODEL)
    network.initialize(torch.Generator().manual_seed(0))
    tree = complete_tree(process, CONTEXT, 10**6)
    peers = {f"transformer_lens, {batch} words at once": batch for batch in BATCHES}
    found = alternate(
        {
            "study": lambda: seconds(lambda: extract(network, tree)),
            **{name: lambda batch=batch: peer(task="extract", batch=batch) for name, batch in peers.items()},
        },
        ROUNDS,
    )
    report(
        [{"what": name, "seconds": value, "speedup": value / found["study"]} for name, value in found.items()],
        sys.argv[1],
    )
