"""Controls of network surgery: networks that lack one part of it, and the pairs on which all are scored."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.modular_circuit.circuit import Weights
from geometry.modular_circuit.surgery import Pairs, Torus, apply_surgery, choose_frequencies, logits_of, modulus_of


def pairs_of(modulus: int, n_pairs: int, generator: np.random.Generator) -> Pairs:
    """All pairs of numbers, or `n_pairs` random ones if there are more."""
    if modulus**2 <= n_pairs:
        return np.divmod(np.arange(modulus**2), modulus)
    first, second = generator.integers(modulus, size=(2, n_pairs))
    return first, second


def shift_averaged_accuracy(weights: Weights, pairs: Pairs, n_shifts: int, sign: int = 1) -> float:
    """The accuracy of logits averaged over evenly spaced shifts (a + s, b - s): an evaluation, not another network."""
    (a, b), p = pairs, modulus_of(weights)
    shifts = np.unique(np.arange(n_shifts) * p // n_shifts)[:, None]
    shifted, place = np.unique((a + shifts) % p * p + (b - sign * shifts) % p, return_inverse=True)
    logits = logits_of(weights, np.divmod(shifted, p))[:, :p]  # of all pairs, shifted ones are the same pairs
    summed = sum(logits[of_shift] for of_shift in place.reshape(len(shifts), -1))
    return float((summed.argmax(axis=1) == (a + sign * b) % p).mean())


def unedited(weights: Weights, modulus: int) -> dict[str, ndarray]:
    """The original network, with its vocabulary cut or padded; missing tokens have no embedding and probability 0."""
    p = modulus_of(weights)
    missing = max(modulus - p, 0)

    def resized(table: Float[ndarray, "d_vocab ..."], missing_value: float) -> Float[ndarray, "new_vocab ..."]:
        numbers = np.concatenate([table[:p], np.full((missing, *table.shape[1:]), missing_value, table.dtype)])
        return np.concatenate([numbers[:modulus], table[p:]])

    return dict(weights) | {
        "embed.W_E": resized(weights["embed.W_E"], np.nan),
        "unembed.W_U": resized(weights["unembed.W_U"].T, 0.0).T.copy(),
        "unembed.b_U": resized(weights["unembed.b_U"], -np.inf),
    }


def nearest_tokens(weights: Weights, modulus: int) -> dict[str, ndarray]:
    """The network with each number of another modulus represented by the nearest original one on the circle."""
    p = modulus_of(weights)
    nearest = np.append((2 * np.arange(modulus) * p + modulus) // (2 * modulus) % p, p)
    return dict(weights) | {
        "embed.W_E": weights["embed.W_E"][nearest],
        "unembed.W_U": weights["unembed.W_U"][:, nearest],
        "unembed.b_U": weights["unembed.b_U"][nearest],
    }


def without_keys(torus: Torus) -> Torus:
    """The torus without the key frequencies and their harmonics, only with combinations of several keys."""
    others = torus.windings.keys() - torus.amplitudes.keys()
    return replace(torus, windings={k: torus.windings[k] for k in others if np.count_nonzero(torus.windings[k]) > 1})


def surgery_and_controls(
    weights: Weights,
    torus: Torus,
    choice: tuple[int, ...],
    modulus: int,
    at_initialisation: Weights,
    initial_torus: Torus,
) -> dict[str, dict[str, ndarray]]:
    """The surgery with chosen frequencies and its controls by name, each an ordinary network for addition modulo p'."""
    initial_choice, _ = choose_frequencies(initial_torus, modulus)
    complete = apply_surgery(weights, torus, choice, modulus)
    permuted = apply_surgery(weights, torus, choice[1:] + choice[:1], modulus)
    nearest = nearest_tokens(weights, modulus)
    unembedding = ("unembed.W_U", "unembed.b_U")
    return {
        "surgery": complete,
        "unedited": unedited(weights, modulus),
        "nearest_tokens": nearest,
        "embedding_only": complete | {name: nearest[name] for name in unembedding},
        "unembedding_only": nearest | {name: complete[name] for name in unembedding},
        "permuted_frequencies": complete | {name: permuted[name] for name in unembedding},
        "other_frequencies": apply_surgery(weights, without_keys(torus), choice, modulus),
        "at_initialisation": apply_surgery(at_initialisation, initial_torus, initial_choice, modulus),
    }
