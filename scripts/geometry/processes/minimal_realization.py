"""Minimal realizations: the rank of a process, and its model of the least dimension.

The probability of a sequence ``xy...`` is ``initial_state @ T[x] @ T[y] @ ... @ readout``. It depends only on the
span of the beliefs, modulo differences that no continuation probability depends on. Both spaces are Krylov spaces: an
orthonormal basis is extended by the images of its newest vectors until these add nothing (the staircase algorithm,
Paige 1981), which is exact for a process whose entries differ from the given ones by rounding. The resulting dimension
is the rank of the Hankel matrix of the probabilities of all prefixes followed by all continuations.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from geometry.processes.process import Process

RESOLVED = 1e-10
"""The least component of a unit vector outside the known directions that counts as more than rounding."""

SEEN = 1e-8
"""The least cosine between reachable and observable directions that counts as more than rounding."""


def krylov_basis(
    start: Float[ndarray, "row state"], maps: Float[ndarray, "token state state"]
) -> Float[ndarray, "direction state"]:
    """An orthonormal basis of the least space that holds some rows, of norm 1, and the images of all its rows.

    Its first rows span `start`. Each map is scaled to norm 1, so that rare tokens count as much as frequent ones.
    """
    scale = np.linalg.norm(maps, 2, axis=(1, 2))
    maps = maps[scale > 0] / scale[scale > 0, None, None]
    basis = np.empty((0, start.shape[1]))
    new = new_directions(start, basis)
    while len(new):
        basis = np.vstack([basis, new])
        new = new_directions((new @ maps).reshape(-1, basis.shape[1]), basis)
    return basis


def new_directions(
    rows: Float[ndarray, "row state"], known: Float[ndarray, "direction state"]
) -> Float[ndarray, "new state"]:
    """An orthonormal basis of the directions that rows of norm <= 1 add to the span of known orthonormal ones."""
    _, values, directions = np.linalg.svd(_outside(rows, known), full_matrices=False)
    # Division by a small value has amplified components along the known directions.
    return np.linalg.qr(_outside(directions[values > RESOLVED], known).T)[0].T


def _outside(rows: Float[ndarray, "row state"], known: Float[ndarray, "direction state"]):
    for _ in range(2):  # the second pass removes the rounding errors of the first
        rows = rows - (rows @ known.T) @ known
    return rows


def unit_images(
    rows: Float[ndarray, "row state"], maps: Float[ndarray, "token state next"]
) -> Float[ndarray, "image next"]:
    """The images of some rows under each map, scaled to norm 1; those that are rounding errors are dropped."""
    image = (rows @ maps).reshape(-1, maps.shape[2])
    size = (np.abs(rows) @ np.abs(maps)).reshape(image.shape)
    norm = np.linalg.norm(image, axis=1)
    resolved = norm > RESOLVED * np.linalg.norm(size, axis=1)
    return image[resolved] / norm[resolved, None]


def reachable_directions(process: Process) -> Float[ndarray, "direction state"]:
    """An orthonormal basis of the span of the beliefs after all sequences, whose mean is the stationary one.

    Beliefs after the first token are scaled to norm 1, so that states that are rarely entered count.
    """
    tensor = process.transition_tensor
    beliefs = np.stack([process.initial_state, process.stationary_distribution])
    start = unit_images(beliefs, np.eye(process.n_states)[None])
    return krylov_basis(np.vstack([start, unit_images(start, tensor)]), tensor)


def observable_directions(process: Process) -> Float[ndarray, "direction state"]:
    """An orthonormal basis of the span of the continuation probabilities by state; the next token's come first."""
    backwards = process.transition_tensor.transpose(0, 2, 1)
    return krylov_basis(unit_images(process.readout[None], backwards), backwards)


def minimal_process(process: Process) -> Process:
    """The process of least dimension with the same probability of every sequence; this process if it is minimal."""
    reached = reachable_directions(process)
    observed = observable_directions(process)
    _, cosines, mixtures = np.linalg.svd(reached @ observed.T)
    rank = int((cosines > SEEN).sum())
    if rank == process.n_states:
        return process
    basis = mixtures[:rank] @ observed
    return replace(
        process,
        transition_tensor=basis @ process.transition_tensor @ basis.T,
        initial_state=basis @ process.initial_state,
        stationary_distribution=basis @ process.stationary_distribution,
        readout=basis @ process.readout,
        state_names=tuple(f"dimension {k}" for k in range(1, rank + 1)),
        generalized=True,
        composition=None,  # its marginals are those of the former states
    )
