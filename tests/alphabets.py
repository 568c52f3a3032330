"""Processes of as many tokens as are asked for, and a tiny study of them.

    .venv/bin/python tests/alphabets.py 64 > /tmp/alphabet.yaml
    .venv/bin/snakemake --cores 1 --directory /tmp/alphabet --configfile /tmp/alphabet.yaml

Or of several, each with its number of states and its context: 64 1000:2:3
"""

import sys

import numpy as np
import yaml


def random_tensor(n_tokens: int, n_states: int = 2, n_alike: int = 2) -> np.ndarray:
    """The transition tensor of a random chain with random emissions; its first tokens are emitted all alike."""
    rng = np.random.default_rng([n_tokens, n_states])
    move = rng.dirichlet(np.ones(n_states), size=n_states)
    emit = rng.dirichlet(np.full(n_tokens, 0.5), size=n_states)
    emit[:, :n_alike] = emit[:, :n_alike].mean(axis=1, keepdims=True)
    return emit.T[:, :, None] * move


def experiment(n_tokens: int, n_states: int = 2, context: int = 3) -> dict:
    """The task of such a process."""
    tensor = random_tensor(n_tokens, n_states).tolist()
    return {"task": {"process": "custom", "parameters": {"transition_tensor": tensor}, "context": context}}


def study(*shapes: tuple[int, ...]) -> dict:
    """A configuration: an experiment for each number of tokens, states and length of context."""
    experiments = {f"tokens_{shape[0]}": experiment(*shape) for shape in shapes}
    return {
        "seeds": [1],
        "tree": {"max_prefixes": 20000},
        "figures": {"dpi": 60, "max_points": 500, "explainer": None},
        "defaults": {
            "model": {"n_layers": 2, "d_model": 32, "d_mlp": 64},
            "training": {"steps": 30, "batch_size": 64, "snapshots": 3, "log_rows": 5},
        },
        "experiments": experiments,
        "only": list(experiments),
    }


if __name__ == "__main__":
    yaml.safe_dump(study(*(tuple(map(int, shape.split(":"))) for shape in sys.argv[1:])), sys.stdout, sort_keys=False)
