"""Directions of belief space on which next-token predictions, or all predictions, do not depend."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.minimal_realization import new_directions, observable_directions, unit_images
from geometry.processes.process import Process


def hidden_directions(process: Process) -> tuple[Float[ndarray, "a state"], Float[ndarray, "b state"]]:
    """Orthonormal changes of belief that leave the next token's distribution unchanged, in two groups.

    Those of the first change predictions of later tokens. Those of the second change no prediction; a minimal process
    has none of them.
    """
    observed = observable_directions(process)
    emitted = unit_images(process.readout[None], process.transition_tensor.transpose(0, 2, 1))
    n_visible = len(new_directions(emitted, emitted[:0]))  # these come first
    return observed[n_visible:], np.linalg.svd(observed)[2][len(observed) :]
