"""Shift symmetry of modular arithmetic in a network: permutations of pairs that act linearly on its activations.

The maps are those of `token_symmetry`. No Fourier basis is assumed: the activations at '=' are projected on their own
leading principal components, over all pairs uniformly. If they are cos and sin of 2 pi k (a + b) / p for a few k, then
a + 1 acts as a rotation of each circle by 2 pi k / p, the angle of an eigenvalue of its map. For a wave of a plus
the same wave of b there is no such map: the best one rotates by half that angle, with modulus cos(pi k / p).
"""

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.principal_components import principal_scores
from geometry.recovery.token_symmetry import Permutation
from geometry.tasks.modular_arithmetic import ModularArithmetic

SHIFT, DOUBLED, SHUFFLED = "a + 1", "2a, 2b", "shuffled numbers"
"""A shift; another symmetry of sums, which permutes the circles; and a control that is no symmetry."""

SHUFFLE_SEED = 0

MOST_COMPONENTS = 24
"""The largest number of leading principal components on which permutations are tested; at most half of p.

On p components, every permutation of the numbers acts linearly.
"""

EXPLAINED = 0.9
"""The share of the variance on the components on which permutations are compared, the fewest that reach it.

A circle that is only partly on them has no symmetry there.
"""

SMALLEST_MODULUS, NEAR = 0.9, 0.1
"""The least modulus of an eigenvalue, and the largest distance of its k to a whole number, to detect that frequency.

Chosen on two networks for p = 53, and on random ones, whose eigenvalues have moduli below .87. In nine other trained
networks (p = 53 and 113), 16 of 30 key frequencies were detected at the last layer outputs: in each the strongest, and
no other.
"""


def pair_permutations(task: ModularArithmetic) -> dict[str, Integer[ndarray, " pair"]]:
    """The image of each pair under each permutation, by name; for even p, doubling is no permutation."""
    p, (a, b) = task.modulus, task.pairs
    shuffled = np.random.default_rng(SHUFFLE_SEED).permutation(p)
    images = {
        SHIFT: (a + 1, b),
        "b + 1": (a, b + 1),
        "a + 1, b + 1": (a + 1, b + 1),
        "-a, -b": (-a, -b),
        DOUBLED: (2 * a, 2 * b),
        SHUFFLED: (shuffled[a], shuffled[b]),
    }
    if p % 2 == 0:
        del images[DOUBLED]
    return {name: first % p * p + second % p for name, (first, second) in images.items()}


def answer_permutation(task: ModularArithmetic, image: Integer[ndarray, " pair"]) -> Permutation | None:
    """The permutation of tokens that maps each answer to that of the pair's image; None if it depends on the pair."""
    after = np.arange(task.n_tokens)
    after[task.answer] = task.answer[image]
    return tuple(after.tolist()) if (after[task.answer] == task.answer[image]).all() else None


def leading_scores(x: Float[ndarray, "pair feature"], modulus: int) -> tuple[Float[ndarray, "pair dimension"], int]:
    """Scores on the principal components that are tested, and the least number that hold `EXPLAINED` of the variance.

    That is all of them if none do.
    """
    scores = principal_scores(x, np.ones(len(x)), min(MOST_COMPONENTS, modulus // 2))
    cumulative, total = scores.var(axis=0).cumsum(), x.var(axis=0, dtype=np.float64).sum()
    return scores, min(int((cumulative < EXPLAINED * total).sum()) + 1, len(cumulative))


def turned_frequencies(eigenvalues: ndarray, modulus: int) -> Float[ndarray, " dimension"]:
    """The k of each eigenvalue's angle 2 pi k / p, from 0 to p / 2."""
    return np.abs(np.angle(eigenvalues)) * modulus / (2 * np.pi)


def detected_frequencies(eigenvalues: ndarray, modulus: int) -> list[int]:
    """The frequencies k > 0 of eigenvalues of the map of `SHIFT` with a modulus near 1 and an angle near 2 pi k / p."""
    turn = turned_frequencies(eigenvalues, modulus)
    is_detected = (np.abs(eigenvalues) >= SMALLEST_MODULUS) & (np.abs(turn - turn.round()) <= NEAR) & (turn.round() > 0)
    return np.unique(turn[is_detected].round().astype(int)).tolist()
