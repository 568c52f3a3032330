"""Network surgery: a trained network for addition modulo p becomes one for another modulus, without training.

The network represents a number t by its angles 2 pi k t / p at a few key frequencies k (Nanda et al. 2023,
arXiv 2301.05217): a point on a torus, one circle for each key. Nothing after the embedding depends on p. Surgery
treats W_E and W_U as functions on the torus, each frequency as the combination of keys that it equals modulo p, and
evaluates them at the points of the numbers of another modulus p', at the angles 2 pi k' t / p'.
The free parameters are one whole number k' for each key. They are chosen by the network's logits on its own pairs
modulo p, never by an answer modulo p'.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Integer
from numpy import ndarray
from torch import Tensor

from geometry.modular_circuit.circuit import Weights, key_frequencies, logit_amplitudes
from geometry.networks.one_layer import fold

HIGHEST_ORDER = 6
"""The largest number of keys, counted with multiplicity, that a frequency may combine."""

HIGHEST_HARMONIC = 3
"""The largest multiple of one key that is always replaced with it."""

SCORED_AT_ONCE = 2048
"""Pairs whose logits are computed together: they fit the processor's cache."""

GAP_DIGITS = 9
"""Digits of a predicted gap behind the decimal point; smaller differences are rounding."""

CHOICES_TRIED, PAIRS_TRIED = 4, 2000
"""Choices of other frequencies, and random pairs, by which the combinations of a torus are compared."""

Pairs = tuple[Integer[ndarray, " pair"], Integer[ndarray, " pair"]]
"""The first and the second number of each pair."""


@dataclass(frozen=True)
class Torus:
    """The representation of numbers in a network for addition modulo p: an angle for each key frequency."""

    modulus: int
    keys: tuple[int, ...]  # the strongest first; none is a combination of others
    amplitudes: dict[int, float]  # in the logits, of all key frequencies, combinations included
    windings: dict[int, tuple[int, ...]]  # turns of each frequency as each key turns once


@dataclass(frozen=True)
class SurgeryScore:
    """The accuracy and logit gap of a network for addition modulo its number of numbers."""

    accuracy: float  # of the argmax over numbers
    accuracy_of_all_tokens: float  # of the argmax over numbers and '='
    least_gap: float  # least logit of the right number minus the next; nan where a token does not exist


def modulus_of(weights: Weights) -> int:
    return len(weights["embed.W_E"]) - 1


def logits_in_chunks(weights: Weights, pairs: Pairs) -> Iterator[Float[Tensor, "chunk_pair d_vocab"]]:
    """The logits at '=' after some pairs, chunk by chunk, in the precision of the weights."""
    with torch.no_grad():
        folded = fold({name: torch.from_numpy(array) for name, array in weights.items()}, modulus_of(weights))
        for first, second in torch.from_numpy(np.stack(pairs)).split(SCORED_AT_ONCE, dim=1):
            yield folded.activations(first, second).logits


def logits_of(weights: Weights, pairs: Pairs) -> Float[ndarray, "pair d_vocab"]:
    return torch.cat(list(logits_in_chunks(weights, pairs))).numpy()


def multiplicity(p: int) -> Integer[ndarray, " frequency"]:
    """The number of the p exponentials that make up each frequency 0 .. p // 2."""
    return np.where(2 * np.arange(p // 2 + 1) % p == 0, 1, 2)


def windings(keys: tuple[int, ...], p: int, order: int) -> dict[int, tuple[int, ...]]:
    """The shortest combination of at most `order` keys that each frequency equals modulo p; harmonics up to 3.

    Ties are resolved in favour of fewer, then of stronger keys. Frequencies that equal none are left out.
    """
    signed = [sign * key for key in keys for sign in (1, -1)]
    shortest: dict[int, tuple[int, ...]] = {}
    for n_terms in range(1, max(order, HIGHEST_HARMONIC) + 1):
        harmonics = ((term,) * n_terms for term in range(len(signed)))
        combinations = itertools.combinations_with_replacement(range(len(signed)), n_terms)
        for chosen in sorted(combinations if n_terms <= order else harmonics, key=lambda chosen: len(set(chosen))):
            k = sum(signed[term] for term in chosen) % p
            if 0 < k <= p // 2 and k not in shortest:
                turns = (chosen.count(term) - chosen.count(term + 1) for term in range(0, len(signed), 2))
                shortest[k] = tuple(turns)
        if len(shortest) == p // 2:
            break
    return shortest


def torus_of(amplitudes: dict[int, float], p: int, order: int) -> Torus:
    """The torus of some key frequencies, the strongest first; no key is a combination of up to `order` others.

    In the training of a network with k_3 = k_1 + k_2, the three angles only ever occurred in that relation. Of
    frequencies that combine each other, as k_1 = 3 k_2, the keys are those of which all are combinations.
    """
    keys: tuple[int, ...] = ()
    for k in amplitudes:
        if k not in windings(keys, p, order):
            keys = (*keys, k)
    for k in reversed(keys):
        others = tuple(key for key in keys if key != k)
        if amplitudes.keys() <= windings(others, p, order).keys():
            keys = others
    return Torus(p, keys, amplitudes, windings(keys, p, order))


def key_amplitudes(weights: Weights, key_share: float, sign: int = 1, n_keys: int | None = None) -> dict[int, float]:
    """The amplitudes of the key frequencies of a network for a + b (or a - b, of sign -1), the strongest first.

    Measured on the network's own pairs. With `n_keys`, the strongest so many, for networks without key frequencies.
    """
    p = modulus_of(weights)
    a, b = np.divmod(np.arange(p * p), p)
    logits, argument = logits_of(weights, (a, b)), (a + sign * b) % p
    amplitudes = logit_amplitudes(logits, argument)
    strongest = (1 + np.argsort(-amplitudes[1:], kind="stable"))[:n_keys].tolist()
    keys = key_frequencies(logits, argument, key_share) if n_keys is None else strongest
    return {k: float(amplitudes[k]) for k in keys}


def widest_gaps(torus: Torus, modulus: int, n_starts: int = 20) -> dict[tuple[int, ...], float]:
    """The local maxima of the predicted least gap over the frequencies k' of another modulus, the widest first.

    The gap is the least over distances d of sum_k A_k (1 - cos(2 pi k' d / p')), A_k the logit amplitudes of the
    original network. Coordinate ascent from random starts: one k' at a time is set to its best value.
    """
    steps = np.arange(1, modulus // 2 + 1)
    gap = 1 - np.cos(2 * np.pi * (np.outer(np.arange(modulus), steps) % modulus) / modulus)
    amplitudes = np.array(list(torus.amplitudes.values()))
    winding = np.array([torus.windings[k] for k in torus.amplitudes], int).reshape(len(amplitudes), len(torus.keys))

    turns_of_step = [np.outer(steps, of_key) for of_key in winding.T]

    @cache
    def best_step(key: int, others: tuple[int, ...]) -> tuple[int, float]:
        """The best k' of one key beside those of the other keys, and its gap."""
        turns = (turns_of_step[key] + np.delete(winding, key, axis=1) @ np.array(others, int)) % modulus
        margins = np.einsum("f,sfd->sd", amplitudes, gap[turns]).min(axis=1)
        return int(steps[margins.argmax()]), float(margins.max())

    maxima = {}
    starts = np.random.default_rng(modulus).integers(1, modulus // 2 + 1, size=(n_starts, len(torus.keys)))
    for choice in starts.tolist():
        margin, before = 0.0, -np.inf
        while margin > before + 10**-GAP_DIGITS:
            before = margin
            for key in range(len(choice)):
                choice[key], margin = best_step(key, (*choice[:key], *choice[key + 1 :]))
        maxima[tuple(choice)] = margin
    return dict(sorted(maxima.items(), key=lambda maximum: -round(maximum[1], GAP_DIGITS)))


def choose_frequencies(torus: Torus, modulus: int) -> tuple[tuple[int, ...], float]:
    """The frequencies k' of another modulus that keep its numbers furthest apart, and the predicted least gap."""
    return next(iter(widest_gaps(torus, modulus).items()))


def resynthesized(
    table: Float[ndarray, "p d_model"], torus: Torus, choice: tuple[int, ...], modulus: int
) -> Float[ndarray, "modulus d_model"]:
    """A row for each number of another modulus, from the spectrum of the rows of `table` with key k replaced by k'."""
    p = torus.modulus
    spectrum = np.fft.rfft(table.astype(float), axis=0) / p * multiplicity(p)[:, None]
    frequencies = [0, *torus.windings]
    turns = [0, *(np.dot(combination, choice) for combination in torus.windings.values())]
    angle = 2 * np.pi * (np.outer(np.arange(modulus), turns) % modulus) / modulus
    return np.cos(angle) @ spectrum[frequencies].real - np.sin(angle) @ spectrum[frequencies].imag


def apply_surgery(weights: Weights, torus: Torus, choice: tuple[int, ...], modulus: int) -> dict[str, ndarray]:
    """The network with the rows of its numbers in W_E, W_U and b_U replaced by those of another modulus."""

    def replaced(
        table: Float[ndarray, "d_vocab d_model"], choice: tuple[int, ...]
    ) -> Float[ndarray, "new_vocab d_model"]:
        numbers = resynthesized(table[: torus.modulus], torus, choice, modulus)
        return np.concatenate([numbers, table[torus.modulus :]]).astype(table.dtype)

    return dict(weights) | {
        "embed.W_E": replaced(weights["embed.W_E"], choice),
        "unembed.W_U": replaced(weights["unembed.W_U"].T, choice).T.copy(),
        "unembed.b_U": replaced(weights["unembed.b_U"][:, None], (0,) * len(choice))[:, 0],
    }


def score(weights: Weights, pairs: Pairs, sign: int = 1) -> SurgeryScore:
    """The score on sums (differences, of sign -1) of pairs; a tie or a missing token counts as an error."""
    p, gaps = modulus_of(weights), []
    answers = torch.from_numpy((pairs[0] + sign * pairs[1]) % p)[:, None].split(SCORED_AT_ONCE)
    for logits, answer in zip(logits_in_chunks(weights, pairs), answers, strict=True):
        right = logits.gather(1, answer)[:, 0]
        of_numbers = logits.scatter_(1, answer, -torch.inf)[:, :p].amax(1)
        gaps.append(torch.stack([right - of_numbers, right - torch.maximum(of_numbers, logits[:, p])]))
    gap, gap_of_all = torch.cat(gaps, dim=1).double()
    return SurgeryScore(float((gap > 0).double().mean()), float((gap_of_all > 0).double().mean()), float(gap.min()))


def relabelings(keys: tuple[int, ...], p: int) -> set[tuple[int, ...]]:
    """The frequencies u k of all keys k, for each u: with them, the number t stands where u t stood."""
    turned = np.outer(np.arange(1, p), np.array(keys, int)) % p
    return set(map(tuple, turned[(turned <= p // 2).all(axis=1)].tolist()))


def best_torus(weights: Weights, key_share: float, sign: int = 1) -> Torus:
    """The torus whose combinations, of order 1 to 6, give the most accurate surgery at the network's own modulus.

    There, surgery replaces the key frequencies by others. A choice that only relabels the numbers would show nothing; a
    torus without other choices, as of a single key, comes last. Harmonics of a key are always replaced with it.
    """
    amplitudes, p = key_amplitudes(weights, key_share, sign), modulus_of(weights)
    pairs = tuple(np.random.default_rng(p).integers(p, size=(2, PAIRS_TRIED)))

    def quality(torus: Torus) -> tuple[bool, float, float]:
        choices, same = list(widest_gaps(torus, p)), relabelings(torus.keys, p)
        others = [choice for choice in choices if choice not in same]
        tried = (others or choices)[:CHOICES_TRIED]
        found = [score(apply_surgery(weights, torus, choice, p), pairs, sign) for choice in tried]
        return bool(others), np.mean([one.accuracy for one in found]), np.mean([one.least_gap for one in found])

    return max((torus_of(amplitudes, p, order) for order in range(1, HIGHEST_ORDER + 1)), key=quality)


def surgery(weights: Weights, modulus: int, key_share: float, sign: int = 1) -> dict[str, ndarray]:
    """An ordinary network for a + b (a - b, of sign -1) modulo p' = 2, 3, .., from one modulo p, without training."""
    torus = best_torus(weights, key_share, sign)
    choice, _ = choose_frequencies(torus, modulus)
    return apply_surgery(weights, torus, choice, modulus)
