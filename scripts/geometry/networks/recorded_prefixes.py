"""The activations of a recording by distinct prefix, read chunk by chunk.

Sites of very many features are represented by their leading principal components, so that a probe of them takes the
time and memory of a narrow one, however large the file.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32, Integer
from numpy import ndarray

from geometry.networks.recording import NOT_NORMALISED, PREDICTIONS, Recording, RecordingError
from geometry.processes.prefix_tree import tree_of_sequences

MOST_COLUMNS, COMPONENTS = 1024, 512
"""Features of a site, all of which are retained; of more, this many leading principal components are."""

ITERATIONS, BESIDE = 6, 64
"""Of the search for principal components (Halko et al. 2011): how often, and with so many directions besides."""

UNLIKE = 0.05
"""How far activations after equal prefixes may differ, in standard deviations over prefixes: rounding differs less."""


def n_columns_read(n_features: int) -> int:
    """The columns of a site in the archive of activations."""
    return n_features if n_features <= MOST_COLUMNS else COMPONENTS


def n_fitting(tokens: Integer[ndarray, "sequence position"], max_prefixes: int) -> int:
    """The number of sequences, from the first on, that have at most so many distinct prefixes; at least one."""
    tree, nodes = tree_of_sequences(tokens)
    if len(tree) <= max_prefixes:
        return len(tokens)
    first = np.unique(nodes, return_index=True)[1] // nodes.shape[1]
    return max(1, int(np.sort(first)[max_prefixes]))


@dataclass(frozen=True)
class Places:
    """The places of the prefixes of a tree in a recording: the node at each place, and the first place of each node.

    Nodes from `scored` on have activations in the archive.
    """

    nodes: Integer[ndarray, "sequence position"]
    weight: Float[ndarray, " prefix"]
    scored: int

    @cached_property
    def first(self) -> Integer[ndarray, " prefix"]:
        return np.unique(self.nodes, return_index=True)[1]


def prefix_rows(recording: Recording, name: str, places: Places) -> Float32[ndarray, "prefix column"]:
    """The rows of a site or of predictions, one for each scored prefix, as at the first place where it occurs.

    Raises `RecordingError` where the values after the same prefix differ from sequence to sequence.
    """
    first, width = places.first, recording.n_columns(name)
    is_site = not name.endswith(PREDICTIONS)
    n_read = n_columns_read(width) if is_site else width
    mean, axes = principal_axes(recording, name, places, first) if n_read < width else (None, None)
    rows = np.empty((len(first) - places.scored, n_read), np.float32)
    prints, direction = np.empty(places.nodes.shape), np.random.default_rng(0).standard_normal(width, np.float32)
    for start, values, new, node in _first_occurrences(recording, name, places, first):
        rows[node - places.scored] = values[new] if axes is None else (values[new] - mean) @ axes
        prints.ravel()[start : start + len(values)] = values @ direction
    _check_equal(prints, first[places.nodes], name)
    if not is_site:
        _check_normalised(rows, name, first[places.scored :], places.nodes.shape[1])
    return rows


def _first_occurrences(recording: Recording, name: str, places: Places, first: Integer[ndarray, " prefix"]):
    """Chunks of an array: the number of the first place, all values, and which are the first of which scored node."""
    n_sequences, n_positions = places.nodes.shape
    node_of, is_first = places.nodes.ravel(), np.zeros(places.nodes.size, bool)
    is_first[first[places.scored :]] = True
    for sequence, found in recording.chunks(name, n_sequences):
        values = found[:, :n_positions].reshape(-1, found.shape[2])
        start = sequence * n_positions
        new = np.flatnonzero(is_first[start : start + len(values)])
        yield start, values, new, node_of[start + new]


def principal_axes(
    recording: Recording, name: str, places: Places, first: Integer[ndarray, " prefix"]
) -> tuple[Float32[ndarray, " feature"], Float32[ndarray, "feature component"]]:
    """Mean and leading principal axes of a site, prefixes by their weight, from their covariance."""
    width = recording.n_columns(name)
    weight, shift = places.weight / places.weight[places.scored :].sum(), None
    total, moments = np.zeros(width), np.zeros((width, width))
    for _, values, new, node in _first_occurrences(recording, name, places, first):
        if shift is None:
            shift = values.mean(axis=0)
        scaled = (values[new] - shift) * np.sqrt(weight[node, None], dtype=np.float32)
        total += np.sqrt(weight[node]) @ scaled
        moments += scaled.T @ scaled
    moments -= np.outer(total, total)
    coarse, rng = moments.astype(np.float32), np.random.default_rng(0)
    found = rng.standard_normal((width, COMPONENTS + BESIDE), np.float32)
    for _ in range(ITERATIONS):
        found = np.linalg.qr(coarse @ found)[0]
    directions = np.linalg.eigh(found.T @ (coarse @ found))[1]
    axes = found @ directions[:, : -COMPONENTS - 1 : -1]
    return (shift + total).astype(np.float32), np.ascontiguousarray(axes)


def _check_equal(prints: Float[ndarray, "sequence position"], first: Integer[ndarray, "sequence position"], name: str):
    """Raise an error if values, by a random combination of their columns, differ between equal prefixes."""
    difference = prints - prints.ravel()[first]
    repeated = first != np.arange(prints.size).reshape(prints.shape)
    if repeated.any() and np.sqrt(np.mean(difference[repeated] ** 2)) > UNLIKE * prints.std():
        sequence, position = np.unravel_index(np.abs(difference).argmax(), prints.shape)
        other = first[sequence, position] // prints.shape[1]
        raise RecordingError(
            f"{name!r} differs at position {position} between the sequences {other} "
            f"and {sequence}, which are equal up to there: it must be a function of the tokens up to a position"
        )


def _check_normalised(
    rows: Float32[ndarray, "prefix token"], name: str, first: Integer[ndarray, " prefix"], n_positions: int
) -> None:
    total = np.exp(rows).sum(axis=1)
    worst = int(np.abs(total - 1).argmax())
    if abs(total[worst] - 1) > NOT_NORMALISED:
        sequence, position = divmod(int(first[worst]), n_positions)
        raise RecordingError(
            f"{name!r} gives probabilities of {total[worst]:.3g} in all in sequence {sequence} at position {position}; "
            "they must be 1, over the task's tokens"
        )
