"""Causal states, excess entropy and forbidden sequences, against closed forms and definitions written out."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import reference_process

from describe_process import card
from geometry.claims.markup import as_markdown
from geometry.processes.catalog import mess3, process_from_config
from geometry.processes.causal_states import causal_states, forbidden_sequences
from geometry.processes.composed import mixture, product
from geometry.processes.process import build_process

BIT = math.log(2)


def entropy_nats(*shares):
    return -sum(share * math.log(share) for share in shares)


GOLDEN_MEAN = entropy_nats(2 / 3, 1 / 3)
GOLDEN = {  # statistical complexity, excess entropy and entropy rate, by hand
    "golden_mean": (GOLDEN_MEAN, GOLDEN_MEAN - 2 / 3 * BIT, 2 / 3 * BIT),
    "even": (GOLDEN_MEAN, GOLDEN_MEAN, 2 / 3 * BIT),
    "z1r": (math.log(3), math.log(3), BIT / 3),
    "rrxor": (entropy_nats(1 / 3, *[1 / 6] * 4), entropy_nats(1 / 3, *[1 / 6] * 4), 2 / 3 * BIT),
}


@pytest.mark.parametrize(("name", "golden"), GOLDEN.items())
def test_measures_have_the_values_of_the_literature(name, golden):
    states = causal_states(process_from_config(name, {}))
    found = states.statistical_complexity_nats, states.excess_entropy_nats, states.entropy_rate_nats
    assert found == pytest.approx(golden, abs=1e-9)


def test_excess_entropy_is_the_information_of_the_past_on_the_future():
    """By blocks: H(L) - L h rises to it, for a process that an observer synchronises to slowly."""
    process = process_from_config("even", {"p": 0.3})
    states, length = causal_states(process), 14
    start = process.stationary_distribution
    block = reference_process.block_entropy_nats(process.transition_tensor, start, process.readout, length)
    assert block - length * states.entropy_rate_nats == pytest.approx(states.excess_entropy_nats, abs=1e-2)
    assert block - length * states.entropy_rate_nats <= states.excess_entropy_nats


def test_measures_of_a_product_are_sums():
    factors = [process_from_config("z1r", {"p": 0.3}), process_from_config("golden_mean", {"p": 0.4})]
    whole, parts = causal_states(product(factors)), list(map(causal_states, factors))
    for measure in ("statistical_complexity_nats", "excess_entropy_nats", "entropy_rate_nats"):
        assert getattr(whole, measure) == pytest.approx(sum(getattr(one, measure) for one in parts), abs=1e-9)


def test_source_of_a_mixture_is_part_of_its_causal_state():
    factors = [process_from_config("z1r", {}), process_from_config("zrr", {})]
    states = causal_states(mixture(factors, [0.3, 0.7]))
    expected = entropy_nats(0.3, 0.7) + math.log(3)
    assert states.statistical_complexity_nats == pytest.approx(expected, abs=1e-6)
    assert states.entropy_rate_nats == pytest.approx(0.3 * BIT / 3 + 0.7 * 2 * BIT / 3, abs=1e-6)


def test_hidden_states_that_predict_alike_are_one_causal_state():
    twice = [[[0.5, 0.0], [0.0, 0.5]], [[0.25, 0.25], [0.25, 0.25]]]
    states = causal_states(build_process("coin", twice))
    assert len(states.law) == 1 and states.statistical_complexity_nats == 0
    assert states.excess_entropy_nats == 0 and states.entropy_rate_nats == pytest.approx(BIT)


def test_infinitely_many_causal_states_are_none():
    assert causal_states(mess3(0.05, 0.85)) is None
    assert causal_states(process_from_config("bloch_walk", {})) is None


@pytest.mark.parametrize("name", ["golden_mean", "even", "rrxor", "mr_name"])
def test_forbidden_sequences_are_minimal(name):
    process = process_from_config(name, {})
    tensor, start = process.transition_tensor, process.stationary_distribution

    def is_possible(word):
        return not word or reference_process.word_probability(tensor, start, process.readout, word) > 1e-12

    words = itertools.chain.from_iterable(reference_process.all_words(process.n_tokens, n) for n in range(1, 6))
    expected = [w for w in words if not is_possible(w) and is_possible(w[1:]) and is_possible(w[:-1])]
    assert sorted(forbidden_sequences(process, 5)) == sorted(expected)


def test_nothing_is_forbidden_where_all_is_possible():
    assert forbidden_sequences(mess3(0.05, 0.85)) == []
    np.testing.assert_equal(forbidden_sequences(process_from_config("golden_mean", {})), [(1, 1)])


def test_card_has_the_numbers_of_the_process():
    parameters = {"factors": [{"process": "z1r"}, {"process": "golden_mean"}]}
    symmetry = pd.DataFrame({"permutation": ["()", "(0 1)"], "measure": "is_symmetry", "value": [1.0, 0.0]})
    text = as_markdown(card(process_from_config("product", parameters), {"parameters": parameters}, symmetry))
    assert "| entropy rate | 0.693147181 nats (1 bits) |" in text
    assert "| causal states | 6 in the long run, " in text
    assert f"| statistical complexity | {math.log(3) + GOLDEN_MEAN:.9g} nats" in text
    assert "| golden_mean_2 | 2 | 1 |" in text and "A product of independent factors." in text
    assert (
        "Of 2 permutations of the tokens that were tried, these, as cycles, change no probability: ()." in text
        and "01 01" in text
    )
    assert text.count("\n| R0 |") == 1 + 4  # its row of states, and its transitions: two bits each free
