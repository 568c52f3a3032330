"""Symmetries of modular arithmetic that a network has found: permutations of pairs that act linearly on activations.

The maps are those of `symmetry`. No wave is looked for: the activations behind '=' are on their own leading principal
components, all pairs alike. If they are cos and sin of 2 pi k (a + b) / p for a few k, then a + 1 turns each circle by
2 pi k / p, which is the angle of an eigenvalue of its map. Of a wave of a plus the same wave of b there is no such
map: the best turns by half that angle, and shortens to cos(pi k / p).
"""

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.principal_components import principal_scores
from geometry.recovery.token_symmetry import Permutation
from geometry.tasks.modular_arithmetic import ModularArithmetic

SHIFT, DOUBLED, SHUFFLED = "a + 1", "2a, 2b", "shuffled numbers"
"""A translation; as much a symmetry of sums, but one that takes each circle to another; and what is none."""

SHUFFLE_SEED = 0

MOST_DIMENSIONS = 24
"""Leading principal components on which permutations are tried, or half as many as there are numbers if that is less.

On as many as there are numbers, every permutation of these is linear.
"""

HELD = 0.9
"""The share of the variance that is on the components on which permutations are compared, the fewest that hold it.

A circle of which only a part is on them has no symmetry there.
"""

SMALLEST_MODULUS, NEAR = 0.9, 0.1
"""How long an eigenvalue is at least, and how near its turn to a whole frequency, if it tells that one.

Chosen on two networks for p = 53, and on untrained ones, whose eigenvalues are shorter than .87. In nine other trained
networks (p = 53 and 113) the last streams told 16 frequencies, of 30 key ones: in each the strongest, and no other.
"""


def pair_permutations(task: ModularArithmetic) -> dict[str, Integer[ndarray, " pair"]]:
    """By name, what becomes of each pair; of an even p, doubling is no permutation."""
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
    """What becomes of each token if each answer becomes that to the pair's image; None if that depends on the pair."""
    after = np.arange(task.n_tokens)
    after[task.answer] = task.answer[image]
    return tuple(after.tolist()) if (after[task.answer] == task.answer[image]).all() else None


def leading_scores(x: Float[ndarray, "pair feature"], modulus: int) -> tuple[Float[ndarray, "pair dimension"], int]:
    """Activations on the principal components that are tried, and how few of these hold `HELD` of the variance.

    If none do, that is all of them.
    """
    scores = principal_scores(x, np.ones(len(x)), min(MOST_DIMENSIONS, modulus // 2))
    held, whole = scores.var(axis=0).cumsum(), x.var(axis=0, dtype=np.float64).sum()
    return scores, min(int((held < HELD * whole).sum()) + 1, len(held))


def turned_frequencies(eigenvalues: ndarray, modulus: int) -> Float[ndarray, " dimension"]:
    """The k of the turn by 2 pi k / p of each eigenvalue, from 0 to p / 2."""
    return np.abs(np.angle(eigenvalues)) * modulus / (2 * np.pi)


def detected_frequencies(eigenvalues: ndarray, modulus: int) -> list[int]:
    """The frequencies that the eigenvalues of the map of `SHIFT` tell: of those hardly shorter than 1, whole turns."""
    turn = turned_frequencies(eigenvalues, modulus)
    is_identifiable = (
        (np.abs(eigenvalues) >= SMALLEST_MODULUS) & (np.abs(turn - turn.round()) <= NEAR) & (turn.round() > 0)
    )
    return np.unique(turn[is_identifiable].round().astype(int)).tolist()
