"""Functions of a residue as waves, against NumPy's transform, and measures of sparsity in closed form."""

import numpy as np
import pytest

from geometry.modular_circuit.fourier import (
    basis_frequency,
    circle_coordinates,
    energy_by_frequency,
    fourier_basis,
    gini,
    participation_ratio,
    projected,
    vectors_for,
)

MODULI = [2, 3, 4, 9, 12, 53]


@pytest.mark.parametrize("p", MODULI)
def test_the_basis_is_orthonormal_and_its_energies_are_those_of_the_transform(p):
    np.testing.assert_allclose(fourier_basis(p) @ fourier_basis(p).T, np.eye(p), atol=1e-12)
    assert np.bincount(basis_frequency(p)).tolist() == [1] + [2] * ((p - 1) // 2) + [1] * (p % 2 == 0)
    x = np.random.default_rng(p).normal(size=(p, 5))
    power = np.square(np.abs(np.fft.fft(x, axis=0))).sum(axis=1) / p
    both = [power[0], *(power[k] + power[-k] if 2 * k != p else power[k] for k in range(1, p // 2 + 1))]
    np.testing.assert_allclose(energy_by_frequency(x), both, atol=1e-12)


@pytest.mark.parametrize("p", MODULI)
def test_the_parts_of_all_frequencies_make_up_the_whole(p):
    x = np.random.default_rng(p).normal(size=(p, 3))
    parts = [projected(x, [k]) for k in range(p // 2 + 1)]
    np.testing.assert_allclose(sum(parts), x, atol=1e-12)
    np.testing.assert_allclose(np.square(parts).sum(axis=(1, 2)), energy_by_frequency(x), atol=1e-12)
    np.testing.assert_array_equal(projected(x, []), 0)


def test_sparsity_of_known_energies():
    flat, one = np.ones(8), np.eye(8)[3]
    assert (participation_ratio(flat), gini(flat), vectors_for(flat, 0.5)) == (8, 0, 4)
    assert (participation_ratio(one), gini(one), vectors_for(one, 0.9)) == (1, 1 - 1 / 8, 1)
    energy = np.array([1.0, 0, 6, 3])  # not sorted, one empty
    assert participation_ratio(energy) == pytest.approx(100 / 46)
    difference = np.abs(energy[:, None] - energy).sum()
    assert gini(energy) == pytest.approx(difference / (2 * 16 * energy.mean()))
    assert [vectors_for(energy, share) for share in (0.5, 0.61, 0.85, 0.95, 1.0)] == [1, 2, 2, 3, 3]


def test_a_planted_circle_is_found_at_its_angles():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(10, 6)))
    t = np.arange(14)
    angle = {k: 2 * np.pi * k * t / 14 for k in (3, 5, 7)}
    x = 4 * (np.outer(np.cos(angle[3]), axes[:, 0]) + np.outer(np.sin(angle[3]), axes[:, 1])) + 2
    x += 9 * (np.outer(np.cos(angle[5]), axes[:, 2]) + np.outer(np.sin(angle[5]), axes[:, 3]))
    x += 3 * np.outer(np.cos(angle[7]), axes[:, 4])
    found = circle_coordinates(x, 3)
    np.testing.assert_allclose(found, np.stack([np.cos(angle[3]), np.sin(angle[3])], axis=1), atol=1e-12)
    np.testing.assert_allclose(circle_coordinates(x, 7), np.stack([np.cos(angle[7]), 0 * t], axis=1), atol=1e-12)
