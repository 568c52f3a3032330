"""The examples of docs/reading_results.md: what they say of a ground truth is so."""

import itertools
import re
from pathlib import Path

import pytest
from test_ground_truth import random_process

from geometry.processes.catalog import process_from_config
from geometry.storage import open_dataset, write_dataset
from geometry.tasks.ground_truth import markov_ground_truth, modular_ground_truth
from geometry.tasks.task import modular_of

TEXT = (Path(__file__).parents[2] / "docs/reading_results.md").read_text(encoding="utf-8")
FUNCTIONS, EXAMPLE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def with_words():
    names = {}
    exec(FUNCTIONS, names)
    return names["with_words"]


def in_file(truth, folder):
    """A ground truth as it is read from its archive."""
    write_dataset(truth, folder / "truth.zarr.zip")
    return open_dataset(folder / "truth.zarr.zip")


def test_words_of_a_complete_tree_are_all_words_in_order(with_words, tmp_path):
    process = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
    truth = with_words(in_file(markov_ground_truth(process, 4, 10**6, 0), tmp_path))
    every = [" ".join(word) for n in range(1, 5) for word in itertools.product("012", repeat=n)]
    assert truth["word"].values.tolist() == every and every[100] == "2 0 2 1"
    assert [truth.indexes["word"].get_loc(word) for word in every] == list(range(len(every)))


def test_words_of_a_sampled_tree_have_the_probability_that_it_tells(with_words, tmp_path):
    process = random_process(3)
    truth = with_words(in_file(markov_ground_truth(process, 9, 200, 0), tmp_path))
    for word, probability in zip(truth["word"].values, truth["probability"].values, strict=True):
        state = process.initial_state
        for token in word.split():
            state = state @ process.transition_tensor[process.token_names.index(token)]
        assert state @ process.readout == pytest.approx(probability)


def test_words_of_modular_arithmetic_are_its_questions(with_words, tmp_path):
    task = {"process": "modular_arithmetic", "context": 3}
    task |= {"parameters": {"modulus": 5, "operation": "addition", "train_fraction": 0.5, "split_seed": 0}}
    truth = with_words(in_file(modular_ground_truth(modular_of(task)), tmp_path))
    scored_positions = truth.isel(prefix=truth["weight"].values > 0)
    assert scored_positions["word"].values.tolist() == [f"{a} {b} =" for a in range(5) for b in range(5)]
    assert scored_positions["answer"].values.tolist() == [(a + b) % 5 for a in range(5) for b in range(5)]
