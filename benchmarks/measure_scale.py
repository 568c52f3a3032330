"""What a training step costs as the task and the network grow, in a tree of prefixes and with dense sequences.

The column `share` is that of distinct prefixes among the positions of the sequences, by which a study chooses.
"""

import sys
from functools import partial

import numpy as np
import torch

from geometry.networks.build import build_network
from geometry.processes.catalog import process_from_config
from geometry.processes.process import Process, build_process
from geometry.processes.sampling import sample_process
from geometry.training.batches import dense_batch, packed_batch
from geometry.training.engines import gradient_engine
from geometry.training.train import Recipe, TrainingRun, train
from timing import CONTEXT, MESS3, PUBLISHED_MODEL, alternate, report, seconds

ROUNDS = 3
STEPS = 2
SEQUENCES = 512


def random_process(n_tokens: int, n_states: int = 3) -> Process:
    """A process without structure whose tokens are all about as probable."""
    joint = np.random.default_rng(n_tokens).dirichlet(np.full(n_tokens * n_states, 5.0), n_states)
    return build_process("random", joint.reshape(n_states, n_tokens, n_states).transpose(1, 0, 2))


def measure(what: str, value: int, process: Process, context: int = CONTEXT, d_model: int = PUBLISHED_MODEL["d_model"]):
    """Seconds a step in both forms, on the same sequences."""
    drawn = sample_process(process, STEPS * SEQUENCES, context + 1, np.random.default_rng(0))
    sequences = drawn.reshape(STEPS, SEQUENCES, -1)
    model = {**PUBLISHED_MODEL, "d_model": d_model, "d_mlp": 4 * d_model}

    def step(form) -> float:
        network = build_network(process.n_tokens, context, model)
        network.initialize(torch.Generator().manual_seed(0))
        run = TrainingRun(network, Recipe("sampled", "sgd", 0.01, 0.0, "constant", 0.0, sys.maxsize))
        kind = "packed" if form is packed_batch else "dense"
        engine = gradient_engine(network, run.vector, kind)
        batches = (form(batch, process, False, "sampled", False) for batch in sequences)
        return seconds(lambda: train(run, engine, batches, [], set(), lambda run: None)) / STEPS

    found = alternate({form.__name__: partial(step, form) for form in (packed_batch, dense_batch)}, ROUNDS)
    n_nodes = len(packed_batch(sequences[0], process, False, "sampled", False).tokens)
    times = {"tree_ms": found["packed_batch"] * 1e3, "dense_ms": found["dense_batch"] * 1e3}
    share = n_nodes / sequences[0, :, 1:].size
    return {"what": what, "value": value, "prefixes": n_nodes, "share": share, **times}


if __name__ == "__main__":
    torch.set_num_threads(1)
    mess3 = process_from_config("mess3", MESS3)
    rows = [measure("context", n, mess3, context=n) for n in (5, 10, 20, 40, 80, 160)]
    rows += [measure("vocabulary", n, random_process(n)) for n in (2, 3, 5, 10, 30, 100, 1000)]
    rows += [measure("d_model", n, mess3, d_model=n) for n in (32, 64, 128, 256, 512)]
    report(rows, sys.argv[1])
