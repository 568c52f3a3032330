"""The chaos game: each token selects one map of an iterated function system on the simplex.

Wentworth and Lorell's explanation of the fractal: the belief after a sequence is the image of the prior under the
composed maps of its tokens, so the beliefs after random sequences lie on the attractor of the maps.
"""

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.processes.belief_states import IMPOSSIBLE, images_after
from geometry.processes.process import Process, build_process
from geometry.processes.sampling import draw_by_weight


def sierpinski() -> Process:
    """A hidden Markov model whose belief maps are those of the Sierpinski triangle: halfway to a corner.

    The state stays or is replaced by the token, each with probability one half, so every token is
    equally likely after every prefix: these beliefs are fractal, but irrelevant for prediction.
    """
    stay, jump = np.eye(3) / 6, [np.eye(3)[[token] * 3] / 6 for token in range(3)]
    return build_process("sierpinski", [stay + jump[token] for token in range(3)])


def play(
    process: Process, n_points: int, n_tokens: int, rng: np.random.Generator
) -> tuple[Float[ndarray, "point state"], Integer[ndarray, " point"]]:
    """Beliefs after `n_tokens` random tokens from a random corner, and the last token, of `n_points` games at once.

    Every possible token is equally likely: the attractor does not depend on the frequency of each map.
    """
    belief = np.eye(process.n_states)[rng.integers(process.n_states, size=n_points)]
    for _ in range(n_tokens):
        is_possible = belief @ process.emission_matrix > IMPOSSIBLE
        token = draw_by_weight(is_possible.astype(np.float64), rng)
        image = images_after(process, belief, token)
        belief = image / (image @ process.readout)[:, None]
    return belief, token


def simplex_images(process: Process, depth: int) -> Float[ndarray, "image corner state"]:
    """The image of the whole simplex under each sequence of `depth` tokens, the last token varying slowest."""
    images = np.eye(process.n_states)[None]
    for _ in range(depth):
        images = np.concatenate([images @ matrix for matrix in process.transition_tensor])
        images = images / (images @ process.readout)[..., None]
    return images
