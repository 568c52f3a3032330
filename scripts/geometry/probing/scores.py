"""Scores of a probe: regressions of a design's targets on some features, and k-gram baselines, as rows of a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.cloud_shape import cloud_shape
from geometry.probing.design import ProbeDesign
from geometry.probing.gram_matrices import GramMatrix, cell_gram_matrices
from geometry.probing.kgram import kgram_errors
from geometry.probing.regression import NOTHING, AffineMap, ErrorSums, Fold, Ridge, decode, ridge, score, total
from geometry.probing.score_rows import RowsOf, ScoreRow, as_frame

PENALISED = ("held_out_prefix", "held_out_subtree", "held_out_sequence", "held_out_block")
"""The splits on which a ridge regression is scored too; by length, folds are too unlike for a penalty."""

KgramR2 = Mapping[tuple[str, str], Sequence[float]]
"""By weighting and split, the R2 of the k-gram baselines for k = 1, 2, ..."""


@dataclass(frozen=True)
class TargetColumns:
    """The columns of the true targets (the first ones), control targets and covariates, and of parts of the first."""

    true: Mapping[str, slice]
    control: Mapping[str, slice]
    covariates: Mapping[str, slice]
    parts: Mapping[tuple[str, int], slice] = field(default_factory=dict)

    @property
    def main(self) -> tuple[str, slice]:
        """The first of the true targets, by name."""
        return next(iter(self.true.items()))

    @property
    def claimed(self) -> set[str]:
        """The targets that claims read draw by draw: the true ones, and those of other prefixes beside them."""
        return {*self.true, *(name for name in self.control if name.startswith("shuffled"))}

    @property
    def all_true(self) -> slice:
        return slice(max(part.stop for part in self.true.values()))

    @property
    def targets(self) -> dict[str, slice]:
        return {**self.true, **self.control}


@dataclass
class RegressionDraws:
    """The regressions on some features with one weighting and split, one entry for each draw of the folds."""

    rank: list[float] = field(default_factory=list)
    maps: list[list[AffineMap]] = field(default_factory=list)
    least_squares: list[dict[str, ErrorSums]] = field(default_factory=list)
    ridge: list[Ridge] = field(default_factory=list)

    def add(self, folds: list[Fold], columns: TargetColumns, penalised: bool) -> None:
        """Fit and score one draw of folds."""
        found = [score(fold, columns.covariates, columns.all_true) for fold in folds]
        maps = [affine for affine, _ in found]
        self.rank.append(float(np.mean([affine.effective_rank for affine in maps])))
        self.least_squares.append(total(scores for _, scores in found))
        if penalised:
            self.ridge.append(ridge(folds, columns.targets))
            maps = self.ridge[-1].maps
        self.maps.append(maps)

    def rows(self, place: tuple[str, str], size: tuple[int, int], columns: TargetColumns) -> Iterator[ScoreRow]:
        """The rows of all draws by least squares and, with its strength (geometric mean over folds), by ridge.

        `place` is weighting and split, `size` the numbers of rows and features.
        """
        rank, everything = np.mean(self.rank), [scores[""] for scores in self.least_squares]
        plain, penalised = (RowsOf(*place, estimator, *size, rank) for estimator in ("least_squares", "ridge"))
        yield from plain.scores(everything, columns.targets)
        yield from plain.scores_of_parts(everything, columns.parts)
        yield from plain.partial_scores(self.least_squares, columns.true)
        if self.ridge:
            of_draws, (main, where) = [one.score for one in self.ridge], columns.main
            strength = np.exp(np.mean([np.log(one.strength[:, where.start]).mean() for one in self.ridge]))
            yield from penalised.scores(of_draws, columns.targets, columns.claimed)
            yield from penalised.scores_of_parts(of_draws, columns.parts)
            yield from penalised.rows(main, {"ridge_strength": strength})


class InSample(NamedTuple):
    """The regression on all rows by least squares: its rows, and its map to the main target."""

    rows: list[ScoreRow]
    main_map: AffineMap


def in_sample(weighting: str, n_rows: int, whole: GramMatrix, columns: TargetColumns) -> InSample:
    """Least squares fitted and scored on the same rows, with the shape of the features' cloud."""
    draws, fold = RegressionDraws(), Fold(whole, whole)
    draws.add([fold], columns, penalised=False)
    target, where = columns.main
    size = n_rows, len(whole.shift)
    rows = list(draws.rows((weighting, "in_sample"), size, columns))
    shape = RowsOf(weighting, "in_sample", "principal_components", *size, draws.rank[0])
    rows += shape.rows(target, cloud_shape(fold.regression, where))
    return InSample(rows, fold.regression.affine_map(targets=where))


class SiteResult(NamedTuple):
    """The scores of the features of one site, and the main target as decoded from them in two ways.

    First held out, by the first draw of folds of the primary split, weighted by probability; second in sample by
    least squares, with the weighting of the published protocol.
    """

    rows: list[ScoreRow]
    decoded: Float[ndarray, "way row component"]


@dataclass
class SiteFits:
    """The regressions on the features of one site: by weighting and split, and by weighting on all rows."""

    held_out: dict[tuple[str, str], RegressionDraws] = field(default_factory=dict)
    whole: dict[str, GramMatrix] = field(default_factory=dict)


def fit_sites(
    design: ProbeDesign,
    features: Float[ndarray, "row feature"],
    sites: Mapping[str, slice],
    columns: TargetColumns,
    others: Float[ndarray, "row _"],
) -> dict[str, SiteFits]:
    """All regressions of the columns of `others` on the features of each site, pass by pass."""
    fits = {site: SiteFits() for site in sites}
    for number, splits in enumerate(design.passes):
        weightings = design.weightings_of_pass(number)
        weights = np.array([design.weights[name] for name in weightings])
        moments = cell_gram_matrices(features, others, weights, splits[0].cell)
        for (weighting, of), (site, part) in product(zip(weightings, moments, strict=True), sites.items()):
            own = of.of_features(part)
            if number == 0:
                fits[site].whole[weighting] = own.total()
            for split, of_draws in design.held_out(number, weighting):
                draws = fits[site].held_out.setdefault((weighting, split), RegressionDraws())
                for fold_of_cell in of_draws:
                    folds = [Fold(*sets) for sets in own.splits(fold_of_cell)]
                    draws.add(folds, columns, design.estimator == "ridge" and split in PENALISED)
    return fits


def evaluate(
    design: ProbeDesign,
    features: Float[ndarray, "row feature"],
    sites: Mapping[str, slice],
    covariates: Mapping[str, Float[ndarray, "row _"]],
    kgram_r2: KgramR2,
) -> Iterator[tuple[str, SiteResult]]:
    """For each site, which has some of the columns of the features: its name, its scores, and what it decodes.

    For each covariate there is a partial R2 beyond it; with `kgram_r2`, the matching k-gram order of each R2.
    """
    array, places = side_by_side({**design.true, **design.control, **covariates})
    groups = ({name: places[name] for name in names} for names in (design.true, design.control, covariates))
    columns, n_rows = TargetColumns(*groups, design.parts), len(features)
    for site, fits in fit_sites(design, features, sites, columns, array).items():
        own, rows = features[:, sites[site]], []
        for place, draws in fits.held_out.items():
            rows += draws.rows(place, (n_rows, own.shape[1]), columns)
        of_all = {weighting: in_sample(weighting, n_rows, whole, columns) for weighting, whole in fits.whole.items()}
        rows += [row for found in of_all.values() for row in found.rows]
        held_out = fits.held_out[design.by_probability, design.primary.name].maps[0]
        published = of_all[design.published].main_map
        maps = [*(affine.to(columns.main[1]) for affine in held_out), published]
        decoded = decode(own, maps, np.stack([design.primary.fold[0], np.full(n_rows, len(maps) - 1)]))
        rows += matching_kgram_orders(rows, design.main, kgram_r2)
        rows += scores_by_length(design, decoded, own.shape[1], float(published.effective_rank))
        yield site, SiteResult(rows, decoded)


def matching_kgram_orders(rows: list[ScoreRow], main: str, kgram_r2: KgramR2) -> Iterator[ScoreRow]:
    """For each R2 of the main target, the least k whose k-gram baseline has at least that R2; infinity if none has."""
    for row in rows:
        baselines = kgram_r2.get((row.weighting, row.split))
        if (row.target, row.metric) == (main, "r2") and baselines:
            enough = [k for k, r2 in enumerate(baselines, 1) if r2 >= row.value]
            order = float(enough[0]) if enough else np.inf
            yield row._replace(metric="matching_kgram_order", value=order)


def scores_by_length(
    design: ProbeDesign, decoded: Float[ndarray, "way row component"], n_features: int, rank: float
) -> Iterator[ScoreRow]:
    """R2 among the prefixes of each length, relative to their own mean, for both ways of decoding."""
    ways = (
        (design.by_probability, design.primary.name, design.estimator),
        (design.published, "in_sample", "least_squares"),
    )
    for (weighting, split, estimator), belief in zip(ways, decoded, strict=True):
        rows = RowsOf(weighting, split, estimator, len(belief), n_features, rank)
        r2 = r2_by_group(belief, design.true[design.main], design.weights[weighting], design.length)
        yield from rows.rows(design.main, {"r2_by_length": r2[1:]})


def kgram_rows(design: ProbeDesign, ids: list[Integer[ndarray, " row"]]) -> list[list[ScoreRow]]:
    """For k = 1, 2, ... the rows of the k-gram baseline: the mean of the true targets given the last k tokens.

    `ids` are those of `kgram_ids`, from k = 0.
    """
    targets, places = side_by_side(design.true)
    rows = [[] for _ in ids]
    for weighting, split, folds in ways_of(design):
        weight = design.weights[weighting]
        of_draws = [list(kgram_errors(targets, weight, ids, fold)) for fold in folds]
        by_draw = design.true if split in PENALISED else ()
        for k, group in enumerate(ids):
            n_groups = int(group.max()) + 1
            place = RowsOf(weighting, split, "k_gram", len(weight), n_groups, float(n_groups - 1))
            rows[k] += place.scores([errors[k] for errors in of_draws], places, by_draw)
    return rows[1:]


def results_of_features(
    design: ProbeDesign, features: Mapping[str, Float[ndarray, "row _"]], kgram_r2: KgramR2
) -> Iterator[tuple[str, SiteResult]]:
    """The scores of features that are no activations, by name, for the true targets, and what they decode."""
    columns, parts = side_by_side(features)
    return evaluate(replace(design, control={}), columns, parts, {}, kgram_r2)


def tables_of_features(
    design: ProbeDesign, features: Mapping[str, Float[ndarray, "row _"]], site: str, kgram_r2: KgramR2
) -> list[pd.DataFrame]:
    """The scores of features that are no activations, as tables."""
    results = results_of_features(design, features, kgram_r2)
    return [as_frame(result.rows, site=site, features=name) for name, result in results]


def ways_of(design: ProbeDesign) -> Iterator[tuple[str, str, list]]:
    """Weighting, split, and the fold of each row by draw; in sample there are no folds."""
    for weighting in design.weights:
        yield weighting, "in_sample", [None]
    for split, folds in design.folds.items():
        yield design.by_probability, split, list(folds)
    for split in design.passes[0]:
        for weighting in design.weightings_of_pass(0)[1:]:
            yield weighting, split.name, list(split.fold[:1])


def side_by_side(parts: Mapping[str, ndarray]) -> tuple[Float[ndarray, "row column"], dict[str, slice]]:
    """Some arrays as one, and the columns of each of them."""
    ends = np.cumsum([part.shape[1] for part in parts.values()]).tolist()
    places = {name: slice(end - part.shape[1], end) for (name, part), end in zip(parts.items(), ends, strict=True)}
    return np.hstack([*parts.values()]), places


def r2_by_group(
    decoded: Float[ndarray, "row component"],
    target: Float[ndarray, "row component"],
    weight: Float[ndarray, " row"],
    group: Integer[ndarray, " row"],
) -> Float[ndarray, " group"]:
    """R2 within each group of rows, relative to the group's own mean; nan where nothing varies."""
    total_weight = np.maximum(np.bincount(group, weight), np.finfo(float).tiny)
    mean = np.stack([np.bincount(group, weight * column) for column in target.T], axis=1) / total_weight[:, None]
    error, spread = (np.bincount(group, weight * ((target - of) ** 2).sum(axis=1)) for of in (decoded, mean[group]))
    nothing = np.full(len(spread), np.nan)
    return 1 - np.divide(error, spread, out=nothing, where=spread > NOTHING * total_weight)
