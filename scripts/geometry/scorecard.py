"""All scores of some features, or of tables of the last tokens, as rows of the probe's table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.components import cloud_shape
from geometry.floors import table_predictions
from geometry.moments import Moments, cell_moments
from geometry.probe import NOTHING, AffineMap, Fold, Score, decode, ridge, score, total
from geometry.splits import Split

COLUMNS = ["target", "weighting", "split", "estimator", "n_rows", "n_features", "effective_rank", "metric", "value"]

PENALISED = ("held_out_prefix", "held_out_subtree")
"""The splits on which a ridge regression is scored too; by length, the other lengths say little of the penalty."""


@dataclass(frozen=True)
class Sheet:
    """Where in the table the scores of some features stand: everything that their rows share."""

    weighting: str
    n_rows: int
    n_features: int

    def rows(self, target, split, estimator, rank, metrics: Mapping[str, float]) -> list[tuple]:
        size = self.n_rows, self.n_features, float(rank)
        return [(target, self.weighting, split, estimator, *size, name, float(v)) for name, v in metrics.items()]

    def of_scores(self, split, estimator, rank, repeats: list[Score], targets: Mapping[str, slice]) -> list[tuple]:
        """R2, MSE and RMSE of each target, as a mean over repeats, and the spread of R2 over them."""
        rows = []
        for target, part in targets.items():
            r2, mse = ([getattr(score, metric)(part) for score in repeats] for metric in ("r2", "mse"))
            metrics = {"r2": np.mean(r2), "mse": np.mean(mse), "rmse": np.sqrt(np.mean(mse))}
            if len(repeats) > 1:
                metrics["r2_sd_over_repeats"] = np.std(r2, ddof=1)
            rows += self.rows(target, split, estimator, rank, metrics)
        return rows

    def of_parts(self, split, estimator, rank, repeats: list[Score], parts: Mapping[str, slice]) -> list[tuple]:
        """R2 of each part of a target, as a mean over repeats."""
        rows = []
        for name, part in parts.items():
            r2 = np.mean([score.r2(part) for score in repeats])
            rows += self.rows(name, split, estimator, rank, {"r2": r2})
        return rows

    def of_gains(self, split, rank, repeats: list[dict[str, Score]], targets: Mapping[str, slice]) -> list[tuple]:
        """Of each rival, the share of what it leaves unexplained that the features explain beside it."""
        rows = []
        for rival in list(repeats[0])[1:]:
            for target, part in targets.items():
                gain = np.mean([scores[rival].r2(part) for scores in repeats])
                rows += self.rows(target, split, "least_squares", rank, {f"partial_r2_beyond_{rival}": gain})
        return rows


@dataclass(frozen=True)
class Columns:
    """Where the true targets (the first columns), the wrong ones, the rivals and parts of the first stand."""

    true: Mapping[str, slice]
    wrong: Mapping[str, slice]
    rivals: Mapping[str, slice]
    parts: Mapping[str, slice] = field(default_factory=dict)

    @property
    def main(self) -> tuple[str, slice]:
        """The first of the true targets, by name."""
        return next(iter(self.true.items()))

    @property
    def all_true(self) -> slice:
        return slice(max(part.stop for part in self.true.values()))


def least_squares(sheet: Sheet, split: str, rank: float | int, repeats: list[dict[str, Score]], columns: Columns):
    """The rows of some repeats of a regression on everything."""
    everything = [scores[""] for scores in repeats]
    rows = sheet.of_scores(split, "least_squares", rank, everything, {**columns.true, **columns.wrong})
    rows += sheet.of_parts(split, "least_squares", rank, everything, columns.parts)
    return rows + sheet.of_gains(split, rank, repeats, columns.true)


def held_out(
    sheet: Sheet, split: str, draws: list[list[Fold]], columns: Columns
) -> tuple[list[tuple], list[AffineMap]]:
    """The rows of a split, and the maps to the main target of its first draw of folds."""
    found = [[score(fold, columns.rivals, columns.all_true) for fold in draw] for draw in draws]
    rank = np.mean([affine.effective_rank for draw in found for affine, _ in draw])
    repeats = [total(scores for _, scores in draw) for draw in found]
    return least_squares(sheet, split, rank, repeats, columns), [a.to(columns.main[1]) for a, _ in found[0]]


def in_sample(sheet: Sheet, whole: Moments, columns: Columns) -> tuple[list[tuple], AffineMap]:
    """The rows of a regression on all rows, with the shape of their cloud, and its map to the main target."""
    fold = Fold(whole, whole)
    affine, scores = score(fold, columns.rivals, columns.all_true)
    rows = least_squares(sheet, "in_sample", affine.effective_rank, [scores], columns)
    target, where = columns.main
    place = target, "in_sample", "principal_components", affine.effective_rank
    return rows + sheet.rows(*place, cloud_shape(fold.regression, where)), affine.to(where)


def penalised(sheet: Sheet, split: str, folds: list[Fold], columns: Columns) -> list[tuple]:
    """The rows of a ridge regression of the true targets, and of its strength (a geometric mean over folds)."""
    found, strengths = ridge(folds, columns.all_true)
    rank = np.mean([len(fold.regression.variance) for fold in folds])
    strength = {"ridge_strength": np.exp(np.log(strengths).mean())}
    rows = sheet.of_scores(split, "ridge", rank, [found], columns.true)
    rows += sheet.of_parts(split, "ridge", rank, [found], columns.parts)
    return rows + sheet.rows(columns.main[0], split, "ridge", rank, strength)


@dataclass(frozen=True)
class Examination:
    """What features are asked, and how: the targets, the weights of the rows, the ways of holding rows out.

    The first of the true targets is the main one; `parts` of it are scored too. The first weighting is by
    probability, the first split by prefix; other splits know only that weighting. `memory` holds, by
    weighting and split, the R2 of tables of the last 1, 2, ... tokens.
    """

    length: Integer[ndarray, " row"]
    true: Mapping[str, Float[ndarray, "row _"]]
    wrong: Mapping[str, Float[ndarray, "row _"]]
    weights: Mapping[str, Float[ndarray, " row"]]
    splits: list[Split]
    memory: Mapping[tuple[str, str], list[float]] = field(default_factory=dict)
    parts: Mapping[str, slice] = field(default_factory=dict)

    @property
    def main(self) -> str:
        return next(iter(self.true))

    def weightings(self, split: Split) -> list[str]:
        return list(self.weights)[: None if split is self.splits[0] else 1]

    def examine(
        self,
        features: Float[ndarray, "row feature"],
        parts: Mapping[str, slice],
        rivals: Mapping[str, Float[ndarray, "row _"]],
    ) -> Iterator[tuple[str, list[tuple], Float[ndarray, "way row component"]]]:
        """For each part of the features its name, its rows, and the main target as decoded from it.

        Decoded in two ways: held out by the first split and weighting, and in sample by the last
        weighting. For each rival there are scores of how much the features add to it.
        """
        array, places = side_by_side({**self.true, **self.wrong, **rivals})
        groups = ({name: places[name] for name in names} for names in (self.true, self.wrong, rivals))
        columns = Columns(*groups, self.parts)
        moments, fold = self._moments(features, array), self.splits[0].fold[0]
        for name, part in parts.items():
            rows, maps, whole = [], [], None
            for split in self.splits:
                for weighting, of in zip(self.weightings(split), moments[split.name], strict=True):
                    found, of_folds, of_all = self._regress(of.of_features(part), split, weighting, columns)
                    rows += found
                    maps, whole = maps or of_folds, of_all or whole
            ways = np.stack([fold, np.full(len(fold), len(maps))])
            decoded = decode(features[:, part], [*maps, whole], ways)
            yield name, [*self._with_memory(rows), *self._by_length(decoded, whole)], decoded

    def _moments(self, features: Float[ndarray, "row feature"], others: Float[ndarray, "row _"]):
        """By split, the moments for each of its weightings; splits that share their cells share them."""
        found, read = {}, {}
        for split in self.splits:
            if (cells := id(split.cell)) not in read:
                weights = np.array([self.weights[name] for name in self.weightings(split)])
                read[cells] = cell_moments(features, others, weights, split.cell)
            found[split.name] = read[cells]
        return found

    def _regress(self, of: Moments, split: Split, weighting: str, columns: Columns):
        """The rows of one split and weighting; the maps to the main target of its folds, and by prefix of all rows."""
        sheet, whole = Sheet(weighting, len(split.cell), len(of.shift)), None
        draws = [[Fold(*sets) for sets in of.splits(fold_of_cell)] for fold_of_cell in split.fold_of_cell]
        rows, maps = held_out(sheet, split.name, draws, columns)
        if split is self.splits[0]:
            more, whole = in_sample(sheet, of.total(), columns)
            rows += more
        if weighting == next(iter(self.weights)) and split.name in PENALISED:
            rows += penalised(sheet, split.name, draws[0], columns)
        return rows, maps, whole

    def _with_memory(self, rows: list[tuple]) -> list[tuple]:
        """Rows, and for each R2 of the main target the fewest last tokens whose table does as well."""
        more = []
        for row in rows:
            target, weighting, split, estimator, *size, metric, value = row
            tables = self.memory.get((weighting, split))
            if (target, estimator, metric) == (self.main, "least_squares", "r2") and tables:
                enough = [k for k, r2 in enumerate(tables, 1) if r2 >= value]
                memory = float(enough[0]) if enough else np.inf
                more.append((target, weighting, split, estimator, *size, "effective_memory", memory))
        return rows + more

    def _by_length(self, decoded: Float[ndarray, "way row component"], whole: AffineMap) -> list[tuple]:
        """R2 among the prefixes of each length, against their own mean as a guess."""
        rows, weightings = [], list(self.weights)
        ways = (weightings[0], self.splits[0].name), (weightings[-1], "in_sample")
        for (weighting, split), belief in zip(ways, decoded, strict=True):
            sheet = Sheet(weighting, len(belief), len(whole.matrix))
            r2 = r2_by_group(belief, self.true[self.main], self.weights[weighting], self.length)
            metrics = {f"r2_after_{n}_tokens": value for n, value in enumerate(r2) if n}
            rows += sheet.rows(self.main, split, "least_squares", whole.effective_rank, metrics)
        return rows

    def tables(self, numbers: list[Integer[ndarray, " row"]]) -> Iterator[tuple[int, list[tuple]]]:
        """For the last 1, 2, ... tokens the rows of the best guess that knows nothing else: a table of means."""
        columns, places = side_by_side(self.true)
        rows = [[] for _ in numbers]
        for split, weighting, folds in self._ways():
            weight = self.weights[weighting]
            of_repeats = [list(table_scores(columns, weight, numbers, fold)) for fold in folds]
            for k, number in enumerate(numbers):
                sheet, n = Sheet(weighting, len(weight), int(number.max()) + 1), float(number.max())
                rows[k] += sheet.of_scores(split, "table", n, [scores[k] for scores in of_repeats], places)
        yield from list(enumerate(rows))[1:]

    def _ways(self) -> Iterator[tuple[str, str, list]]:
        """Split, weighting, and the fold of each row by repeat; in sample there are no folds."""
        for weighting in self.weights:
            yield "in_sample", weighting, [None]
        for split in self.splits:
            for weighting in self.weightings(split):
                yield split.name, weighting, list(split.fold)


def side_by_side(parts: Mapping[str, ndarray]) -> tuple[Float[ndarray, "row column"], dict[str, slice]]:
    """Some arrays as one, and where each of them is."""
    ends = np.cumsum([part.shape[1] for part in parts.values()]).tolist()
    places = {name: slice(end - part.shape[1], end) for (name, part), end in zip(parts.items(), ends, strict=True)}
    return np.hstack([*parts.values()]), places


def table_scores(
    target: Float[ndarray, "row component"], weight: Float[ndarray, " row"], numbers: list, fold: ndarray | None
) -> Iterator[Score]:
    """The score of each table, from that of no tokens at all, which is the reference."""
    scored = slice(None) if fold is None else fold >= 0
    reference = None
    for predicted in table_predictions(target, weight, numbers, fold):
        error = weight[scored] @ (target - predicted)[scored] ** 2
        reference = error if reference is None else reference
        yield Score(error, reference, float(weight[scored].sum()))


def r2_by_group(
    decoded: Float[ndarray, "row component"],
    target: Float[ndarray, "row component"],
    weight: Float[ndarray, " row"],
    group: Integer[ndarray, " row"],
) -> Float[ndarray, " group"]:
    """R2 within each group of rows, whose own mean is the guess; nan where nothing varies."""
    total_weight = np.maximum(np.bincount(group, weight), np.finfo(float).tiny)
    mean = np.stack([np.bincount(group, weight * column) for column in target.T], axis=1) / total_weight[:, None]
    error, spread = (np.bincount(group, weight * ((target - of) ** 2).sum(axis=1)) for of in (decoded, mean[group]))
    nothing = np.full(len(spread), np.nan)
    return 1 - np.divide(error, spread, out=nothing, where=spread > NOTHING * total_weight)
