"""Origins of a network's weights: drawn at random, trained here, or read from a file.

The origin belongs to the weights of one snapshot, not to the run that holds it: step 0 of a training, and the new
network beside an imported one, are random initialisations, as are all snapshots of the run `random_init`. So `step`
needs no other meaning than the number of training steps, which of an imported network is not known (1 stands for it).
"""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Int8
from numpy import ndarray

RANDOM_INIT, TRAINED, PRETRAINED = ORIGINS = ("random_init", "trained", "pretrained")
"""Values of the column `origin`. The origin `random_init` is not the run of that name: step 0 of every run has it."""

AXIS = ("step", "seed", "origin")
"""The arrays of a file of snapshots that describe the snapshots; all others are stacked parameters."""


def parameter_stacks(snapshots: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """The stacked parameters alone."""
    return {name: stack for name, stack in snapshots.items() if name not in AXIS}


def origin_codes(origins: Iterable[str]) -> Int8[ndarray, " snapshot"]:
    """Origins by their place in `ORIGINS`, as files of weights hold them, which have no text."""
    return np.array([ORIGINS.index(origin) for origin in origins], np.int8)


def origin_names(codes: ndarray) -> list[str]:
    """Origins by name."""
    return [ORIGINS[code] for code in codes]
