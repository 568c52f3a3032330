"""Ways of holding prefixes out: at random, with everything that continues a stem, by length, or by sequence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray

from geometry.processes.prefix_tree import PrefixTree

CELLS_AT_ONCE = 64
"""Cells that draws of folds may cut together: the probe holds second moments of each."""

FEWEST_FOLDS = 3
"""Folds on which a penalty can be chosen: one is scored, and what is left is fitted on one to score the other."""


@dataclass(frozen=True)
class Split:
    """A partition of the rows into cells that are never parted, and the fold of each; -1 is never held out."""

    name: str
    cell: Integer[ndarray, " row"]
    fold_of_cell: Integer[ndarray, "repeat cell"]

    @property
    def fold(self) -> Integer[ndarray, "repeat row"]:
        return self.fold_of_cell[:, self.cell]


def by_prefix(n_rows: int, n_folds: int, n_repeats: int, rng: np.random.Generator) -> Integer[ndarray, "repeat row"]:
    """Folds of equal size, at random, anew for each repeat: no row that is scored was fitted."""
    return np.stack([rng.permutation(np.arange(n_rows) % n_folds) for _ in range(n_repeats)])


def _dealt(n: int, n_folds: int, n_repeats: int, rng: np.random.Generator) -> Integer[ndarray, "repeat thing"]:
    """The folds of things that are fewer than prefixes; of too few for a penalty to be chosen on, none."""
    return by_prefix(n, n_folds, n_repeats, rng) if n >= FEWEST_FOLDS else np.full((n_repeats, n), -1)


def by_first(
    first: Integer[ndarray, " row"], n_folds: int, n_repeats: int, rng: np.random.Generator
) -> Integer[ndarray, "repeat row"]:
    """Folds by the first number of a pair, anew for each repeat."""
    return _dealt(int(first.max()) + 1, n_folds, n_repeats, rng)[:, first]


def by_stem(tree: PrefixTree, n_folds: int, n_repeats: int, rng: np.random.Generator) -> Integer[ndarray, "repeat row"]:
    """Folds of whole subtrees, anew for each repeat: what is scored shares but a beginning with what was fitted.

    The split `held_out_subtree`. Stems are the prefixes of the least length that has two for each fold, or of the next
    to last length; shorter prefixes are in no fold, and only fitted.
    """
    sizes = [nodes.stop - nodes.start for nodes in tree.levels]
    level = next((place for place, size in enumerate(sizes) if size >= 2 * n_folds), max(0, len(sizes) - 2))
    fold = np.full((n_repeats, len(tree)), -1)
    fold[:, tree.levels[level]] = _dealt(sizes[level], n_folds, n_repeats, rng)
    for nodes in tree.levels[level + 1 :]:
        fold[:, nodes] = fold[:, tree.parent[nodes]]
    return fold


def by_sequence(
    tree: PrefixTree, n_folds: int, n_repeats: int, rng: np.random.Generator
) -> Integer[ndarray, "repeat row"]:
    """Folds of whole sequences, the longest prefixes, anew for each repeat; of data that are sequences.

    A prefix of sequences in different folds is in no fold, and only fitted.
    """
    fold, last = np.full((n_repeats, len(tree)), n_folds), tree.levels[-1]
    fold[:, last] = _dealt(last.stop - last.start, n_folds, n_repeats, rng)
    for nodes in reversed(tree.levels[1:]):
        above = np.unique(tree.parent[nodes])
        for own in fold:
            least, most = np.full(len(tree), n_folds), np.full(len(tree), -1)
            np.minimum.at(least, tree.parent[nodes], own[nodes])
            np.maximum.at(most, tree.parent[nodes], own[nodes])
            own[above] = np.where(least[above] == most[above], least[above], -1)
    return fold


def by_block(tree: PrefixTree, first: int, n_folds: int) -> Integer[ndarray, "1 row"]:
    """Folds of contiguous positions, as long as one another, from a first length on: alike in all sequences."""
    n_positions = int(tree.length.max()) - first + 1
    if n_positions < FEWEST_FOLDS:
        return np.full((1, len(tree)), -1)
    return np.maximum((tree.length - first) * min(n_folds, n_positions) // n_positions, -1)[None]


def by_length(tree: PrefixTree) -> Integer[ndarray, "1 row"]:
    """A fold for each length: what is scored is longer or shorter than all that was fitted."""
    return (tree.length - 1)[None]


def by_membership(is_fitted: Bool[ndarray, " row"]) -> Integer[ndarray, "1 row"]:
    """One fold, of the rows that are not to be fitted."""
    return np.where(is_fitted, -1, 0)[None]


def passes(folds: Mapping[str, Integer[ndarray, "repeat row"]]) -> Iterator[list[Split]]:
    """Splits by name, some at a time, whose cells are shared: all draws of folds in turn, as many as cut few cells.

    A split that leaves nothing to fit or nothing to score is left out.
    """
    ways = [(name, fold) for name, draws in folds.items() for fold in draws if len(np.unique(fold)) > 1]
    at_once: list[tuple[str, ndarray]] = []
    for way in ways:
        if at_once and _n_cells([*at_once, way]) > CELLS_AT_ONCE:
            yield _crossed(at_once)
            at_once = []
        at_once.append(way)
    if at_once:
        yield _crossed(at_once)


def split_by(name: str, fold: Integer[ndarray, "repeat row"]) -> Split:
    """One split in cells of its own."""
    (found,) = _crossed([(name, one) for one in fold])
    return found


def _crossed(ways: list[tuple[str, Integer[ndarray, " row"]]]) -> list[Split]:
    of_cell, cell = np.unique(np.stack([fold for _, fold in ways]), axis=1, return_inverse=True)
    places: dict[str, list[int]] = {}
    for place, (name, _) in enumerate(ways):
        places.setdefault(name, []).append(place)
    cell = cell.ravel()
    return [Split(name, cell, of_cell[own]) for name, own in places.items()]


def _n_cells(ways: list[tuple[str, Integer[ndarray, " row"]]]) -> int:
    key = np.zeros(len(ways[0][1]), np.int64)
    for _, fold in ways:
        key = np.unique(key * (fold.max() + 2) + fold + 1, return_inverse=True)[1]
    return int(key.max()) + 1
