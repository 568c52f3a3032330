"""The rank of a process and its minimal realization, against the rank of Hankel matrices of exact fractions."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.processes.catalog import process_from_config
from geometry.processes.minimal_realization import minimal_process
from geometry.processes.observability import hidden_directions
from geometry.processes.process import build_process

MESS3 = {"x": 0.05, "alpha": 0.85}


def minimal_rank(process):
    return minimal_process(process).n_states


def exact_rank(rows):
    """The rank of a matrix of fractions, by elimination."""
    rows, rank = [list(row) for row in rows], 0
    while rows and rows[0]:
        pivot = next((row for row in rows if row[0]), None)
        if pivot is None:
            rows = [row[1:] for row in rows]
            continue
        rank += 1
        rows = [
            [a - row[0] / pivot[0] * b for a, b in zip(row[1:], pivot[1:], strict=True)]
            for row in rows
            if row is not pivot
        ]
    return rank


def times(row, matrix):
    return [sum(a * b for a, b in zip(row, column, strict=True) if a and b) for column in zip(*matrix, strict=True)]


def hankel_rank(tensor, initial):
    """The rank of the probabilities of all prefixes continued by fewer tokens than there are states."""
    n_states = len(initial)

    def after_words(start, matrices):
        for length in range(n_states):
            for word in product(matrices, repeat=length):
                row = start
                for matrix in word:
                    row = times(row, matrix)
                yield row

    beliefs, transposed = list(after_words(initial, tensor)), [list(zip(*matrix, strict=True)) for matrix in tensor]
    futures = list(after_words([Fraction(1)] * n_states, transposed))
    return exact_rank([[sum(map(Fraction.__mul__, b, f)) for f in futures] for b in beliefs])


def random_tensor(rng, n_tokens, n_states, decades=0, density=0.6):
    """Fractions whose sizes span some powers of 10; every state leads somewhere."""
    shape = n_tokens, n_states, n_states
    digit, power = rng.integers(1, 10, shape) * (rng.random(shape) < density), rng.integers(0, decades + 1, shape)
    digit[0, range(n_states), (np.arange(n_states) + 1) % n_states] = 1
    weight = [
        [[Fraction(int(d), 10 ** int(p)) for d, p in zip(*two, strict=True)] for two in zip(*one, strict=True)]
        for one in zip(digit, power, strict=True)
    ]
    total = [sum(sum(matrix[state]) for matrix in weight) for state in range(n_states)]
    return [[[w / total[state] for w in matrix[state]] for state in range(n_states)] for matrix in weight]


def copied(tensor, copies, rng):
    """The same process with copies of states, entered in shares that depend on where from."""
    origin = [state for state, n in enumerate(copies) for _ in range(n)]

    def row(source):
        share = [Fraction(int(rng.integers(1, 7))) for _ in origin]
        total = [sum(s for s, o in zip(share, origin, strict=True) if o == state) for state in range(len(copies))]
        return [source[o] * s / total[o] for s, o in zip(share, origin, strict=True)]

    return [[row(matrix[o]) for o in origin] for matrix in tensor]


def as_process(tensor, initial):
    return build_process("exact", np.array(tensor, dtype=float), initial_state=np.array(initial, dtype=float))


RANKS = {
    "mess3": 3, "mess3_duplicated": 3, "rrxor": 5, "leaky_rrxor": 5, "z1r": 3, "zrr": 3, "even": 2, "golden_mean": 2,
    "sns": 2, "mr_name": 4, "days_of_week": 7, "bloch_walk": 3, "moon": 3, "fanizza": 4, "coin": 6,
}  # fmt: skip


@pytest.mark.parametrize(("name", "rank"), RANKS.items())
def test_rank_of_a_named_process_is_known(name, rank):
    assert minimal_rank(process_from_config(name, MESS3 if name.startswith("mess3") else {})) == rank


def test_rank_of_independent_tokens_is_one():
    coin = build_process("coin", [[[0.3]], [[0.7]]])
    same = build_process("same", [[[0.1, 0.2], [0.2, 0.1]], [[0.3, 0.4], [0.1, 0.6]]])
    assert minimal_rank(coin) == minimal_rank(same) == 1


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_rank_of_a_markov_chain_of_tokens_is_that_of_its_matrix(rank):
    rng = np.random.default_rng(rank)
    chain = rng.dirichlet(np.ones(rank), 5) @ rng.dirichlet(np.ones(5), rank)
    assert minimal_rank(build_process("chain", chain * np.eye(5)[:, None])) == rank


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 3), st.sampled_from([0, 3, 6, 9]))
def test_rank_is_that_of_the_exact_hankel_matrix(seed, n_states, decades):
    rng = np.random.default_rng(seed)
    tensor = random_tensor(rng, 2, n_states, decades)
    initial = [Fraction(int(w), 10) for w in rng.multinomial(10, np.ones(n_states) / n_states)]
    assert minimal_rank(as_process(tensor, initial)) == hankel_rank(tensor, initial)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 4))
def test_copies_of_states_do_not_add_to_the_rank(seed, decades):
    rng = np.random.default_rng(seed)
    tensor = random_tensor(rng, 2, 3, decades)
    initial = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
    more = copied(tensor, (2, 1, 3), rng)
    split = [initial[0] / 2, initial[0] / 2, initial[1], 0, initial[2] / 4, initial[2] * 3 / 4]
    assert minimal_rank(as_process(more, split)) == hankel_rank(tensor, initial)


@pytest.mark.parametrize("entered", [1e-3, 1e-9, 1e-15, 1e-30])
def test_regime_that_is_seldom_entered_counts(entered):
    """Two coins of two faces each, which share one face; each coin remembers its last toss."""
    coin = np.array([[0.2, 0.8], [0.7, 0.3]])
    tensor = np.zeros((3, 4, 4))
    for face in range(2):
        tensor[face, :2, face] = coin[:, face] * (1 - entered)
        tensor[face + 1, 2:, 2 + face] = coin[:, face] * 0.9
    tensor[0, :2, 2] = entered
    tensor[2, 2:, 0] = 0.1
    process = build_process("regimes", tensor)
    assert minimal_rank(process) == 4


@pytest.mark.parametrize("n_states", [13, 40])
def test_rank_of_a_long_ladder_is_its_length(n_states):
    """A walk that shows a token at its two ends only; numerically, its Hankel matrix has a far lower rank."""
    up, down = 0.2, 0.3
    chain = up * np.eye(n_states, k=1) + down * np.eye(n_states, k=-1)
    chain += np.diag(1 - chain.sum(axis=1))
    emission = np.eye(3)[[0, *[1] * (n_states - 2), 2]]
    assert minimal_rank(build_process("ladder", chain * emission.T[:, :, None])) == n_states


def test_states_that_are_never_reached_do_not_count():
    tensor = np.zeros((2, 4, 4))
    tensor[:, :2, :2] = process_from_config("golden_mean", {}).transition_tensor
    tensor[0, 2:, 1:3] = 0.5
    assert minimal_rank(build_process("more", tensor)) == 2
    assert minimal_rank(build_process("more", tensor, initial_state=[0, 0, 0, 1])) > 2


@pytest.mark.parametrize("name", ["mess3_duplicated", "copied", "unreached"])
def test_minimal_process_says_the_same_of_every_word(name):
    rng = np.random.default_rng(3)
    if name == "mess3_duplicated":
        process = process_from_config(name, MESS3)
    elif name == "copied":
        tensor = copied(random_tensor(rng, 3, 4), (2, 1, 3, 1), rng)
        process = build_process("copied", np.array(tensor, dtype=float))
    else:
        tensor = np.array(random_tensor(rng, 2, 5), dtype=float)
        tensor[:, :3, :3] += tensor[:, :3, 3:].sum(axis=2, keepdims=True) / 3
        tensor[:, :3, 3:] = 0
        process = build_process("unreached", tensor)
    minimal = minimal_process(process)
    assert minimal.n_states < process.n_states
    np.testing.assert_allclose(minimal.stationary_distribution @ minimal.readout, 1, atol=1e-12)
    chain = minimal.transition_tensor.sum(axis=0)
    np.testing.assert_allclose(minimal.stationary_distribution @ chain, minimal.stationary_distribution, atol=1e-12)
    for word in rng.integers(0, process.n_tokens, (200, 12)):
        true, same = process.initial_state, minimal.initial_state
        for token in word:
            true, same = true @ process.transition_tensor[token], same @ minimal.transition_tensor[token]
            if true.sum() < 1e-3:
                break
            true, same = true / true.sum(), same / true.sum()
            np.testing.assert_allclose(same @ minimal.emission_matrix, true @ process.emission_matrix, atol=1e-12)


def test_minimal_process_is_the_process_itself_where_nothing_is_superfluous():
    process = process_from_config("rrxor", {})
    assert minimal_process(process) is process


def test_eigenvalues_of_the_minimal_process_are_those_of_the_single_one():
    single, double = (process_from_config(name, MESS3) for name in ("mess3", "mess3_duplicated"))
    for one, other in zip(single.transition_tensor, minimal_process(double).transition_tensor, strict=True):
        np.testing.assert_allclose(np.sort(np.linalg.eigvals(one)), np.sort(np.linalg.eigvals(other)), atol=1e-12)


def test_change_of_coordinates_leaves_the_rank():
    rng = np.random.default_rng(0)
    turn = rng.normal(size=(4, 4))
    tensor = process_from_config("mess3_duplicated", MESS3).transition_tensor
    turned = build_process("turned", np.linalg.inv(turn) @ tensor @ turn, generalized=True)
    assert minimal_rank(turned) == 3


def test_rare_token_is_no_hidden_direction():
    """Two states that differ only in how often they emit a token that both hardly ever emit."""
    for rare in (1e-6, 1e-12):
        emission = np.array([[1 - rare, rare], [1 - 2 * rare, 2 * rare], [0.5, 0.5]])
        chain = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2]])
        process = build_process("rare", chain * emission.T[:, :, None])
        invisible, unobservable = hidden_directions(process)
        assert (len(invisible), len(unobservable)) == (1, 0)
        np.testing.assert_allclose(invisible @ process.emission_matrix, 0, atol=1e-12)
