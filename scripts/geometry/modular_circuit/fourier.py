"""Fourier analysis of functions of a residue modulo p, and measures of the sparsity of their spectrum.

The frequencies are k = 0 .. p // 2. Frequency k has a cosine and a sine; 0 has the constant alone and, for
even p, p / 2 has cos(pi t) alone. Arrays with an axis of frequencies include 0, so that
the index is the frequency.
"""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

OF_LOGARITHM = "fourier_of_logarithm"
"""The Fourier basis of the discrete logarithm, in which products of residues other than 0 are sums."""


def basis_frequency(modulus: int) -> Integer[ndarray, " vector"]:
    """The frequency of each vector of the basis."""
    return (np.arange(modulus) + 1) // 2


def fourier_basis(modulus: int) -> Float[ndarray, "vector token"]:
    """Orthonormal rows: the constant, then the cosine and the sine of each frequency."""
    vector, token = np.arange(modulus)[:, None], np.arange(modulus)
    angle = 2 * np.pi * (basis_frequency(modulus)[:, None] * token % modulus) / modulus
    waves = np.where(vector % 2, np.cos(angle), np.sin(angle))
    waves[0] = 1
    return waves / np.linalg.norm(waves, axis=1, keepdims=True)


def fourier_basis_of_logarithm(powers: Integer[ndarray, " logarithm"]) -> Float[ndarray, "vector token"]:
    """Orthonormal rows: the residue 0 alone, then the waves of the discrete logarithm of the others."""
    basis = np.zeros((len(powers) + 1, len(powers) + 1))
    basis[0, 0] = 1
    basis[1:, powers] = fourier_basis(len(powers))
    return basis


def waves_of(frequencies: Iterable[int], modulus: int) -> Float[ndarray, "vector token"]:
    """The rows of the basis of the given frequencies."""
    return fourier_basis(modulus)[np.isin(basis_frequency(modulus), np.array(list(frequencies), dtype=int))]


def projected(x: Float[ndarray, "token feature"], frequencies: Iterable[int]) -> Float[ndarray, "token feature"]:
    """The projection of functions of a token on the waves of some frequencies."""
    waves = waves_of(frequencies, len(x))
    return waves.T @ (waves @ x)


def energy_by_vector(x: Float[ndarray, "token feature"]) -> Float[ndarray, " vector"]:
    """The squared length of the coefficients of each vector of the basis; the sum is that of the array."""
    return np.square(fourier_basis(len(x)) @ x).sum(axis=1)


def energy_by_frequency(x: Float[ndarray, "token feature"]) -> Float[ndarray, " frequency"]:
    """The squared length of the component of each frequency; the sum is that of the array."""
    return np.bincount(basis_frequency(len(x)), energy_by_vector(x))


def participation_ratio(energy: Float[ndarray, " vector"]) -> float:
    """The participation ratio (sum e)^2 / sum e^2, the effective number of vectors; nan of no energy."""
    return float(energy.sum() ** 2 / np.square(energy).sum()) if energy.any() else math.nan


def gini(energy: Float[ndarray, " vector"]) -> float:
    """The Gini coefficient: 0 for equal energies, 1 - 1/n if one of n vectors has all of it; nan of no energy."""
    if not energy.any():
        return math.nan
    n = len(energy)
    rank = 2 * np.arange(1, n + 1) - n - 1
    return float(rank @ np.sort(energy) / (n * energy.sum()))


def vectors_for(energy: Float[ndarray, " vector"], share: float) -> int:
    """The least number of vectors that hold a share of the energy together; 0 of no energy."""
    held = np.cumsum(np.sort(energy)[::-1])
    return int(np.searchsorted(held, share * held[-1])) + 1 if held[-1] > 0 else 0


def sparsity(energy: Float[ndarray, " vector"]) -> dict[str, float]:
    """Measures of sparsity by name; shares of no energy are nan."""
    return {
        "participation_ratio": participation_ratio(energy),
        "gini": gini(energy),
        "vectors_for_90_percent": vectors_for(energy, 0.9),
    }


def circle_coordinates(x: Float[ndarray, "token feature"], frequency: int) -> Float[ndarray, "token 2"]:
    """The coordinates of each token on the plane of one frequency, scaled to a mean distance of 1 from the centre.

    The plane is spanned by the coefficients of the cosine and of the sine; its axes are the orthonormal pair
    that is closest to these two (symmetric orthogonalisation), so that token t of a perfect circle is at the angle
    2 pi k t / p. The whole array is projected on it, all frequencies included. Frequency p / 2 has a line. Tokens
    that are all equal are at the centre.
    """
    coefficients = waves_of([frequency], len(x)) @ x
    left, _, right = np.linalg.svd(coefficients, full_matrices=False)
    coordinates = (x - x.mean(axis=0)) @ (left @ right).T
    coordinates = np.pad(coordinates, ((0, 0), (0, 2 - coordinates.shape[1])))
    size = np.linalg.norm(coordinates, axis=1).mean()
    return coordinates / size if size > 0 else coordinates
