"""The circuit of a network for modular arithmetic: the waves in its logits, and ablations of these.

The logits of a network that generalizes are sums of waves cos w_k (x - c), w_k = 2 pi k / p, of a residue x (a + b
for addition, a - b for subtraction) and an answer c, at a few key frequencies k (Nanda et al. 2023, arXiv
2301.05217). x is the *argument*; every residue must be that of exactly p pairs, so that waves are orthogonal over
the pairs and projections on them can be computed from the means over the pairs of each residue. Pairs (a, b) are
in the order a * p + b, arrays by frequency have the index k = 0 .. p // 2. For even p, the waves of frequency
p / 2 of a + b and of a - b are identical.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

from geometry.modular_circuit.fourier import fourier_basis, projected
from geometry.networks.one_layer import PAIRS_AT_ONCE, Activations, fold, folded_logits
from geometry.networks.predictions import softmax_logits

ROUNDING = 64
"""Rounding errors of equal logits, in units in the last place of the largest."""

RANDOM_DRAWS = 3
"""Random sets of frequencies whose mean effect is compared with that of the key frequencies."""

Weights = Mapping[str, ndarray]


def _activations(weights: Weights) -> list[Activations]:
    """The activations at '=' of all pairs, in chunks and in float64."""
    p = len(weights["embed.W_E"]) - 1
    with torch.no_grad():
        folded = fold({name: torch.from_numpy(np.asarray(array)).double() for name, array in weights.items()}, p)
        return [folded.activations(pair // p, pair % p) for pair in torch.arange(p * p).split(PAIRS_AT_ONCE)]


def pair_logits(weights: Weights) -> Float[ndarray, "pair d_vocab"]:
    """The logits at '=' of all pairs."""
    return torch.cat([part.logits for part in _activations(weights)]).numpy()


def pair_activations(weights: Weights) -> tuple[Float[ndarray, "3 pair head"], Float[ndarray, "pair d_mlp"]]:
    """The attention from '=' to each position and the activations of the neurons at '=', of all pairs."""
    parts = _activations(weights)
    return torch.cat([x.pattern for x in parts], 1).numpy(), torch.cat([x.neurons for x in parts]).numpy()


def scores(
    logits: Float[ndarray, "pair d_vocab"], answer: Integer[ndarray, " pair"]
) -> tuple[Float[ndarray, " pair"], Bool[ndarray, " pair"]]:
    """The loss in nats of each pair, over all outputs, and True where the answer has the highest logit."""
    of_answer, top = np.take_along_axis(logits, answer[:, None], axis=1)[:, 0], logits.max(axis=1)
    loss = np.log(np.exp(logits - top[:, None]).sum(axis=1)) + (top - of_answer)
    return loss, logits.argmax(axis=1) == answer


def mean_scores(
    logits: Float[ndarray, "pair d_vocab"], answer: Integer[ndarray, " pair"], output: str = "softmax"
) -> dict[str, float]:
    """The mean loss and accuracy over some pairs, given the network's `output`; nan where there are none."""
    if not len(answer):
        return {"loss_nats": math.nan, "accuracy": math.nan}
    loss, is_right = scores(softmax_logits(logits, output), answer)
    return {"loss_nats": float(loss.mean()), "accuracy": float(is_right.mean())}


def residue_means(
    logits: Float[ndarray, "pair output"], argument: Integer[ndarray, " pair"]
) -> Float[ndarray, "residue output"]:
    """The mean over the pairs of each residue."""
    p = math.isqrt(len(argument))
    return logits[np.argsort(argument, kind="stable")].reshape(p, p, -1).mean(axis=1)


def logit_amplitudes(
    logits: Float[ndarray, "pair d_vocab"], argument: Integer[ndarray, " pair"]
) -> Float[ndarray, " frequency"]:
    """The coefficients A_k of A_k cos w_k (x - c) in the logits of the numbers c; A_0 is 0, as they are centred."""
    p = logits.shape[1] - 1
    numbers = residue_means(logits, argument)[:, :p]
    numbers = numbers - numbers.mean(axis=1, keepdims=True)
    residue = np.arange(p)
    profile = numbers[(residue[:, None] + residue) % p, residue].mean(axis=1)  # by the distance x - c
    amplitude = np.fft.rfft(profile).real * 2 / p
    if p % 2 == 0:
        amplitude[-1] /= 2
    return amplitude


def explained_shares(
    logits: Float[ndarray, "pair d_vocab"], argument: Integer[ndarray, " pair"]
) -> Float[ndarray, " frequency"]:
    """The share of the variance of the numbers' logits, around the mean of each pair, of each A_k cos w_k (x - c).

    0 where the numbers' logits are equal up to rounding.
    """
    numbers = logits[:, :-1]
    power = np.square(logit_amplitudes(logits, argument)) / 2
    if numbers.shape[1] % 2 == 0:
        power[-1] *= 2
    variance = np.square(numbers - numbers.mean(axis=1, keepdims=True)).mean()
    rounding = ROUNDING * np.finfo(logits.dtype).eps * np.abs(numbers).max()
    return power / variance if variance > rounding**2 else np.zeros(len(power))


def key_frequencies(
    logits: Float[ndarray, "pair d_vocab"], argument: Integer[ndarray, " pair"], key_share: float
) -> list[int]:
    """The frequencies with A_k > 0 whose cos w_k (x - c) explains `key_share` of the variance, strongest first.

    A threshold relative to the total, unlike one relative to the strongest, finds no key in a network without any.
    """
    amplitude, share = logit_amplitudes(logits, argument), explained_shares(logits, argument)
    order = np.argsort(-amplitude, kind="stable")
    return order[(amplitude[order] > 0) & (share[order] >= key_share)].tolist()


def wave_logits(
    logits: Float[ndarray, "pair output"], argument: Integer[ndarray, " pair"], frequencies: Iterable[int]
) -> Float[ndarray, "pair output"]:
    """The projection of each output's logits on cos and sin of w_k x for some k; that of 0 is the output's mean."""
    return projected(residue_means(logits, argument), frequencies)[argument]


def restricted_logits(
    logits: Float[ndarray, "pair output"], argument: Integer[ndarray, " pair"], key: Iterable[int]
) -> Float[ndarray, "pair output"]:
    """Each output's logits, restricted to their mean and the waves of the key frequencies."""
    return wave_logits(logits, argument, [0, *key])


def excluded_logits(
    logits: Float[ndarray, "pair output"], argument: Integer[ndarray, " pair"], key: Iterable[int]
) -> Float[ndarray, "pair output"]:
    """Each output's logits without the waves of the key frequencies."""
    return logits - wave_logits(logits, argument, key)


def without_frequencies(weights: Weights, frequencies: Iterable[int]) -> dict[str, ndarray]:
    """The network with some frequencies of the numbers removed from its embedding."""
    W_E = weights["embed.W_E"].astype(np.float64)
    W_E[:-1] -= projected(W_E[:-1], frequencies)
    return {**weights, "embed.W_E": W_E}


def ablations(
    weights: Weights,
    argument: Integer[ndarray, " pair"],
    answer: Integer[ndarray, " pair"],
    key: list[int],
    rng: np.random.Generator,
    output: str = "softmax",
) -> Iterator[tuple[str, str, int | None, dict[str, float]]]:
    """Loss and accuracy over all pairs without some frequencies: (place, removed, single frequency or None, scores).

    Frequencies are removed from the logits, as waves of the argument, or from the embedding, and the network is
    evaluated again: each key frequency alone, all of them, all others and, as a control, as many random others.
    """
    logits = pair_logits(weights)
    p = logits.shape[1] - 1
    other = np.setdiff1d(np.arange(1, p // 2 + 1), key)
    drawn = [rng.choice(other, min(len(key), len(other)), replace=False).tolist() for _ in range(RANDOM_DRAWS)]
    cases = [("frequency", k, [[k]]) for k in key]
    cases += [("key", None, [key]), ("others", None, [other.tolist()]), ("as many others", None, drawn)]
    ablate = {
        "logits": lambda frequencies: excluded_logits(logits, argument, frequencies),
        "embedding": lambda frequencies: pair_logits(without_frequencies(weights, frequencies)),
    }
    for place, logits_without in ablate.items():
        for removed, frequency, sets in cases:
            found = [mean_scores(logits_without(frequencies), answer, output) for frequencies in sets]
            yield place, removed, frequency, {name: float(np.mean([f[name] for f in found])) for name in found[0]}
    yield "logits", "all but key", None, mean_scores(restricted_logits(logits, argument, key), answer, output)


def single_frequency_shares(x: Float[ndarray, "pair unit"]) -> Float[ndarray, "frequency unit"]:
    """The share of each unit's variance over all pairs that the terms of one frequency explain.

    The terms are cos and sin of w_k a, of w_k b, and their four products (Nanda et al. 2023). A constant
    unit has shares of 0.
    """
    p = math.isqrt(len(x))
    basis = fourier_basis(p)
    energy = np.square(basis @ (basis @ x.reshape(p, -1)).reshape(p, p, -1))
    shares = np.zeros((p // 2 + 1, x.shape[1]))
    for k in range(1, len(shares)):
        own = slice(2 * k - 1, 2 * k + 1)
        shares[k] = energy[0, own].sum(0) + energy[own, 0].sum(0) + energy[own, own].sum((0, 1))
    constant = energy[0, 0].copy()
    energy[0, 0] = 0
    variance = energy.sum((0, 1))
    return np.divide(shares, variance, out=np.zeros_like(shares), where=variance > np.finfo(float).eps * constant)


def gradient_symmetricity(weights: Weights, n_triples: int, rng: np.random.Generator) -> float:
    """The mean cosine similarity of the gradients of the logit of c by the embeddings of a and of b.

    The mean is over uniform random triples (a, b, c), whether c is right or not. It is about 1 if the logits are a
    function of the sum of both embeddings, as in the Pizza of Zhong et al. (2023, "The Clock and the Pizza", arXiv
    2306.17844), and far below 1 in a Clock.
    """
    p = len(weights["embed.W_E"]) - 1
    parameters = {name: torch.from_numpy(np.asarray(array)).double() for name, array in weights.items()}
    a, b, c = torch.from_numpy(rng.integers(p, size=(3, n_triples)))
    own = parameters["embed.W_E"][torch.cat([a, b, torch.tensor([p])])].requires_grad_()  # a row for each occurrence
    place = torch.arange(n_triples)
    logits = folded_logits({**parameters, "embed.W_E": own}, place, place + n_triples, 2 * n_triples)
    (gradient,) = torch.autograd.grad(logits[place, c].sum(), own)
    by_a, by_b = gradient[:-1].view(2, n_triples, -1)
    return float(torch.cosine_similarity(by_a, by_b, dim=1).mean())


def distance_irrelevance(
    logits: Float[ndarray, "pair d_vocab"], argument: Integer[ndarray, " pair"], answer: Integer[ndarray, " pair"]
) -> float:
    """The mean standard deviation of the right logit over the pairs of one distance, divided by that over all pairs.

    About 1 in a Clock, near 0 in a Pizza, whose right logit is a function of the distance (Zhong et al. 2023).
    The distance is a - b where the argument is a + b: the argument with the sign of b turned. nan where the right logit
    is the same for all pairs.
    """
    p = math.isqrt(len(argument))
    distance = (2 * argument.reshape(p, p)[:, :1] - argument.reshape(p, p)).ravel() % p
    right = np.take_along_axis(logits, answer[:, None], axis=1)[:, 0]
    within, overall = right[np.argsort(distance, kind="stable")].reshape(p, p).std(axis=1).mean(), right.std()
    return float(within / overall) if overall > 0 else math.nan
