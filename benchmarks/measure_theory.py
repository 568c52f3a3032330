"""Ground truth and sampling beside the loops in Python that one would write first."""

import sys

import numpy as np

from geometry.prefixes import belief_states, complete_tree, sample_words
from geometry.process import Process
from geometry.processes import process_from_config
from timing import CONTEXT, MESS3, alternate, report, seconds

ROUNDS = 3
WORDS = 100_000
WORDS_BY_LOOP = 500


def grow(process: Process, belief: np.ndarray, probability: float, depth: int, found: list) -> None:
    """Every prefix below a node, one node after another."""
    for token in range(process.n_tokens) if depth else ():
        image = belief @ process.transition_tensor[token]
        conditional = image @ process.readout
        if conditional > 0:
            found.append((image / conditional, probability * conditional))
            grow(process, image / conditional, probability * conditional, depth - 1, found)


def sample(process: Process, n_words: int, length: int) -> None:
    """Words token by token, by the hidden state."""
    outcomes = process.n_tokens * process.n_states
    for _ in range(n_words):
        state = np.random.choice(process.n_states, p=process.initial_state)  # noqa: NPY002
        for _ in range(length):
            law = process.transition_tensor[:, state].ravel()
            state = np.random.choice(outcomes, p=law) % process.n_states  # noqa: NPY002


if __name__ == "__main__":
    process, rng = process_from_config("mess3", MESS3), np.random.default_rng(0)
    found = alternate(
        {
            "tree": lambda: seconds(lambda: belief_states(process, complete_tree(process, CONTEXT, 10**6))),
            "tree by loop": lambda: seconds(lambda: grow(process, process.initial_state, 1.0, CONTEXT, [])),
            "words": lambda: seconds(lambda: sample_words(process, WORDS, CONTEXT + 1, rng)) / WORDS,
            "words by loop": lambda: seconds(lambda: sample(process, WORDS_BY_LOOP, CONTEXT + 1)) / WORDS_BY_LOOP,
        },
        ROUNDS,
    )
    rows = [
        {"what": what, "seconds": found[name], "by_loop": found[f"{name} by loop"]}
        for what, name in (("ground truth of mess3 to 10 tokens", "tree"), ("one word of 11 tokens", "words"))
    ]
    report([{**row, "speedup": row["by_loop"] / row["seconds"]} for row in rows], sys.argv[1])
