"""Processes made of processes, against direct sums, Kronecker products and noise channels written out with loops."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import reference_process

from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.catalog import checksum, mess, mess3, process_from_config, rrxor
from geometry.processes.composed import Dependent, chain, joint_names, mixture, noisy, product
from geometry.processes.composition import part_beliefs, source_posterior
from geometry.processes.entropy import entropy_rate_bounds_nats
from geometry.processes.finite_memory import mixing_rate
from geometry.processes.fractal_dimension import has_finite_beliefs
from geometry.processes.minimal_realization import minimal_process
from geometry.processes.process import ParameterError, ProcessError, build_process

Z1R, BLOCH = process_from_config("z1r", {}), process_from_config("bloch_walk", {})
MESS3 = mess3(0.15, 0.6)
EXACT = {"rtol": 0, "atol": 1e-12}


def asymmetric(seed, n_tokens=2, n_states=3, token_names=None):
    """A process with nothing in common with its mirror images, that starts out of equilibrium."""
    rng = np.random.default_rng(seed)
    tensor = rng.random((n_tokens, n_states, n_states))
    tensor /= tensor.sum(axis=(0, 2))[:, None]
    start = rng.dirichlet(np.ones(n_states))
    return build_process("asymmetric", tensor, initial_state=start, token_names=token_names)


def words(process, length):
    return reference_process.all_words(process.n_tokens, length)


def probability(process, word):
    """The probability of a sequence of tokens, by loops over hidden states."""
    return reference_process.word_probability(process.transition_tensor, process.initial_state, process.readout, word)


def belief(process, word):
    return reference_process.belief_state(process.transition_tensor, process.initial_state, process.readout, word)


def after(process, word):
    """What the whole says of its parts after a prefix: the posterior of each, and the belief of each."""
    row = belief(process, word)[None]
    return source_posterior(process.composition, row)[0], [own[0] for own in part_beliefs(process.composition, row)]


# --- Mixtures -----------------------------------------------------------------------------------------------------

MIXTURES = {
    "same tokens": ([MESS3, mess3(0.5, 0.66)], [0.3, 0.7], None),
    "asymmetric": ([asymmetric(0), asymmetric(1, 3, 2), MESS3], [0.2, 0.3, 0.5], None),
    "tokens apart": ([asymmetric(0), asymmetric(1)], [0.4, 0.6], [["a", "b"], ["c", "b"]]),
    "generalized": ([BLOCH, asymmetric(2, 3)], [0.25, 0.75], None),
}


def own_word(own_names, process, word):
    """The word in the tokens of a component; None if it has not all of them."""
    names = [process.token_names[token] for token in word]
    return [own_names.index(name) for name in names] if set(names) <= set(own_names) else None


@pytest.mark.parametrize(("components", "weights", "tokens"), MIXTURES.values(), ids=MIXTURES)
def test_mixture_is_one_of_its_components(components, weights, tokens):
    process = mixture(components, weights, tokens)
    names = tokens or [list(one.token_names) for one in components]
    assert process.n_states == sum(one.n_states for one in components)
    for word in words(process, 3):
        own = [own_word(*pair) for pair in zip(names, [process] * len(names), [word] * len(names), strict=True)]
        joint = [
            0.0 if which is None else weight * probability(one, which)
            for weight, one, which in zip(weights, components, own, strict=True)
        ]
        assert probability(process, word) == pytest.approx(sum(joint), rel=0, abs=1e-12)
        if sum(joint) < 1e-9:
            continue
        posterior, beliefs = after(process, word)
        np.testing.assert_allclose(posterior, np.array(joint) / sum(joint), **EXACT)
        for one, which, share, found in zip(components, own, joint, beliefs, strict=True):
            np.testing.assert_allclose(found, belief(one, which) if share else one.initial_state, rtol=0, atol=1e-10)
    assert sum(probability(process, word) for word in words(process, 3)) == pytest.approx(1, abs=1e-12)


def test_mixture_is_the_direct_sum():
    one, other = asymmetric(0), asymmetric(1, 2, 2)
    process = mixture([one, other], [0.3, 0.7])
    for token, i, j in itertools.product(range(2), range(5), range(5)):
        expected = 0.0
        if i < 3 and j < 3:
            expected = one.transition_tensor[token, i, j]
        if i >= 3 and j >= 3:
            expected = other.transition_tensor[token, i - 3, j - 3]
        assert process.transition_tensor[token, i, j] == expected
    np.testing.assert_allclose(process.initial_state, [*(0.3 * one.initial_state), *(0.7 * other.initial_state)])
    assert process.state_names == ("1:0", "1:1", "1:2", "2:0", "2:1")


def test_vocabulary_of_a_mixture_is_sorted_numbers_or_names_in_their_order():
    assert mixture([BLOCH, Z1R]).token_names == ("0", "1", "2", "3")
    assert mixture([Z1R, Z1R], tokens=[[10, 2], [2, 3]]).token_names == ("2", "3", "10")
    assert mixture([Z1R, Z1R], tokens=[["b", "a"], ["a", "c"]]).token_names == ("b", "a", "c")


def test_mixture_never_forgets_its_source_and_its_entropy_rate_is_the_mean():
    components = [process_from_config("golden_mean", {"p": 0.9}), process_from_config("even", {"p": 0.4})]
    process = mixture(components, [0.3, 0.7])
    assert mixing_rate(process) == pytest.approx(1)
    lower, upper = entropy_rate_bounds_nats(process)
    rates = [entropy_rate_bounds_nats(one)[1] for one in components]
    assert upper == pytest.approx(0.3 * rates[0] + 0.7 * rates[1], abs=1e-15) and upper - lower < 1e-11
    assert_within_bounds_of_the_whole(process, upper, width=1e-3)


def assert_within_bounds_of_the_whole(process, rate, width):
    """The entropy rate is that which the process has without regard to its parts."""
    lower, upper = entropy_rate_bounds_nats(replace(process, composition=None))
    assert lower - 1e-9 <= rate <= upper + 1e-9 and upper - lower < width


def test_mixture_of_equal_components_is_the_component():
    minimal = minimal_process(mixture([MESS3, mess3(0.15, 0.6)], [0.3, 0.7]))
    assert minimal.n_states == 3 and minimal.composition is None
    assert minimal_process(mixture([MESS3, mess3(0.5, 0.66)])).n_states == 6


# --- Products and chains ------------------------------------------------------------------------------------------

PRODUCTS = {
    "unequal": [MESS3, Z1R],
    "asymmetric": [asymmetric(0), asymmetric(1, 3, 2), asymmetric(2)],
    "generalized": [BLOCH, asymmetric(2)],
}


@pytest.mark.parametrize("factors", PRODUCTS.values(), ids=PRODUCTS)
def test_product_is_its_factors_side_by_side(factors):
    process = product(factors)
    assert process.composition.independent
    for word in words(process, 2):
        own = [[int(part.token[token]) for token in word] for part in process.composition.parts]
        expected = np.prod([probability(one, which) for one, which in zip(factors, own, strict=True)])
        assert probability(process, word) == pytest.approx(expected, rel=0, abs=1e-12)
        if expected < 1e-9:
            continue
        posterior, beliefs = after(process, word)
        np.testing.assert_allclose(posterior, 1, **EXACT)
        for one, which, found in zip(factors, own, beliefs, strict=True):
            np.testing.assert_allclose(found, belief(one, which), rtol=0, atol=1e-10)


def test_product_is_the_kronecker_product():
    one, other = asymmetric(0), asymmetric(1, 3, 2)
    process = product([one, other])
    for x, y, i, j, k, m in itertools.product(range(2), range(3), range(3), range(2), range(3), range(2)):
        expected = one.transition_tensor[x, i, k] * other.transition_tensor[y, j, m]
        assert process.transition_tensor[3 * x + y, 2 * i + j, 2 * k + m] == expected
    assert process.token_names == ("00", "01", "02", "10", "11", "12")


def test_entropy_rate_of_a_product_is_the_sum_of_its_factors():
    factors = [Z1R, rrxor(0.3, 0.6), process_from_config("golden_mean", {"p": 0.3})]
    rates = [entropy_rate_bounds_nats(one)[1] for one in factors]
    lower, upper = entropy_rate_bounds_nats(product(factors))
    assert upper == pytest.approx(sum(rates), abs=1e-15) and upper - lower < 1e-11
    assert_within_bounds_of_the_whole(product(factors), upper, width=1e-6)


@pytest.mark.parametrize("kind", [mixture, product])
def test_noise_raises_the_entropy_rate_above_that_of_the_parts(kind):
    process = kind([Z1R, process_from_config("golden_mean", {"p": 0.3})])
    rates = [entropy_rate_bounds_nats(noisy(process, epsilon))[1] for epsilon in (0.0, 0.1)]
    assert rates[0] == entropy_rate_bounds_nats(process)[1] < rates[1] - 0.01


def chain_probability(word_of_factor, factors, depends_on):
    """The probability of the factors' words in a chain of two, summed over all paths of hidden states."""
    first, variants = factors
    start = chain([first, Dependent(variants, depends_on)]).initial_state.reshape(first.n_states, -1)
    total = 0.0
    n, length = (first.n_states, variants[0].n_states), len(word_of_factor[0])
    for own in itertools.product(range(n[0]), repeat=length + 1):
        for other in itertools.product(range(n[1]), repeat=length + 1):
            path = start[own[0], other[0]]
            for step, (x, y) in enumerate(zip(*word_of_factor, strict=True)):
                variant = variants[x if depends_on == "token" else own[step]]
                path *= first.transition_tensor[x, own[step], own[step + 1]]
                path *= variant.transition_tensor[y, other[step], other[step + 1]]
            total += path
    return total


@pytest.mark.parametrize("depends_on", ["token", "state"])
def test_factor_of_a_chain_depends_on_the_one_before(depends_on):
    first = asymmetric(0, n_tokens=2, n_states=3)
    variants = tuple(asymmetric(seed, 3, 2) for seed in range(1, 3 if depends_on == "token" else 4))
    process = chain([first, Dependent(variants, depends_on)])
    assert not process.composition.independent
    np.testing.assert_allclose(process.initial_state @ process.transition_tensor.sum(axis=0), process.initial_state)
    for word in words(process, 2):
        own = [[int(part.token[token]) for token in word] for part in process.composition.parts]
        expected = chain_probability(own, (first, variants), depends_on)
        assert probability(process, word) == pytest.approx(expected, rel=0, abs=1e-12)
        joint, (found, other) = belief(process, word).reshape(3, 2), after(process, word)[1]
        np.testing.assert_allclose(found, joint.sum(axis=1), **EXACT)
        np.testing.assert_allclose(other, joint.sum(axis=0), **EXACT)


def test_third_factor_depends_on_the_second_alone():
    """By its definition: T[x y z] = T_1[x] T_2^x[y] T_3^s[z], with the state s of the second factor."""
    first, second = asymmetric(0), (asymmetric(1, 3, 2), asymmetric(2, 3, 2))
    third = (asymmetric(3, 2, 2), asymmetric(4, 2, 2))
    process = chain([first, Dependent(second, "token"), Dependent(third, "state")])
    sizes = [range(2), range(3), range(2)], [range(3), range(2), range(2)]
    places = [list(itertools.product(*size)) for size in sizes]
    for t, (x, y, z) in enumerate(places[0]):
        for i, (a, b, c) in enumerate(places[1]):
            for j, (d, e, f) in enumerate(places[1]):
                parts = first.transition_tensor[x, a, d], second[x].transition_tensor[y, b, e]
                expected = parts[0] * parts[1] * third[b].transition_tensor[z, c, f]
                assert process.transition_tensor[t, i, j] == pytest.approx(expected, rel=1e-12)


def test_chain_of_equal_variants_is_the_product():
    factors = [Z1R, process_from_config("even", {"p": 0.3})]
    dependent = chain([factors[0], Dependent((factors[1],) * 2, "token")])
    plain = product(factors)
    np.testing.assert_array_equal(dependent.transition_tensor, plain.transition_tensor)
    np.testing.assert_allclose(dependent.initial_state, plain.initial_state, **EXACT)


def test_names_of_joint_tokens_never_collide():
    assert joint_names([["0", "1"], ["A"]]) == ["0A", "1A"]
    assert joint_names([["1", "11"], ["1", "11"]]) == ["1|1", "1|11", "11|1", "11|11"]
    assert joint_names([["a", "a|", "a||"], ["b", "|b", "||b"]])[:4] == ["0|0", "0|1", "0|2", "1|0"]


# --- Noise --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [asymmetric(0, 3), BLOCH, mixture([Z1R, BLOCH])], ids=["plain", "general", "mixture"])
def test_noise_is_the_channel_summed_out(inner):
    """Bayes over all sequences that the process may have emitted, each token replaced or not."""
    epsilon, process = 0.3, noisy(inner, 0.3)
    channel = (1 - epsilon) * np.eye(inner.n_tokens) + epsilon / inner.n_tokens
    for seen in words(process, 2):
        joint = np.zeros(inner.n_states)
        for emitted in words(inner, 2):
            through = np.prod([channel[a, b] for a, b in zip(emitted, seen, strict=True)])
            joint += through * reference_process.row_after_word(inner.transition_tensor, inner.initial_state, emitted)
        total = joint @ inner.readout
        assert probability(process, seen) == pytest.approx(total, rel=0, abs=1e-12)
        np.testing.assert_allclose(belief(process, seen), joint / total, rtol=0, atol=1e-11)
    assert process.composition is None or process.composition.parts == inner.composition.parts


def test_factors_are_no_longer_independent_behind_noise():
    process = product([Z1R, MESS3])
    assert process.composition.independent and not noisy(process, 0.1).composition.independent


# --- Nesting ------------------------------------------------------------------------------------------------------


def test_mixture_of_products_and_a_product_of_mixtures():
    pair, single = product([asymmetric(0), asymmetric(1)]), asymmetric(2, 3)
    process = mixture([pair, single], [0.4, 0.6])
    outer = product([mixture([asymmetric(0), asymmetric(1, 2, 2)], [0.3, 0.7]), asymmetric(2)])
    for word in words(process, 2):
        joint = [0.0, 0.0]
        for k, (one, weight) in enumerate(((pair, 0.4), (single, 0.6))):
            own = own_word(list(one.token_names), process, word)
            joint[k] = 0.0 if own is None else weight * probability(one, own)
        assert probability(process, word) == pytest.approx(sum(joint), rel=0, abs=1e-12)
    for word in words(outer, 2):
        own, other = ([int(part.token[token]) for token in word] for part in outer.composition.parts)
        mixed = 0.3 * probability(asymmetric(0), own) + 0.7 * probability(asymmetric(1, 2, 2), own)
        assert probability(outer, word) == pytest.approx(mixed * probability(asymmetric(2), other), rel=0, abs=1e-12)


def test_config_nests_processes():
    part = {"process": "mess3", "parameters": {"x": 0.15, "alpha": 0.6}}
    pair = {"process": "product", "parameters": {"factors": [part, {"process": "z1r"}]}}
    process = process_from_config("noisy", {"epsilon": 0.1, "of": pair})
    np.testing.assert_array_equal(process.transition_tensor, noisy(product([MESS3, Z1R]), 0.1).transition_tensor)
    linked = {"process": "even", "parameters": {"p": 0.3}, "depends_on": "state", "by": [{}, {"p": 0.4}, {"p": 0.5}]}
    found = process_from_config("chain", {"factors": [{"process": "z1r"}, linked]})
    variants = tuple(process_from_config("even", {"p": p}) for p in (0.3, 0.4, 0.5))
    np.testing.assert_array_equal(found.transition_tensor, chain([Z1R, Dependent(variants, "state")]).transition_tensor)


def test_part_has_the_notes_of_its_numbers():
    tensor = [[["0.333", "0.333"], [1, 0]], [["0.333", 0], [0, 0]]]
    rounded = {"process": "custom", "parameters": {"transition_tensor": tensor}}
    (note,) = process_from_config("product", {"factors": [{"process": "z1r"}, rounded]}).notes
    assert note.startswith("custom_2: the probabilities of leaving state 0 summed to 0.999")


Z, M = {"process": "z1r"}, {"process": "mess3", "parameters": {"x": 0.15, "alpha": 0.6}}
LINKED = {**Z, "depends_on": "token", "by": [{}, {"p": 0.2}]}
MISTAKES = [
    ("mixture", {"components": [Z, {"process": "mes3"}]}, r"components\[1\].process is 'mes3'; allowed are mess3, "),
    ("mixture", {"components": [Z, {"proces": "z1r"}]}, r"components\[1\].proces is unknown; allowed are process, par"),
    ("mixture", {"components": [Z, {"parameters": {}}]}, r"components\[1\].process is missing"),
    ("mixture", {"components": [Z, {**Z, "parameters": 3}]}, r"components\[1\].parameters is 3; it must be a mapping"),
    ("mixture", {"components": [Z, "z1r"]}, r"components\[1\] is 'z1r'; it must be a mapping"),
    ("mixture", {"components": [Z]}, "components is .*; it must be a list of at least 2 processes"),
    ("mixture", {"components": [Z, {"process": "mess3"}]}, r"components\[1\]: mess3: parameter 'x' is missing"),
    ("mixture", {"components": [Z, Z], "weights": [0.5, 0.6]}, r"weights is \[0.5, 0.6\]; it must have 2 positive"),
    ("mixture", {"components": [Z, Z], "weights": [0, 1]}, r"weights is \[0, 1\]; it must have 2 positive numbers"),
    ("mixture", {"components": [Z, Z], "weights": [1]}, r"weights is \[1\]; it must have 2 positive numbers"),
    ("mixture", {"components": [Z, Z], "weights": "x"}, "weights is 'x'; it must be a list of numbers"),
    ("mixture", {"components": [Z, M], "tokens": [[0, 1], [0, 1]]}, r"tokens\[1\] is \[0, 1\]; it must have 3 "),
    ("mixture", {"components": [Z, Z], "tokens": [[0, 1], [0, 0]]}, r"tokens\[1\] is \[0, 0\]; it must have 2 "),
    ("mixture", {"components": [Z, Z], "tokens": [[0, 1]]}, "tokens is .*; it must be a list of 2 lists"),
    ("product", {"factors": [Z, LINKED]}, r"factors\[1\].by is unknown; allowed are process, parameters"),
    ("product", {"factors": [M] * 5}, "product: it has 243 states; at most 128 are allowed"),
    ("product", {"factors": [*[{"process": "bloch_walk"}] * 4, Z]}, "product: it has 243 states; at most 128 are"),
    ("product", {"factors": [*[{"process": "golden_mean"}] * 2, {"process": "days_of_week"}, {"process": "mr_name"}]},
     "product: it has 176 tokens; at most 128 are allowed"),
    ("chain", {"factors": [LINKED, Z]}, r"factors\[0\] depends on the factor before it; the first has none"),
    ("chain", {"factors": [M, LINKED]}, r"factors\[1\].by has length 2; factors\[0\] has 3 tokens, and each needs"),
    ("chain", {"factors": [Z, {**LINKED, "depends_on": "tok"}]}, r"factors\[1\].depends_on is 'tok'; it must be token"),
    ("chain", {"factors": [Z, {**Z, "by": [{}, {}]}]}, r"factors\[1\].depends_on is missing; it goes with by"),
    ("chain", {"factors": [Z, {**Z, "depends_on": "token"}]}, r"factors\[1\].by is missing; it goes with depends_on"),
    ("chain", {"factors": [Z, {**LINKED, "by": 2}]}, r"factors\[1\].by is 2; it must be a list of parameters"),
    ("chain", {"factors": [Z, {**LINKED, "by": [{}, 1]}]}, r"factors\[1\].by\[1\] is 1; it must be a mapping"),
    ("chain", {"factors": [Z, {**LINKED, "by": [{}, {"q": 1}]}]}, r"factors\[1\].by\[1\]: z1r: parameter 'q' is"),
    ("chain", {"factors": [Z, {"process": "mess", "parameters": {"x": 0.1, "alpha": 0.6}, "depends_on": "token",
                               "by": [{"n": 3}, {"n": 4}]}]}, r"factors\[1\].by\[1\] gives 4 states and 4 tokens"),
    ("chain", {"factors": [Z, {"process": "bloch_walk"}]}, r"factors\[1\] is a generalized process; a chain is"),
    ("noisy", {"of": Z, "epsilon": 1.5}, "epsilon is 1.5; it must be a probability, between 0 and 1"),
    ("noisy", {"of": Z, "epsilon": float("nan")}, "epsilon is nan; it must be a probability"),
    ("noisy", {"of": {"process": "noisy", "parameters": {"of": {"process": "z2r"}, "epsilon": 0.1}}, "epsilon": 0.1},
     r"of.parameters.of.process is 'z2r'; allowed are"),
    ("noisy", {"of": {"process": "mixture", "parameters": {"components": [Z, Z], "weights": [1, 2]}}, "epsilon": 0},
     r"of.parameters.weights is \[1, 2\]; it must have 2 positive numbers"),
    ("mess", {"n": 2.5, "x": 0.1, "alpha": 0.5}, "mess: parameter n is 2.5; it must be a whole number of at least 2"),
    ("checksum", {"n": 200}, "checksum: it has 401 states; at most 128 are allowed"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameters", "sentence"), MISTAKES)
def test_mistake_is_one_sentence_with_its_path(name, parameters, sentence):
    with pytest.raises(ProcessError, match=f"^{sentence}") as error:
        process_from_config(name, parameters)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("levels", "is_allowed"), [(10, True), (11, False)])
def test_nesting_has_a_limit(levels, is_allowed):
    parameters = Z
    for _ in range(levels):
        parameters = {"process": "noisy", "parameters": {"of": parameters, "epsilon": 0.01}}
    if is_allowed:
        assert process_from_config("noisy", parameters["parameters"]).n_states == 3
    else:
        with pytest.raises(ParameterError, match="of is nested 11 processes deep; at most 10 are allowed"):
            process_from_config("noisy", parameters["parameters"])


def test_given_readout_and_stationary_state_are_checked():
    chain_of_two = [[[1.0, 0.0], [0.0, 1.0]]]
    right = {"generalized": True, "fixed": (np.array([0.5, 0.5]), np.array([1.0, 1.0]))}
    assert build_process("two", chain_of_two, **right).n_states == 2
    for stationary, readout in (([0.5, 0.6], [1.0, 1.0]), ([1.0, 0.0], [2.0, 1.0])):
        with pytest.raises(ProcessError, match="two: the summed transition tensor changes the given"):
            build_process("two", chain_of_two, generalized=True, fixed=(np.array(stationary), np.array(readout)))
    second = np.array([0.0, 1.0])
    with pytest.raises(ProcessError, match="stationary state or readout by"):
        build_process("two", [[[0.5, 0.5], [0.0, 1.0]]], generalized=True, fixed=(second, second))


# --- Families -----------------------------------------------------------------------------------------------------


def test_mess_of_three_is_mess3_and_of_more_moves_and_emits_alike():
    np.testing.assert_array_equal(mess(3, 0.05, 0.85).transition_tensor, mess3(0.05, 0.85).transition_tensor)
    tensor = mess(5, 0.05, 0.6).transition_tensor
    for token, i, j in itertools.product(range(5), repeat=3):
        move, emit = (0.8 if i == j else 0.05), (0.6 if token == j else 0.1)
        assert tensor[token, i, j] == pytest.approx(move * emit)


def test_checksum_of_two_bits_is_rrxor():
    order = [0, 1, 2, 4, 3]  # S, 0, 1, F, T: the sum is 0 where the exclusive or is false
    found, expected = checksum(2, 2), rrxor()
    np.testing.assert_array_equal(found.transition_tensor, expected.transition_tensor[:, order][:, :, order])


@pytest.mark.parametrize(("n", "m"), [(1, 3), (3, 2), (2, 3)])
def test_checksum_follows_its_digits(n, m):
    process = checksum(n, m)
    start = np.eye(process.n_states)[0]
    for word in itertools.product(range(m), repeat=n + 1):
        row = reference_process.row_after_word(process.transition_tensor, start, word)
        expected = m**-n if sum(word[:-1]) % m == word[-1] else 0
        assert row == pytest.approx([expected] + [0] * (process.n_states - 1))


def test_theory_of_a_reducible_mixture_is_exact():
    """Beliefs, optimal loss and finiteness, where eigenvalue 1 is there twice."""
    process = mixture([Z1R, process_from_config("zrr", {})])
    np.testing.assert_allclose(process.stationary_distribution, np.full(6, 1 / 6))
    tree = complete_tree(process, 4, 10**4)
    found, chance = belief_states(process, tree)
    nodes = reference_process.ground_truth(process.transition_tensor, process.initial_state, process.readout, 4)
    np.testing.assert_allclose(found, [node["belief"] for node in nodes], **EXACT)
    np.testing.assert_allclose(chance, [node["probability"] for node in nodes], **EXACT)
    alike = mixture([Z1R, process_from_config("z1r", {"p": 0.5})])
    assert has_finite_beliefs(alike) and not has_finite_beliefs(mixture([MESS3, mess3(0.5, 0.66)]))
