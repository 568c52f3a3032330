"""Counts of prefixes are those of the trees that they stand for."""

import numpy as np
import pytest

from geometry.config.sizes import n_in_tree
from geometry.processes import prefix_counts
from geometry.processes.belief_states import complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.prefix_counts import count_prefixes, count_sequences
from geometry.tasks.ground_truth import markov_ground_truth

ALTERNATING = {"transition_tensor": [[[0, 1], [0, 0]], [[0, 0], [1, 0]]], "initial_state": [1, 0]}
PROCESSES = {
    **{name: {} for name in ("z1r", "zrr", "rrxor", "even", "golden_mean", "checksum")},
    "mess3": {"x": 0.05, "alpha": 0.85},
    "mixture": {"components": [{"process": "even"}, {"process": "golden_mean"}]},
    "product": {"factors": [{"process": "z1r"}, {"process": "golden_mean"}]},
    "custom": ALTERNATING,
}


def lengths_of(process, context):
    return np.bincount(complete_tree(process, context, 10**6).length)[1:].tolist()


@pytest.mark.parametrize("name", PROCESSES)
def test_prefixes_are_counted_as_the_tree_has_them(name):
    process = process_from_config(name, PROCESSES[name])
    every = lengths_of(process, 6)
    assert count_prefixes(process, 6, 10**9) == tuple(every)
    limit = max(1, every[-1] // 2)
    assert count_prefixes(process, 6, limit) == tuple(min(limit, n) for n in every)


def test_negative_numbers_and_too_many_sets_give_all_sequences(monkeypatch):
    assert count_prefixes(process_from_config("bloch_walk", {}), 3, 100) == count_sequences(4, 3, 100) == (4, 16, 64)
    rrxor = process_from_config("rrxor", {})
    monkeypatch.setattr(prefix_counts, "MOST_NUMBERS", 25)  # two sets of five states, followed by two tokens
    bounds = count_prefixes.__wrapped__(rrxor, 8, 10**6)
    assert all(bound >= n for bound, n in zip(bounds, lengths_of(rrxor, 8), strict=True))
    assert bounds[-1] == 2**8


@pytest.mark.parametrize(("name", "max_prefixes"), [("z1r", 10**4), ("mess3", 10**4), ("mess3", 500), ("rrxor", 500)])
def test_tree_has_no_more_prefixes_than_are_counted(name, max_prefixes):
    process, context = process_from_config(name, PROCESSES[name]), 8
    truth = markov_ground_truth(process, context, max_prefixes, seed=0)
    n_complete = int((truth["length"] <= truth.attrs["complete_length"]).sum())
    n_prefixes, bound = n_in_tree(count_prefixes(process, context, max_prefixes), max_prefixes)
    assert truth.sizes["prefix"] <= n_prefixes <= max_prefixes and n_complete <= bound
    if truth.attrs["complete"]:
        assert n_prefixes == bound == truth.sizes["prefix"]
