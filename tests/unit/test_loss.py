"""What the losses of a network show to be wrong: worse than who knows less, one position out of line, little learnt."""

import numpy as np
import pytest
import xarray as xr
from run_datasets import snapshots

from configuration import ANALYSIS
from geometry.processes.catalog import process_from_config
from geometry.processes.process import build_process
from geometry.tasks.ground_truth import markov_ground_truth
from geometry.tasks.loss import loss_table, network_cautions

MESS3 = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})


def losses(process, log_probability_of, context=5):
    """The losses of what is made of optimal predictions, lengths and last tokens of the prefixes."""
    truth = markov_ground_truth(process, context, 10**4, seed=0)
    optimal = truth["next_token_probability"].values
    said = log_probability_of(optimal, truth["length"].values, truth["last_token"].values)
    log_probability = ("snapshot", "prefix", "token"), said[None]
    return loss_table(truth, xr.Dataset({"log_probability": log_probability}, snapshots(1, seeds=[4])))


def cautions(process, log_probability_of, is_pretrained=False):
    return network_cautions(losses(process, log_probability_of), is_pretrained, ANALYSIS["loss"])


def softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def noise(size, like):
    return size * np.random.default_rng(0).normal(size=like.shape)


def nearly_optimal(optimal, length, last_token):
    return softmax(np.log(np.maximum(optimal, 1e-6)) + noise(0.05, optimal))


@pytest.mark.parametrize(
    "process",
    [
        *(MESS3, process_from_config("rrxor", {}), process_from_config("z1r", {}), process_from_config("even", {})),
        build_process("fair", [[[0.5, 0], [0, 0.5]], [[0, 0.5], [0.5, 0]]]),
    ],
    ids=lambda process: process.name,
)
def test_nothing_is_wrong_with_a_network_that_has_learnt(process):
    assert cautions(process, nearly_optimal, is_pretrained=True) == ""


def test_losses_of_who_knows_less_are_known():
    table = losses(process_from_config("z1r", {"p": 0.25}), nearly_optimal)
    np.testing.assert_allclose(table["uniform_loss_nats"], np.log(2))
    share = (1 + 1 - 0.25) / 3  # of ones: the second of three tokens, and three quarters of the third
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    np.testing.assert_allclose(table["unigram_loss_nats"].mean(), entropy)


def test_network_worse_than_uniform_is_told():
    said = cautions(MESS3, lambda optimal, *_: softmax(noise(2, optimal)), is_pretrained=True)
    assert said.startswith("seed 4: positions 1 to 5 predict worse than uniform (")
    assert "it has reached 0% of what can be predicted beyond token frequencies; its model.activation" in said


def test_positions_that_follow_one_another_are_told_as_a_range():
    def ignorant(optimal, length, _):
        there = np.isin(length, (1, 3, 4))[:, None]
        return np.where(there, softmax(noise(2, optimal)), np.log(optimal))

    said = cautions(MESS3, ignorant)
    assert said.startswith("seed 4: positions 1, 3, 4 predict worse than uniform (")


def test_last_position_that_was_never_trained_is_told():
    def untrained_last(optimal, length, last_token):
        return np.where(length[:, None] == 5, softmax(noise(2, optimal)), nearly_optimal(optimal, length, last_token))

    said = cautions(MESS3, untrained_last, is_pretrained=True)
    assert said.startswith("seed 4: position 5 predicts worse than uniform (")
    assert "position 5 predicts far worse" in said and "never trained" in said

    def ignorant_last(optimal, length, last_token):
        return np.where(length[:, None] == 5, -np.log(3), nearly_optimal(optimal, length, last_token))

    said = cautions(MESS3, ignorant_last)
    assert said.startswith("seed 4: position 5 predicts far worse than others (1.099 nats against an optimum of 0.7")


def test_network_that_knows_token_frequencies_alone_has_reached_nothing():
    process = process_from_config("z1r", {"p": 0.25})
    said = cautions(process, lambda optimal, *_: np.full_like(optimal, -np.log(2)))
    assert "worse than unigram" in said and "worse than uniform" not in said
    assert said.endswith("it has reached 0% of what can be predicted beyond token frequencies")
