"""Bases of functions of a residue: orthonormal, the ones they are named after, and sparse in what was planted."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import pywt
from scipy.linalg import hadamard

from compare_bases import compare_bases, shares_of_largest
from geometry.modular_circuit.bases import (
    best_packet_basis,
    energies,
    energies_by_basis,
    entropy_nats,
    fixed_bases,
    packet_basis,
    wavelet_basis,
)
from geometry.modular_circuit.fourier import participation_ratio, sparsity
from geometry.tables import select
from geometry.tasks.modular_arithmetic import powers_of_primitive_root

EVERYWHERE = {"fourier", "raw", "random", "fourier_of_shuffled_tokens"}
WAVELETS = {"haar", "db4", "db4_packets", "db4_best_packets"}


def seeded(seed=0):
    return np.random.default_rng(seed)


def wave(p, frequency, phase):
    return np.cos(2 * np.pi * frequency * np.arange(p) / p + phase)[:, None]


def circle(p, frequency, d_model):
    plane = np.linalg.qr(seeded().normal(size=(d_model, 2)))[0].T
    return np.hstack([wave(p, frequency, 0), wave(p, frequency, -np.pi / 2)]) @ plane


def ratios(functions):
    return {name: participation_ratio(energy) for name, energy in energies_by_basis(functions, seeded()).items()}


@pytest.mark.parametrize("p", [2, 6, 8, 53, 64, 113])
def test_bases_are_orthonormal_and_keep_all_but_the_mean(p):
    functions = seeded().normal(size=(p, 3)) + np.array([5, 0, 0])
    found, bases = energies_by_basis(functions, seeded()), fixed_bases(p, seeded())
    if p in (2, 8, 64):
        bases["db4_best_packets"] = best_packet_basis(functions, "db4")
    assert set(found) == set(bases) == EVERYWHERE | (WAVELETS if p in (2, 8, 64) else set())
    for name, basis in bases.items():
        np.testing.assert_allclose(basis @ basis.T, np.eye(p), atol=1e-10, err_msg=name)
        assert found[name].sum() == pytest.approx(p * functions.var(axis=0).sum()), name


@pytest.mark.parametrize(("p", "root"), [(2, 1), (3, 2), (5, 2), (7, 3), (41, 6), (113, 3)])
def test_powers_of_the_least_primitive_root_are_all_residues_but_0(p, root):
    powers = powers_of_primitive_root(p)
    assert powers.tolist() == [pow(root, n, p) for n in range(p - 1)] and set(powers) == set(range(1, p))


@pytest.mark.parametrize("p", [4, 6, 8, 9, 15, 64])
def test_composite_modulus_has_no_logarithm(p):
    assert powers_of_primitive_root(p) is None
    assert "fourier_of_logarithm" not in fixed_bases(p, seeded(), of_products=True)


def test_function_of_products_is_sparse_in_the_fourier_basis_of_the_logarithm_alone():
    """A character of the residues but 0: chi(a) chi(b) = chi(a b)."""
    p, frequency = 53, 5
    logarithm = np.argsort(powers_of_primitive_root(p))  # of 1, 2, ...
    character = np.exp(2j * np.pi * frequency * logarithm / (p - 1))
    a, b = np.divmod(np.arange((p - 1) ** 2), p - 1)
    np.testing.assert_allclose(character[a] * character[b], character[(a + 1) * (b + 1) % p - 1], atol=1e-12)
    functions = np.stack([np.concatenate([[0], part]) for part in (character.real, character.imag)], axis=1)
    found = energies_by_basis(functions, seeded(), of_products=True)
    assert participation_ratio(found["fourier_of_logarithm"]) == pytest.approx(2)
    assert participation_ratio(found["fourier"]) > 20
    basis = fixed_bases(p, seeded(), of_products=True)["fourier_of_logarithm"]
    np.testing.assert_allclose(basis @ basis.T, np.eye(p), atol=1e-12)


@pytest.mark.parametrize("p", [6, 53, 64])
def test_wave_of_any_phase_is_two_vectors_of_fourier_at_most(p):
    fourier = fixed_bases(p, seeded())["fourier"]
    for frequency, phase in product(range(1, p // 2 + 1), [0, 0.3, np.pi / 4]):
        assert participation_ratio(energies(wave(p, frequency, phase), fourier)) <= 2 + 1e-9
    if p % 2 == 0:
        assert participation_ratio(energies(wave(p, p // 2, 0.3), fourier)) == pytest.approx(1)


def test_mean_changes_no_energy_and_no_choice_of_a_basis():
    functions = seeded().normal(size=(64, 2))
    shifted = energies_by_basis(functions + np.array([5, 0]), seeded())
    for name, energy in energies_by_basis(functions, seeded()).items():
        np.testing.assert_allclose(shifted[name], energy, atol=1e-10, err_msg=name)


def test_circle_is_sparse_in_fourier_only():
    ratio = ratios(circle(64, 13, 16))
    assert ratio.pop("fourier") == pytest.approx(2)
    assert min(ratio.values()) == ratio["db4_best_packets"] < 5
    assert min(ratio[name] for name in ("haar", "db4", "random", "fourier_of_shuffled_tokens", "raw")) > 10


def test_haar_wavelets_are_steps_at_every_scale_and_place():
    half, quarter, once = np.sqrt([1 / 2, 1 / 4, 1 / 8])
    steps = [
        [once, once, once, once, once, once, once, once],
        [once, once, once, once, -once, -once, -once, -once],
        [quarter, quarter, -quarter, -quarter, 0, 0, 0, 0],
        [0, 0, 0, 0, quarter, quarter, -quarter, -quarter],
        [half, -half, 0, 0, 0, 0, 0, 0],
        [0, 0, half, -half, 0, 0, 0, 0],
        [0, 0, 0, 0, half, -half, 0, 0],
        [0, 0, 0, 0, 0, 0, half, -half],
    ]
    np.testing.assert_allclose(np.abs(wavelet_basis(8, "haar") @ np.transpose(steps)), np.eye(8), atol=1e-12)
    for step in steps[1:]:
        ratio = ratios(np.transpose([step]))
        assert ratio["haar"] == pytest.approx(1) and ratio["fourier"] > 1.5


def test_db4_wavelets_do_not_see_cubics_and_are_shifts_of_one_another():
    finest = wavelet_basis(64, "db4")[32:]
    np.testing.assert_allclose(np.roll(finest, 2, axis=1), np.roll(finest, -1, axis=0), atol=1e-12)
    token = np.arange(64) / 64
    inside = [wavelet for wavelet in finest if np.ptp(np.flatnonzero(np.abs(wavelet) > 1e-12)) < 8]
    assert len(inside) > 20
    for degree in range(5):
        assert (np.abs(inside @ token**degree) < 1e-10).all() == (degree < 4)


def test_haar_packets_at_the_last_level_are_walsh_functions():
    overlap = np.abs(packet_basis(16, "haar") @ hadamard(16)) / 4
    np.testing.assert_allclose(np.sort(overlap, axis=1), np.eye(16)[:1].repeat(16, axis=0)[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(overlap.sum(axis=0), 1)


@pytest.mark.parametrize("seed", range(4))
def test_best_basis_has_the_least_entropy_of_all_bases_of_packets(seed):
    functions = seeded(seed).normal(size=(8, 3)) + 3 * wave(8, seed + 1, 0) * [1, 0, 0]
    packets = pywt.WaveletPacket(functions, "db4", mode="periodization", maxlevel=3, axis=0)

    def leaves(path):
        """The coefficients in every choice of nodes that together stand for one."""
        yield packets[path].data if path else functions
        if len(path) < 3:
            for lower, upper in product(leaves(f"{path}a"), leaves(f"{path}d")):
                yield np.vstack([lower, upper])

    total = (functions**2).sum()
    entropies = [entropy_nats((leaf**2).sum(axis=1) / total) for leaf in leaves("")]
    assert len(entropies) == 26
    found = entropy_nats(energies(functions, best_packet_basis(functions, "db4")) / total)
    assert found == pytest.approx(min(entropies), abs=1e-10) and found < max(entropies) - 0.1


def test_best_basis_finds_sparsity_in_noise():
    found = energies_by_basis(seeded().normal(size=(64, 4)), seeded())
    among = {name: entropy_nats(found[name] / found[name].sum()) for name in ("raw", "db4", "db4_packets")}
    best = found["db4_best_packets"]
    assert entropy_nats(best / best.sum()) < min(among.values()) - 0.05


def test_shuffle_and_random_basis_follow_the_seed():
    for name in ("random", "fourier_of_shuffled_tokens"):
        one, again, other = (fixed_bases(53, seeded(seed))[name] for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, again)
        assert np.abs(one - other).max() > 0.01
    bases = fixed_bases(53, seeded())
    columns = [sorted(map(tuple, bases[name].T)) for name in ("fourier", "fourier_of_shuffled_tokens")]
    np.testing.assert_array_equal(*columns)


def test_sparsity_of_known_energies():
    found = sparsity(np.array([0, 1, 6, 0, 0, 3.0] + [0] * 6))
    assert found["participation_ratio"] == pytest.approx(100 / 46)
    assert found["vectors_for_90_percent"] == 2
    share = shares_of_largest(np.array([0, 1, 6, 0, 0, 3.0] + [0] * 6))
    assert [share[n] for n in (1, 2, 10)] == pytest.approx([0.6, 0.9, 1]) and 16 not in share


def test_table_tells_snapshots_and_matrices_apart_and_leaves_out_the_last_token_and_the_mean():
    p, d_model = 53, 64
    noise = seeded().normal(size=(2, p + 1, d_model))
    embedding, unembedding = noise.copy(), noise.transpose(0, 2, 1).copy()
    embedding[1, :p] = circle(p, 26, d_model) + 1
    embedding[1, p] = 1000
    unembedding[0, :, :p] = np.hstack([wave(p, 5, 1)] * d_model).T
    snapshots = {"embed.W_E": embedding, "unembed.W_U": unembedding, "step": np.array([0, 9]), "seed": np.array([4, 7])}
    table = compare_bases(snapshots, p)
    pd.testing.assert_frame_equal(table, compare_bases(snapshots, p))
    assert not table.duplicated(["seed", "step", "matrix", "basis", "measure", "index"]).any()
    assert set(zip(table["seed"], table["step"], strict=True)) == {(4, 0), (7, 9)}
    fourier = select(table, basis="fourier", measure="participation_ratio").set_index(["step", "matrix"])["value"]
    assert fourier[9, "W_E"] == pytest.approx(2) and fourier[0, "W_U"] < 2
    assert min(fourier[0, "W_E"], fourier[9, "W_U"]) > 40
    (share,) = select(table, basis="constant", step=9, matrix="W_E")["value"]
    assert share == pytest.approx(64 / 65)  # of each token, 64 in the mean and 1 on the circle
