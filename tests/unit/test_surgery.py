import itertools

import numpy as np
import pytest

from geometry.modular_circuit.surgery import (
    apply_surgery,
    best_torus,
    choose_frequencies,
    key_amplitudes,
    logits_of,
    relabelings,
    resynthesized,
    score,
    surgery,
    torus_of,
    windings,
)
from geometry.modular_circuit.surgery_controls import pairs_of, shift_averaged_accuracy, surgery_and_controls, unedited

KEYS = (1, 8, 12)
"""Of modulus 29; none is a harmonic 2 or 3 of another, nor a combination of two."""


def planted_network(p: int, keys: tuple[int, ...], n_phases: int = 24) -> dict[str, np.ndarray]:
    """Adds by hand-made weights: attention is uniform, and the neurons of phase f are relu(cos(A - f) + cos(B - f)),
    of which the second harmonic in f is |cos((A - B) / 2)| times the cosine of A + B (Zhong et al. 2023)."""
    n, (d_model, d_mlp) = len(keys), (4 * len(keys), n_phases * len(keys))
    phase = 2 * np.pi * np.arange(n_phases) / n_phases
    angle = 2 * np.pi * np.outer(np.arange(p), keys) / p
    W_E, W_U = np.zeros((p + 1, d_model)), np.zeros((d_model, p + 1))
    W_in, W_out = np.zeros((d_model, d_mlp)), np.zeros((d_mlp, d_model))
    W_E[:p, :n], W_E[:p, n : 2 * n] = np.cos(angle), np.sin(angle)
    W_U[2 * n : 3 * n, :p], W_U[3 * n :, :p] = np.cos(angle).T, np.sin(angle).T
    for key in range(n):
        neurons = slice(key * n_phases, (key + 1) * n_phases)
        W_in[key, neurons], W_in[n + key, neurons] = 3 * np.cos(phase), 3 * np.sin(phase)
        W_out[neurons, 2 * n + key], W_out[neurons, 3 * n + key] = np.cos(2 * phase), np.sin(2 * phase)
    weights = {
        "embed.W_E": W_E,
        "pos_embed.W_pos": np.zeros((3, d_model)),
        **{f"blocks.0.attn.W_{name}": np.zeros((1, d_model, d_model)) for name in "QK"},
        **{f"blocks.0.attn.W_{name}": np.eye(d_model)[None] for name in "VO"},
        **{f"blocks.0.attn.b_{name}": np.zeros((1, d_model)) for name in "QKV"},
        "blocks.0.attn.b_O": np.zeros(d_model),
        "blocks.0.mlp.W_in": W_in,
        "blocks.0.mlp.b_in": np.zeros(d_mlp),
        "blocks.0.mlp.W_out": W_out,
        "blocks.0.mlp.b_out": np.zeros(d_model),
        "unembed.W_U": W_U,
        "unembed.b_U": np.zeros(p + 1),
    }
    return {name: array.astype(np.float32) for name, array in weights.items()}


@pytest.fixture(scope="module")
def planted() -> dict[str, np.ndarray]:
    return planted_network(29, KEYS)


@pytest.fixture(scope="module")
def its_torus(planted):
    return torus_of(key_amplitudes(planted, 0.005), 29, 1)


def all_pairs(p: int) -> tuple[np.ndarray, np.ndarray]:
    return np.divmod(np.arange(p * p), p)


@pytest.mark.parametrize(("order", "keys"), [(1, (12, 6, 1, 4)), (2, (12, 6, 1, 8)), (3, (12, 6, 8))])
def test_keys_are_no_combinations_of_others(order, keys):
    """Modulo 29, 5 = -2 * 12, 7 = 3 * 12 and 8 = 2 * 4 are harmonics; 4 = 12 - 8 combines two, 1 = 2 * 12 + 6 three."""
    frequencies = [12, 5, 7, 6, 1, 8, 4]
    torus = torus_of(dict.fromkeys(frequencies, 1.0), 29, order)
    assert torus.keys == keys
    assert list(torus.amplitudes) == frequencies


def test_a_strong_frequency_that_is_a_combination_of_weaker_ones_is_no_key():
    """Modulo 29, 12 = 3 * 4 but 4 is no combination of 12 alone: a choice of k' for 12 would part it from 4."""
    assert torus_of({12: 2.0, 4: 1.0}, 29, 1).keys == (4,)
    assert torus_of({12: 3.0, 10: 2.0, 2: 1.0}, 29, 1).keys == (12, 10, 2)
    assert torus_of({12: 3.0, 10: 2.0, 2: 1.0}, 29, 2).keys == (12, 10)


def test_a_relabeling_is_the_same_network_with_other_names_for_the_numbers(planted, its_torus):
    a, b = all_pairs(29)
    before = logits_of(apply_surgery(planted, its_torus, its_torus.keys, 29), (a, b)).reshape(29, 29, -1)
    found = relabelings(its_torus.keys, 29)
    for choice in found:
        u = next(u for u in range(29) if all(u * k % 29 == new for k, new in zip(its_torus.keys, choice, strict=True)))
        after = logits_of(apply_surgery(planted, its_torus, choice, 29), (a, b)).reshape(29, 29, -1)
        t = u * np.arange(29) % 29
        np.testing.assert_allclose(after[..., :29], before[t][:, t][..., t], atol=1e-3)
    assert its_torus.keys in found and len(found) > 1


@pytest.mark.parametrize("alone", [True, False])
def test_combinations_are_judged_by_a_relabeling_only_where_there_is_nothing_else(planted, monkeypatch, alone):
    """The widest gap at the own modulus may be that of a relabeling, which is right whatever moves with the keys."""
    module, tried = "geometry.modular_circuit.surgery", set()

    def choices(torus, p):
        return dict.fromkeys([torus.keys] if alone else [torus.keys, tuple(2 + k % 5 for k in torus.keys)], 1.0)

    def without_surgery(weights, torus, choice, modulus):
        if len(torus.keys) > 1:  # any other frequency of a single key is a relabeling
            tried.add(choice == torus.keys)
        return weights

    monkeypatch.setattr(f"{module}.widest_gaps", choices)
    monkeypatch.setattr(f"{module}.apply_surgery", without_surgery)
    best_torus(planted, 0.005)
    assert tried == {alone}


def test_torus_that_only_relabelings_can_judge_comes_last():
    """Of combinations of four keys, 1 alone would do for 1 and 4, and any choice of it is right."""
    planted = planted_network(29, (1, 4))
    assert torus_of(key_amplitudes(planted, 0.005), 29, 4).keys == (1,)
    assert sorted(best_torus(planted, 0.005).keys) == [1, 4]


def test_amplitudes_of_a_planted_network_are_at_its_keys_also_for_a_difference(planted):
    assert sorted(key_amplitudes(planted, 0.005)) == sorted(KEYS)
    assert min(key_amplitudes(planted, 0.005).values()) > 0
    assert key_amplitudes(planted, 0.005, sign=-1) == {}  # there is no wave of a - b in it
    assert len(key_amplitudes(planted, 0.005, sign=-1, n_keys=2)) == 2


@pytest.mark.parametrize(("keys", "p"), [((3, 7, 11), 29), ((26, 16, 50, 54), 113), ((3,), 8), ((3, 4), 12)])
def test_windings_are_shortest_combinations_that_equal_the_frequency(keys, p):
    found = windings(keys, p, 3)
    shortest = {}
    for combination in itertools.product(range(-3, 4), repeat=len(keys)):
        k, order = np.dot(combination, keys) % p, sum(map(abs, combination))
        if 0 < k <= p // 2 and order <= 3:
            shortest[k] = min(order, shortest.get(k, order))
    assert {k: sum(map(abs, combination)) for k, combination in found.items()} == shortest
    assert all(np.dot(combination, keys) % p == k for k, combination in found.items())
    assert found[keys[0]] == (1, *[0] * (len(keys) - 1))


@pytest.mark.parametrize("p", [12, 29])
def test_resynthesis_at_the_own_frequencies_keeps_that_part_of_the_spectrum_alone(p):
    torus = torus_of({5: 1.0, 4: 1.0}, p, 3)
    torus.windings.pop(next(k for k in torus.windings if k not in torus.keys))
    table = np.random.default_rng(0).normal(size=(p, 3))
    spectrum = np.fft.fft(table, axis=0)
    kept = [0, *torus.windings, *(p - k for k in torus.windings)]
    dropped = np.setdiff1d(np.arange(p), kept)
    assert len(dropped)
    spectrum[dropped] = 0
    assert np.allclose(resynthesized(table, torus, torus.keys, p), np.fft.ifft(spectrum, axis=0).real)


@pytest.mark.parametrize("modulus", [6, 64, 101])
def test_resynthesis_moves_combinations_with_their_keys(modulus):
    p, torus, choice = 29, torus_of({3: 1.0, 11: 1.0}, 29, 3), (2, 5)
    t, s = 2 * np.pi * np.arange(p) / p, 2 * np.pi * np.arange(modulus) / modulus
    before = 4 + np.cos(3 * t + 1) + np.cos(14 * t + 2) + np.cos(6 * t) + np.sin((11 - 3) * t)
    after = 4 + np.cos(2 * s + 1) + np.cos(7 * s + 2) + np.cos(4 * s) + np.sin((5 - 2) * s)
    assert np.allclose(resynthesized(before[:, None], torus, choice, modulus)[:, 0], after)


@pytest.mark.parametrize("modulus", [2, 3, 4, 6, 9, 12, 16, 17])
@pytest.mark.parametrize(
    ("amplitudes", "turns"),  # of each frequency as the keys turn
    [
        ({3: 5.0}, [[1]]),
        ({3: 5.0, 11: 4.0}, np.eye(2)),
        ({1: 5.0, 8: 4.0, 12: 1.0}, np.eye(3)),
        ({3: 5.0, 11: 4.0, 8: 3.0}, [[1, 0], [0, 1], [-1, 1]]),
    ],
)
def test_choice_has_the_widest_gap_of_all(modulus, amplitudes, turns):
    choice, gap = choose_frequencies(torus_of(amplitudes, 29, 2), modulus)
    distance = np.arange(1, modulus)

    def gap_of(choice):
        terms = zip(amplitudes.values(), turns @ np.array(choice), strict=True)
        return sum(A * (1 - np.cos(2 * np.pi * k * distance / modulus)) for A, k in terms).min()

    everything = itertools.product(range(modulus // 2 + 1), repeat=len(choice))
    assert np.isclose(gap, max(map(gap_of, everything)))
    assert np.isclose(gap, gap_of(choice))


def test_lone_key_that_shares_a_factor_with_the_modulus_ties_all_numbers_and_is_not_chosen():
    weights, torus = planted_network(29, (3,)), torus_of({3: 1.0}, 29, 1)
    tied = apply_surgery(weights, torus, (4,), 12)["unembed.W_U"]
    assert np.array_equal(tied[:, :9], tied[:, 3:12])
    assert not np.allclose(tied[:, :8], tied[:, 4:12])
    for modulus in (6, 9, 12, 15, 30, 64):
        (choice,), gap = choose_frequencies(torus, modulus)
        assert np.gcd(choice, modulus) == 1
        assert np.isclose(gap, 1 - np.cos(2 * np.pi / modulus))


@pytest.mark.parametrize("modulus", [3, 5, 9, 15, 29, 31, 45])
def test_surgery_makes_an_exact_network_of_any_odd_modulus(planted, modulus):
    network = surgery(planted, modulus, 0.005)
    assert network["embed.W_E"].shape[0] == network["unembed.W_U"].shape[1] == modulus + 1
    assert network["embed.W_E"].dtype == network["unembed.W_U"].dtype == np.float32
    assert np.array_equal(network["embed.W_E"][-1], planted["embed.W_E"][-1])
    assert score(network, all_pairs(modulus)).accuracy == 1


@pytest.mark.parametrize("modulus", [2, 6, 10])
def test_surgery_inherits_that_neurons_cannot_see_the_sum_of_opposite_numbers(planted, its_torus, modulus):
    """cos((A - B) / 2) is 0 at a - b = p' / 2 for each odd k': the planted mechanism's own limit, and no more."""
    network = apply_surgery(planted, its_torus, (1, 1, 1), modulus)
    a, b = all_pairs(modulus)
    opposite = (a - b) % modulus == modulus // 2
    assert score(network, (a[~opposite], b[~opposite])).accuracy == 1
    assert np.ptp(logits_of(network, (a[opposite], b[opposite]))[:, :modulus], axis=1).max() < 1e-4


def test_combinations_move_only_where_they_prove_themselves_on_the_own_modulus(planted):
    """The planted network has no use for combinations; one that is thrown in at a wrong angle spoils them."""
    p, (first, second, _) = 29, KEYS
    spoilt = dict(planted)
    wave = np.cos(2 * np.pi * (first + second) * np.arange(p) / p)
    spoilt["unembed.W_U"] = planted["unembed.W_U"].copy()
    spoilt["unembed.W_U"][0, :p] -= 40 * wave.astype(np.float32)
    assert score(spoilt, all_pairs(p)).accuracy < 1
    found = best_torus(spoilt, 0.005)
    assert all(np.count_nonzero(v) == 1 for v in found.windings.values())
    assert any(np.count_nonzero(v) > 1 for v in torus_of(key_amplitudes(spoilt, 0.005), p, 3).windings.values())
    assert score(surgery(spoilt, 15, 0.005), all_pairs(15)).accuracy == 1


def test_surgery_on_a_network_without_keys_gives_one_without_any_right_answer():
    constant = {name: np.zeros_like(array) for name, array in planted_network(29, KEYS).items()}
    assert best_torus(constant, 0.005).keys == ()
    assert score(surgery(constant, 7, 0.005), all_pairs(7)).accuracy == 0


def test_score_counts_ties_and_the_last_token_as_errors(planted):
    constant = {name: np.zeros_like(array) for name, array in planted.items()}
    assert score(constant, all_pairs(29)).accuracy == 0
    loud = planted | {"unembed.b_U": np.append(np.zeros(29), 1e6).astype(np.float32)}
    scored = score(loud, all_pairs(29))
    assert (scored.accuracy, scored.accuracy_of_all_tokens) == (1, 0)
    assert np.isclose(scored.least_gap, score(planted, all_pairs(29)).least_gap)


def test_shift_average_mends_errors_that_depend_on_the_difference(planted, its_torus):
    network = apply_surgery(planted, its_torus, (1, 1, 1), 6)
    accuracy = score(network, all_pairs(6)).accuracy
    assert np.isclose(shift_averaged_accuracy(network, all_pairs(6), 1), accuracy, atol=0.1) and accuracy < 0.9
    assert shift_averaged_accuracy(network, all_pairs(6), 6) == 1


def test_pairs_are_all_of_them_or_drawn_below_the_modulus():
    generator = np.random.default_rng(0)
    assert len(set(zip(*pairs_of(10, 100, generator), strict=True))) == 100
    drawn = np.array(pairs_of(997, 50, generator))
    assert drawn.shape == (2, 50) and drawn.max() < 997 and len(np.unique(drawn)) > 80


@pytest.mark.parametrize("modulus", [17, 47])
def test_controls_fail_where_the_surgery_succeeds(planted, its_torus, modulus):
    generator = np.random.default_rng(3)
    shapes = {name: array.shape for name, array in planted.items()}
    at_initialisation = {name: generator.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    initial_torus = torus_of(key_amplitudes(at_initialisation, 0.005, n_keys=3), 29, 1)
    choice, _ = choose_frequencies(its_torus, modulus)
    networks = surgery_and_controls(planted, its_torus, choice, modulus, at_initialisation, initial_torus)
    accuracy = {name: score(network, all_pairs(modulus)).accuracy for name, network in networks.items()}
    assert accuracy.pop("surgery") == 1
    assert len(accuracy) == 7 and max(accuracy.values()) < 0.8


def test_unedited_network_is_right_below_its_modulus_and_where_nothing_wraps():
    p, network = 29, planted_network(29, KEYS)
    assert np.isclose(score(unedited(network, 40), all_pairs(40)).accuracy, p * (p + 1) / 2 / 40**2)
    a, b = all_pairs(17)
    below = a + b < 17
    assert score(unedited(network, 17), (a[below], b[below])).accuracy == 1
    for name, array in unedited(network, p).items():
        assert np.array_equal(array, network[name])


def test_every_resampling_at_the_own_modulus_is_the_network_itself(planted, its_torus):
    networks = surgery_and_controls(planted, its_torus, its_torus.keys, 29, planted, its_torus)
    for name in ("unedited", "nearest_tokens"):
        assert all(np.array_equal(networks[name][key], planted[key]) for key in planted)
