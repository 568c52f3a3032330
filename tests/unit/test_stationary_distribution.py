"""Long-run laws of Markov chains, against exact fractions, entry by entry."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geometry.processes.process import ProcessError, build_process
from geometry.processes.stationary_distribution import closed_classes, irreducible_law, long_run_law

EXACT = {"rtol": 1e-12, "atol": 0}


def solved(matrix, right):
    """The solution of a linear system of fractions."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        pivot = next(i for i in range(k, len(rows)) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for i, row in enumerate(rows):
            if i != k and row[k]:
                rows[i] = [a - row[k] * b for a, b in zip(row, rows[k], strict=True)]
    return [row[-1] for row in rows]


def generator(chain):
    """The chain less the identity, in fractions; the diagonal is what makes each row sum to 0."""
    rows = [[Fraction(float(value)) for value in row] for row in chain]
    return [
        [value if i != j else -sum(row[:i] + row[i + 1 :]) for j, value in enumerate(row)] for i, row in enumerate(rows)
    ]


def exact_law(chain):
    """The stationary law of an irreducible chain: the balance of all states but one, and a sum of 1."""
    columns = [list(column) for column in zip(*generator(chain), strict=True)]
    return solved([*columns[:-1], [Fraction(1)] * len(chain)], [Fraction(0)] * (len(chain) - 1) + [Fraction(1)])


def exact_long_run(chain, start, classes):
    """Each class's law, times the sum over starts of the probability of ending there."""
    rates, law = generator(chain), [Fraction(0)] * len(chain)
    transient = [s for s in range(len(chain)) if not any(s in c for c in classes)]
    for members in classes:
        hit = solved(
            [[-rates[i][j] for j in transient] for i in transient],
            [sum(rates[i][j] for j in members) for i in transient],
        )
        share = sum(Fraction(float(start[s])) for s in members)
        share += sum(Fraction(float(start[s])) * h for s, h in zip(transient, hit, strict=True))
        for state, value in zip(members, exact_law(chain[np.ix_(members, members)]), strict=True):
            law[state] = share * value
    return [value / sum(law) for value in law]


def as_floats(fractions):
    return np.array([float(value) for value in fractions])


def birth_death(up, down):
    chain = np.diag(up, 1) + np.diag(down, -1)
    return chain + np.diag(1 - chain.sum(axis=1))


def random_chain(rng, n, decades, density):
    """Weights over some powers of 10 on random edges and, along a random cycle, on as many as make it irreducible."""
    weight = 10.0 ** -rng.uniform(0, decades, (n, n)) * (rng.random((n, n)) < density)
    cycle = rng.permutation(n)
    weight[cycle, np.roll(cycle, 1)] += 10.0 ** -rng.uniform(0, decades, n)
    return weight / weight.sum(axis=1, keepdims=True)


def one_token(chain, **options):
    return build_process("chain", [chain], **options).stationary_distribution


@pytest.mark.parametrize("n", [2, 13, 28, 60])
@pytest.mark.parametrize("rare", [0.3, 1e-3, 1e-5])
def test_law_of_a_bistable_ladder_is_exact_in_every_entry(n, rare):
    """Down in the lower half, up in the upper one: the two ends hold all mass, and reach each other once in ages."""
    lower = np.arange(n - 1) < n // 2
    chain = birth_death(np.where(lower, rare, 1 - rare) / 2.1, np.where(lower, 1 - rare, rare) / 2.2)
    np.testing.assert_allclose(one_token(chain), as_floats(exact_law(chain)), **EXACT)


def test_ladder_of_thirteen_states_has_the_known_ends():
    up = np.array([0.001] * 6 + [0.5] + [0.999] * 5)
    down = np.array([0.999] * 5 + [0.5] + [1 - 0.999] * 5 + [0.0001])
    law = one_token(birth_death(up, down))
    np.testing.assert_allclose([law[0], law[-1], law.sum()], [0.090893, 0.908925, 1], atol=1e-6)


def test_law_that_spans_more_than_the_floating_point_range_is_a_distribution():
    law = one_token(birth_death(np.full(399, 1e-3), np.full(399, 0.9)))
    assert law.sum() == pytest.approx(1, abs=1e-12) and (law >= 0).all()
    np.testing.assert_allclose(law[1:50] / law[:49], 1e-3 / 0.9, rtol=1e-12)
    np.testing.assert_allclose(one_token(birth_death(np.full(399, 0.9), np.full(399, 1e-3)))[::-1], law, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.sampled_from([0, 4, 8]), st.sampled_from([0.0, 0.3, 1.0]))
def test_law_of_an_irreducible_chain_is_exact_in_every_entry(seed, n, decades, density):
    """At density 0 these are cycles, which are periodic."""
    chain = random_chain(np.random.default_rng(seed), n, decades, density)
    assert [c.tolist() for c in closed_classes(chain)] == [list(range(n))]
    np.testing.assert_allclose(irreducible_law(chain), as_floats(exact_law(chain)), **EXACT)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 6), st.sampled_from([0, 4, 8]))
def test_long_run_law_of_a_reducible_chain_is_exact_in_every_entry(seed, n_classes, n_transient, decades):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, n_classes)
    n = int(sizes.sum()) + n_transient
    chain = np.zeros((n, n))
    members = np.split(rng.permutation(n), np.cumsum(sizes))
    for states in members[:-1]:
        chain[np.ix_(states, states)] = random_chain(rng, len(states), decades, 0.5)
    chain[members[-1]] = random_chain(rng, n, decades, 0.6)[members[-1]]
    chain[members[-1], members[0][0]] += 10.0**-decades  # every transient state leaves at last
    chain /= chain.sum(axis=1, keepdims=True)
    classes = closed_classes(chain)
    assert sorted(map(tuple, classes)) == sorted(tuple(sorted(states)) for states in members[:-1])
    start = rng.dirichlet(np.ones(n))
    expected = as_floats(exact_long_run(chain, start, [c.tolist() for c in classes]))
    np.testing.assert_allclose(long_run_law(chain, start, classes), expected, **EXACT)
    assert (one_token(chain, initial_state=start)[members[-1]] == 0).all()


def test_states_that_are_left_for_good_have_no_mass():
    chain = [[0.5, 0.5 - 1e-13, 1e-13], [0.25, 0.75, 0], [0, 0, 1]]
    assert one_token(chain).tolist() == [0, 0, 1]


def test_large_chain_keeps_its_balance():
    chain = random_chain(np.random.default_rng(0), 1000, 6, 0.02)
    law = one_token(chain)
    np.testing.assert_allclose(law @ chain, law, rtol=1e-10)


def test_probabilities_that_underflow_are_refused_in_one_sentence():
    """From the second state to the first it takes a climb of probability 1e-390, over all others."""
    ladder = birth_death(np.full(14, 1e-30), np.full(14, 0.9))
    order = [1, *range(2, 15), 0]
    chain = np.zeros((15, 15))
    chain[np.ix_(order, order)] = ladder
    with pytest.raises(ProcessError, match="stationary distribution is no probability distribution") as error:
        one_token(chain)
    assert "\n" not in str(error.value)


def random_generalized(rng, n_states, scales):
    """An ordinary process in other coordinates, whose laws are known from it."""
    tensor = rng.random((2, n_states, n_states))
    tensor /= tensor.sum(axis=(0, 2))[:, None]
    turn = np.eye(n_states) + 0.3 * rng.normal(size=(n_states, n_states))
    turn *= 10.0 ** rng.uniform(-scales, scales, n_states)
    return build_process("plain", tensor), turn, np.linalg.inv(turn)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 5), st.sampled_from([0, 3, 6]))
def test_laws_of_a_generalized_process_do_not_depend_on_its_units(seed, n_states, scales):
    plain, turn, back = random_generalized(np.random.default_rng(seed), n_states, scales)
    turned = build_process("turned", back @ plain.transition_tensor @ turn, generalized=True)
    before, after = plain.stationary_distribution @ turn, turned.stationary_distribution
    unit = back @ plain.readout
    ratio = (turned.readout / unit).mean()
    np.testing.assert_allclose(turned.readout / unit, ratio, rtol=1e-6)
    np.testing.assert_allclose(after * ratio / before, 1, rtol=1e-6)


def test_generalized_process_that_rounding_settles_is_refused():
    lower = np.arange(27) < 14
    chain = birth_death(np.where(lower, 1e-4, 0.9), np.where(lower, 0.9, 1e-4))
    with pytest.raises(ProcessError, match=r"cannot be distinguished from rounding|more than once"):
        build_process("ladder", [chain], generalized=True)
