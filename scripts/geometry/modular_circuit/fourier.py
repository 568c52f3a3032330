"""Functions of a residue modulo p as sums of waves, and how few waves a function needs.

The frequencies are k = 0 .. p // 2. Frequency k has a cosine and a sine; 0 has the constant alone and, for
even p, p / 2 has cos(pi t) alone. Arrays with an axis of frequencies have all of them, 0 included, so that
their index is the frequency.
"""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray


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


def waves_of(frequencies: Iterable[int], modulus: int) -> Float[ndarray, "vector token"]:
    """The rows of the basis that have one of some frequencies."""
    return fourier_basis(modulus)[np.isin(basis_frequency(modulus), np.array(list(frequencies), dtype=int))]


def projected(x: Float[ndarray, "token feature"], frequencies: Iterable[int]) -> Float[ndarray, "token feature"]:
    """The part of some functions of a token that some frequencies make up."""
    waves = waves_of(frequencies, len(x))
    return waves.T @ (waves @ x)


def energy_by_vector(x: Float[ndarray, "token feature"]) -> Float[ndarray, " vector"]:
    """The squared length of the coefficients of each vector of the basis; their sum is that of the array."""
    return np.square(fourier_basis(len(x)) @ x).sum(axis=1)


def energy_by_frequency(x: Float[ndarray, "token feature"]) -> Float[ndarray, " frequency"]:
    """The squared length of the part of each frequency; their sum is that of the array."""
    return np.bincount(basis_frequency(len(x)), energy_by_vector(x))


def participation_ratio(energy: Float[ndarray, " vector"]) -> float:
    """How many vectors would share the energy if all had the same: (sum e)^2 / sum e^2; nan of no energy."""
    return float(energy.sum() ** 2 / np.square(energy).sum()) if energy.any() else math.nan


def gini(energy: Float[ndarray, " vector"]) -> float:
    """The Gini coefficient: 0 if all vectors have the same energy, 1 - 1/n if one of n has it all; nan of no energy."""
    if not energy.any():
        return math.nan
    n = len(energy)
    rank = 2 * np.arange(1, n + 1) - n - 1
    return float(rank @ np.sort(energy) / (n * energy.sum()))


def vectors_for(energy: Float[ndarray, " vector"], share: float) -> int:
    """The least number of vectors that hold a share of the energy together; 0 of no energy."""
    held = np.cumsum(np.sort(energy)[::-1])
    return int(np.searchsorted(held, share * held[-1])) + 1 if held[-1] > 0 else 0


def circle_coordinates(x: Float[ndarray, "token feature"], frequency: int) -> Float[ndarray, "token 2"]:
    """Each token on the plane of one frequency, at a distance of 1 from the centre in the mean.

    The plane is spanned by the coefficients of the cosine and of the sine; its axes are the orthonormal pair
    that is closest to these two, so that neither is preferred and token t of a perfect circle stands at
    2 pi k t / p. All of the array is projected on it, whatever its frequency. Frequency p / 2 has a line. Tokens
    that are all the same stand at the centre.
    """
    coefficients = waves_of([frequency], len(x)) @ x
    left, _, right = np.linalg.svd(coefficients, full_matrices=False)
    coordinates = (x - x.mean(axis=0)) @ (left @ right).T
    coordinates = np.pad(coordinates, ((0, 0), (0, 2 - coordinates.shape[1])))
    size = np.linalg.norm(coordinates, axis=1).mean()
    return coordinates / size if size > 0 else coordinates
