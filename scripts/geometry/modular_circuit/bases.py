"""Orthonormal bases of functions of a residue, in which the sparsity of an embedding is compared.

A basis is a matrix with one function in each row. Wavelets are Daubechies' on a ring of p points,
down to the coarsest scale, and exist where p is a power of two. "db4" has 4 vanishing
moments and 8 taps; "haar" has 1 and 2.
"""

import numpy as np
import pywt
from jaxtyping import Float
from numpy import ndarray

from geometry.modular_circuit.fourier import OF_LOGARITHM, fourier_basis, fourier_basis_of_logarithm
from geometry.tasks.modular_arithmetic import powers_of_primitive_root

WAVELET = "db4"


def is_power_of_two(p: int) -> bool:
    return p & (p - 1) == 0


def bands(node: Float[ndarray, "vector residue"], wavelet: str) -> tuple[ndarray, ndarray]:
    """The lower and the upper half-band of a node, each with half its vectors."""
    return pywt.dwt(node, wavelet, mode="periodization", axis=0)


def wavelet_basis(p: int, wavelet: str) -> Float[ndarray, "p p"]:
    """The constant and the wavelets of every scale, the coarsest first: the lower band is halved repeatedly."""
    node, wavelets = np.eye(p), []
    while len(node) > 1:
        node, upper = bands(node, wavelet)
        wavelets.insert(0, upper)
    return np.vstack([node, *wavelets])


def packet_basis(p: int, wavelet: str) -> Float[ndarray, "p p"]:
    """The wavelet packets at the last level: every band is halved, until each vector is a band of its own.

    These are not localised on the ring; they resolve frequencies as well as a short filter can.
    """
    nodes = [np.eye(p)]
    while len(nodes[0]) > 1:
        nodes = [band for node in nodes for band in bands(node, wavelet)]
    return np.vstack(nodes)


def best_packet_basis(functions: Float[ndarray, "p d_model"], wavelet: str) -> Float[ndarray, "p p"]:
    """The basis of wavelet packets in which the energy of these functions has the least entropy.

    The search of Coifman and Wickerhauser (1992), for all functions together. The basis adapts to the functions,
    so it must be compared with that adapted to noise; for functions without energy, all bases are equivalent.
    """
    total = (functions**2).sum() or 1.0

    def best(node: Float[ndarray, "vector p"]) -> tuple[Float[ndarray, "vector p"], float]:
        entropy = entropy_nats(energies(functions, node) / total)
        if len(node) == 1:
            return node, entropy
        (lower, of_lower), (upper, of_upper) = (best(band) for band in bands(node, wavelet))
        return (node, entropy) if entropy <= of_lower + of_upper else (np.vstack([lower, upper]), of_lower + of_upper)

    return best(np.eye(len(functions)))[0]


def entropy_nats(share: Float[ndarray, " vector"]) -> float:
    """The contribution of some shares of a distribution to its entropy, - sum s log s."""
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def energies(functions: Float[ndarray, "p d_model"], basis: Float[ndarray, "vector p"]) -> Float[ndarray, " vector"]:
    """The squared coefficients of each vector of a basis, summed over the functions."""
    return ((basis @ functions) ** 2).sum(axis=1)


def fixed_bases(p: int, rng: np.random.Generator, of_products: bool = False) -> dict[str, Float[ndarray, "p p"]]:
    """The bases that do not depend on the functions, by name; wavelets, and logarithms of products, where they exist.

    Shuffled tokens are the control that destroys only the order of tokens; a random basis destroys all structure.
    """
    fourier = fourier_basis(p)
    bases = {
        "fourier": fourier,
        "raw": np.eye(p),
        "random": np.linalg.qr(rng.normal(size=(p, p)))[0].T,
        "fourier_of_shuffled_tokens": fourier[:, rng.permutation(p)],
    }
    if of_products and (powers := powers_of_primitive_root(p)) is not None:
        bases[OF_LOGARITHM] = fourier_basis_of_logarithm(powers)
    if is_power_of_two(p):
        bases |= {name: wavelet_basis(p, name) for name in ("haar", WAVELET)}
        bases[f"{WAVELET}_packets"] = packet_basis(p, WAVELET)
    return bases


def energies_by_basis(
    functions: Float[ndarray, "p d_model"], rng: np.random.Generator, of_products: bool = False
) -> dict[str, Float[ndarray, " p"]]:
    """The energy of each vector of each basis, of functions of a residue without their means.

    The mean is removed since it is a vector of some of the bases only.
    """
    varying = functions - functions.mean(axis=0)
    bases = fixed_bases(len(functions), rng, of_products)
    if is_power_of_two(len(functions)):
        bases[f"{WAVELET}_best_packets"] = best_packet_basis(varying, WAVELET)
    return {name: energies(varying, basis) for name, basis in bases.items()}
