"""Ground truth and sampling beside the loops in Python that one would write first."""

import sys

import numpy as np

from geometry.processes.belief_states import complete_tree_with_beliefs
from geometry.processes.catalog import process_from_config
from geometry.processes.process import Process
from geometry.processes.sampling import sample_process
from timing import CONTEXT, MESS3, alternate, report, seconds

ROUNDS = 3
SEQUENCES = 100_000
BY_LOOP = 500


class Node:
    """One prefix of a tree that is grown node by node, with the same that the study's ground truth tells of it."""

    def __init__(self, maps, emission, prefix: tuple[int, ...], belief: np.ndarray, probability: float, depth: int):
        self.prefix, self.belief, self.probability = prefix, belief, probability
        self.next_token_probability = belief @ emission
        self.children = []
        for token in range(len(maps)) if depth else ():
            image = belief @ maps[token]
            conditional = image.sum()
            if conditional > 0:
                state = image / conditional, probability * conditional, depth - 1
                child = Node(maps, emission, (*prefix, token), *state)
                self.children.append(child)


def ground_truth(process: Process) -> np.ndarray:
    _, belief, _ = complete_tree_with_beliefs(process, CONTEXT, 10**6)
    return process.next_token_probability(belief)


def sample(process: Process, n_sequences: int, length: int) -> None:
    """Sequences token by token, by the hidden state."""
    outcomes = process.n_tokens * process.n_states
    for _ in range(n_sequences):
        state = np.random.choice(process.n_states, p=process.initial_state)  # noqa: NPY002
        for _ in range(length):
            law = process.transition_tensor[:, state].ravel()
            state = np.random.choice(outcomes, p=law) % process.n_states  # noqa: NPY002


if __name__ == "__main__":
    process, rng = process_from_config("mess3", MESS3), np.random.default_rng(0)
    maps = process.transition_tensor, process.emission_matrix
    found = alternate(
        {
            "tree": lambda: seconds(lambda: ground_truth(process)),
            "tree by loop": lambda: seconds(lambda: Node(*maps, (), process.initial_state, 1.0, CONTEXT)),
            "sequences": lambda: seconds(lambda: sample_process(process, SEQUENCES, CONTEXT + 1, rng)) / SEQUENCES,
            "sequences by loop": lambda: seconds(lambda: sample(process, BY_LOOP, CONTEXT + 1)) / BY_LOOP,
        },
        ROUNDS,
    )
    rows = [
        {"what": what, "seconds": found[name], "by_loop": found[f"{name} by loop"]}
        for what, name in (("ground truth of mess3 to 10 tokens", "tree"), ("one sequence of 11 tokens", "sequences"))
    ]
    report([{**row, "speedup": row["by_loop"] / row["seconds"]} for row in rows], sys.argv[1])
