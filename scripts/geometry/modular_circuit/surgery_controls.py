"""The network of another modulus beside those that lack one part of the surgery, and on which pairs they are tried."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.modular_circuit.circuit import Weights
from geometry.modular_circuit.surgery import Pairs, Torus, choose_frequencies, logits_of, modulus_of, transplanted


def pairs_of(modulus: int, n_pairs: int, generator: np.random.Generator) -> Pairs:
    """All pairs of numbers, or so many drawn ones if there are more."""
    if modulus**2 <= n_pairs:
        return np.divmod(np.arange(modulus**2), modulus)
    first, second = generator.integers(modulus, size=(2, n_pairs))
    return first, second


def shift_averaged_accuracy(weights: Weights, pairs: Pairs, n_shifts: int, sign: int = 1) -> float:
    """The accuracy of the mean of the logits over evenly spaced shifts (a + s, b - s): a way to ask, not a network."""
    a, b = pairs
    p = modulus_of(weights)
    shifts = np.unique(np.arange(n_shifts) * p // n_shifts)
    logits = sum(logits_of(weights, ((a + s) % p, (b - sign * s) % p))[:, :p] for s in shifts)
    return float((logits.argmax(axis=1) == (a + sign * b) % p).mean())


def unedited(weights: Weights, modulus: int) -> dict[str, ndarray]:
    """The original network on its own first tokens; of those that it lacks, nothing is known and none is predicted."""
    p = modulus_of(weights)
    missing = max(modulus - p, 0)

    def taken(table: Float[ndarray, "d_vocab ..."], missing_value: float) -> Float[ndarray, "new_vocab ..."]:
        numbers = np.concatenate([table[:p], np.full((missing, *table.shape[1:]), missing_value, table.dtype)])
        return np.concatenate([numbers[:modulus], table[p:]])

    return dict(weights) | {
        "embed.W_E": taken(weights["embed.W_E"], np.nan),
        "unembed.W_U": taken(weights["unembed.W_U"].T, 0.0).T.copy(),
        "unembed.b_U": taken(weights["unembed.b_U"], -np.inf),
    }


def nearest_tokens(weights: Weights, modulus: int) -> dict[str, ndarray]:
    """The network with each number of another modulus replaced by the original one that lies nearest on the circle."""
    p = modulus_of(weights)
    nearest = np.append((2 * np.arange(modulus) * p + modulus) // (2 * modulus) % p, p)
    return dict(weights) | {
        "embed.W_E": weights["embed.W_E"][nearest],
        "unembed.W_U": weights["unembed.W_U"][:, nearest],
        "unembed.b_U": weights["unembed.b_U"][nearest],
    }


def without_keys(torus: Torus) -> Torus:
    """The torus with the key frequencies and their harmonics left out of the spectrum, what combines keys kept."""
    others = torus.windings.keys() - torus.amplitudes.keys()
    return replace(torus, windings={k: torus.windings[k] for k in others if np.count_nonzero(torus.windings[k]) > 1})


def transplants(
    weights: Weights,
    torus: Torus,
    choice: tuple[int, ...],
    modulus: int,
    untrained: Weights,
    untrained_torus: Torus,
) -> dict[str, dict[str, ndarray]]:
    """The surgery with chosen frequencies and its controls by name, each an ordinary network for addition modulo p'."""
    untrained_choice, _ = choose_frequencies(untrained_torus, modulus)
    moved = transplanted(weights, torus, choice, modulus)
    permuted = transplanted(weights, torus, choice[1:] + choice[:1], modulus)
    nearest = nearest_tokens(weights, modulus)
    unembedding = ("unembed.W_U", "unembed.b_U")
    return {
        "surgery": moved,
        "unedited": unedited(weights, modulus),
        "nearest_tokens": nearest,
        "embedding_only": moved | {name: nearest[name] for name in unembedding},
        "unembedding_only": nearest | {name: moved[name] for name in unembedding},
        "permuted_frequencies": moved | {name: permuted[name] for name in unembedding},
        "other_frequencies": transplanted(weights, without_keys(torus), choice, modulus),
        "at_initialisation": transplanted(untrained, untrained_torus, untrained_choice, modulus),
    }
