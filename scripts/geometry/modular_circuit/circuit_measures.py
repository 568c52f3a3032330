"""Measures of a network of modular arithmetic as rows of a table: measure, frequency, part and value.

For an operation that is no function of a sum or a difference, measures of its waves are nan.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.modular_circuit.circuit import (
    Weights,
    ablations,
    distance_irrelevance,
    excluded_logits,
    explained_shares,
    gradient_symmetricity,
    key_frequencies,
    logit_amplitudes,
    mean_scores,
    pair_logits,
    restricted_logits,
    single_frequency_shares,
)
from geometry.modular_circuit.fourier import energy_by_frequency, energy_by_vector, sparsity
from geometry.tasks.modular_arithmetic import ModularArithmetic

N_TRIPLES = 2000
"""Triples (a, b, c) over which the gradient symmetricity is averaged."""

Row = tuple[str, int | None, str, float]
"""Measure, frequency, part and value."""


def by_frequency(measure: str, values: ndarray, part: str = "", first: int = 1) -> Iterator[Row]:
    yield from ((measure, k, part, float(values[k])) for k in range(first, len(values)))


def embeddings(weights: Weights) -> dict[str, ndarray]:
    """The embedding and the unembedding of the numbers, a row for each, in float64."""
    return {"W_E": weights["embed.W_E"][:-1].astype(float), "W_U": weights["unembed.W_U"].T[:-1].astype(float)}


def spectrum_rows(weights: Weights) -> Iterator[Row]:
    """The energy of each matrix by frequency, and its concentration on few vectors of the Fourier basis."""
    for name, matrix in embeddings(weights).items():
        yield from by_frequency("energy", energy_by_frequency(matrix), name, first=0)
        yield from ((measure, None, name, value) for measure, value in sparsity(energy_by_vector(matrix)).items())


def loss_rows(logits: ndarray, task: ModularArithmetic, output: str) -> Iterator[Row]:
    for part, of_part in {"train": task.is_trained, "held_out": ~task.is_trained}.items():
        for name, value in mean_scores(logits[of_part], task.answer[of_part], output).items():
            yield f"{part}_{name}", None, "", value


def wave_rows(logits: ndarray, task: ModularArithmetic, key: list[int], key_share: float, output: str) -> Iterator[Row]:
    """The waves of the answer in the logits, and the loss with the key frequencies alone and without them."""
    x, answer, is_trained = task.argument, task.answer, task.is_trained
    if x is None:
        losses = ("restricted_loss_nats", "restricted_held_out_loss_nats", "excluded_loss_nats")
        yield from ((name, None, "", math.nan) for name in ("logit_amplitude", "explained_share", "is_key", *losses))
        return
    amplitude = logit_amplitudes(logits, x)
    yield from by_frequency("logit_amplitude", amplitude)
    yield from by_frequency("explained_share", explained_shares(logits, x))
    yield from by_frequency("is_key", np.isin(np.arange(len(amplitude)), key_frequencies(logits, x, key_share)))
    restricted, excluded = restricted_logits(logits, x, key), excluded_logits(logits, x, key)
    held_out = ~is_trained
    yield "restricted_loss_nats", None, "", mean_scores(restricted, answer, output)["loss_nats"]
    restricted_held_out = mean_scores(restricted[held_out], answer[held_out], output)["loss_nats"]
    yield "restricted_held_out_loss_nats", None, "", restricted_held_out
    yield "excluded_loss_nats", None, "", mean_scores(excluded[is_trained], answer[is_trained], output)["loss_nats"]


def unit_rows(pattern: ndarray, share: ndarray, pure_share: float) -> Iterator[Row]:
    """The number of neurons of each frequency, and the dependence of the attention from '=' on the tokens."""
    best, purity = share.argmax(axis=0), share.max(axis=0)
    yield from by_frequency("pure_neurons", np.bincount(best[purity > pure_share], minlength=len(share)))
    yield "pure_neuron_share", None, "", float((purity > pure_share).mean())
    yield "mean_neuron_purity", None, "", float(purity.mean())
    for position, attention in zip("ab=", pattern, strict=True):
        shares = single_frequency_shares(attention)
        for head, k in enumerate(shares.argmax(axis=0).tolist()):
            part = f"head {head} to {position}"
            yield "attention_mean", None, part, float(attention[:, head].mean())
            yield "attention_standard_deviation", None, part, float(attention[:, head].std())
            yield "attention_share_of_one_frequency", k, part, float(shares[k, head])


def kind_rows(weights: Weights, logits: ndarray, task: ModularArithmetic, rng: np.random.Generator) -> Iterator[Row]:
    """The two measures that distinguish a Clock from a Pizza (Zhong et al. 2023)."""
    known = task.argument is not None
    irrelevance = distance_irrelevance(logits, task.argument, task.answer) if known else math.nan
    yield "gradient_symmetricity", None, "", gradient_symmetricity(weights, N_TRIPLES, rng)
    yield "distance_irrelevance", None, "", irrelevance


def snapshot_rows(
    weights: Weights, task: ModularArithmetic, key: list[int], key_share: float, output: str
) -> Iterator[Row]:
    """The measures of every snapshot; `output` is the function of the logits that is the prediction."""
    logits = pair_logits(weights)
    yield from loss_rows(logits, task, output)
    yield from wave_rows(logits, task, key, key_share, output)
    yield from spectrum_rows(weights)


def last_rows(
    weights: Weights,
    task: ModularArithmetic,
    key: list[int],
    pattern: Float[ndarray, "3 pair head"],
    share: Float[ndarray, "frequency neuron"],
    pure_share: float,
    rng: np.random.Generator,
    output: str,
) -> Iterator[Row]:
    """The measures of the last snapshot only, given its attention and the shares of its neurons."""
    yield from unit_rows(pattern, share, pure_share)
    yield from kind_rows(weights, pair_logits(weights), task, rng)
    if task.argument is not None:
        for place, removed, frequency, found in ablations(weights, task.argument, task.answer, key, rng, output):
            yield from ((f"ablated_{place}_{name}", frequency, removed, value) for name, value in found.items())
