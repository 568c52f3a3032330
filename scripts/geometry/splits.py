"""Ways of holding prefixes out: at random, with everything that continues a stem, or by length."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Integer
from numpy import ndarray

from geometry.prefixes import PrefixTree

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


def by_prefix(n_rows: int, n_folds: int, n_repeats: int, rng: np.random.Generator) -> Split:
    """Folds of equal size, at random, anew for each repeat: no row that is scored was fitted."""
    fold = np.stack([rng.permutation(np.arange(n_rows) % n_folds) for _ in range(n_repeats)])
    fold_of_cell, cell = np.unique(fold, axis=1, return_inverse=True)
    return Split("held_out_prefix", cell.ravel(), fold_of_cell)


def by_first_and_membership(
    first: Integer[ndarray, " row"], is_trained: Bool[ndarray, " row"], n_folds: int, rng: np.random.Generator
) -> list[Split]:
    """Two ways in the same cells: folds by the first number of a pair, and all pairs that a network was not trained on.

    In the second way a probe is fitted on the pairs that were trained on. The first is left out where there are fewer
    than `FEWEST_FOLDS` numbers, the second where all pairs were trained on, or none.
    """
    fold = rng.permutation(np.arange(first.max() + 1) % n_folds)[first]
    of_cell, cell = np.unique(np.stack([fold, np.where(is_trained, -1, 0)]), axis=1, return_inverse=True)
    names = "held_out_subtree", "held_out_from_training"
    is_asked = first.max() + 1 >= FEWEST_FOLDS, is_trained.any() and not is_trained.all()
    splits = [Split(name, cell.ravel(), folds[None]) for name, folds in zip(names, of_cell, strict=True)]
    return [split for split, asked in zip(splits, is_asked, strict=True) if asked]


def by_stem_and_length(tree: PrefixTree, n_folds: int, rng: np.random.Generator) -> list[Split]:
    """Two ways in the same cells: folds of whole subtrees, and a fold for each length, if there are two.

    By subtree, what is scored shares no more than a shorter beginning with what was fitted: stems are the
    prefixes of the least length that has two for each fold, or of the next to last length; shorter ones are
    only fitted. By length, what is scored is longer or shorter than all that was fitted.
    """
    sizes = [nodes.stop - nodes.start for nodes in tree.levels]
    level = next((place for place, size in enumerate(sizes) if size >= 2 * n_folds), max(0, len(sizes) - 2))
    fold = np.full(len(tree), -1)
    fold[tree.levels[level]] = rng.permutation(np.arange(sizes[level]) % n_folds)
    for nodes in tree.levels[level + 1 :]:
        fold[nodes] = fold[tree.parent[nodes]]
    of_cell, cell = np.unique(np.stack([fold, tree.length - 1]), axis=1, return_inverse=True)
    names = "held_out_subtree", "held_out_length"
    splits = [Split(name, cell.ravel(), folds[None]) for name, folds in zip(names, of_cell, strict=True)]
    return [split for split in splits if split.fold_of_cell.max() > 0]
