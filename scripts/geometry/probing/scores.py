"""All scores of some features, or of tables of the last tokens, as rows of the probe's table."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.baselines import kgram_predictions
from geometry.probing.cross_validation import Split
from geometry.probing.gram_matrices import GramMatrix, cell_gram_matrices
from geometry.probing.principal_components import cloud_shape
from geometry.probing.regression import NOTHING, AffineMap, ErrorSums, Fold, Ridge, decode, ridge, score, total

COLUMNS = [
    "target",
    "weighting",
    "split",
    "estimator",
    "n_rows",
    "n_features",
    "effective_rank",
    "metric",
    "value",
    "draw",
]

PENALISED = ("held_out_prefix", "held_out_subtree")
"""The splits on which a ridge regression is scored too; by length, the other lengths say little of the penalty."""


@dataclass(frozen=True)
class ScoreRows:
    """Where in the table the scores of some features stand: everything that their rows share."""

    weighting: str
    n_rows: int
    n_features: int

    def rows(
        self, target, split, estimator, rank, metrics: Mapping[str, float], draw: int | None = None
    ) -> list[tuple]:
        size = self.n_rows, self.n_features, float(rank)
        place = target, self.weighting, split, estimator, *size
        return [(*place, name, float(v), draw) for name, v in metrics.items()]

    def of_scores(
        self, split, estimator, rank, repeats: list[ErrorSums], targets: Mapping[str, slice], each: Collection[str] = ()
    ) -> list[tuple]:
        """R2, MSE and RMSE of each target, as a mean over draws of folds, and the spread of R2 over them.

        Of the targets in `each`, the R2 of every draw besides.
        """
        rows = []
        for target, part in targets.items():
            r2, mse = ([getattr(score, metric)(part) for score in repeats] for metric in ("r2", "mse"))
            metrics = {"r2": np.mean(r2), "mse": np.mean(mse), "rmse": np.sqrt(np.mean(mse))}
            if len(repeats) > 1:
                metrics["r2_sd_over_draws"] = np.std(r2, ddof=1)
            rows += self.rows(target, split, estimator, rank, metrics)
            if target in each:
                for draw, value in enumerate(r2, 1):
                    rows += self.rows(target, split, estimator, rank, {"r2_of_draw": value}, draw)
        return rows

    def of_parts(self, split, estimator, rank, repeats: list[ErrorSums], parts: Mapping[str, slice]) -> list[tuple]:
        """R2 of each part of a target, as a mean over draws of folds."""
        rows = []
        for name, part in parts.items():
            r2 = np.mean([score.r2(part) for score in repeats])
            rows += self.rows(name, split, estimator, rank, {"r2": r2})
        return rows

    def of_gains(self, split, rank, repeats: list[dict[str, ErrorSums]], targets: Mapping[str, slice]) -> list[tuple]:
        """Of each covariate, the share of what it leaves unexplained that the features explain beside it."""
        rows = []
        for covariate in list(repeats[0])[1:]:
            for target, part in targets.items():
                gain = np.mean([scores[covariate].r2(part) for scores in repeats])
                rows += self.rows(target, split, "least_squares", rank, {f"partial_r2_beyond_{covariate}": gain})
        return rows


@dataclass(frozen=True)
class TargetColumns:
    """Where the true targets (the first columns), the wrong ones, the covariates and parts of the first stand."""

    true: Mapping[str, slice]
    control: Mapping[str, slice]
    covariates: Mapping[str, slice]
    parts: Mapping[str, slice] = field(default_factory=dict)

    @property
    def main(self) -> tuple[str, slice]:
        """The first of the true targets, by name."""
        return next(iter(self.true.items()))

    @property
    def claimed(self) -> set[str]:
        """What claims are made of: the true targets, and beliefs of other prefixes beside them."""
        return {*self.true, *(name for name in self.control if name.startswith("shuffled"))}

    @property
    def all_true(self) -> slice:
        return slice(max(part.stop for part in self.true.values()))

    @property
    def targets(self) -> dict[str, slice]:
        return {**self.true, **self.control}


@dataclass
class RegressionDraws:
    """What regressions on some features have found with one weighting and split: draw by draw of the folds."""

    rank: list[float] = field(default_factory=list)
    maps: list[list[AffineMap]] = field(default_factory=list)
    least_squares: list[dict[str, ErrorSums]] = field(default_factory=list)
    ridge: list[Ridge] = field(default_factory=list)

    def add(self, folds: list[Fold], columns: TargetColumns, penalised: bool) -> None:
        """The regressions of one draw of folds."""
        found = [score(fold, columns.covariates, columns.all_true) for fold in folds]
        maps = [affine for affine, _ in found]
        self.rank.append(float(np.mean([affine.effective_rank for affine in maps])))
        self.least_squares.append(total(scores for _, scores in found))
        if penalised:
            self.ridge.append(ridge(folds, columns.targets))
            maps = self.ridge[-1].maps
        self.maps.append(maps)

    def rows(self, sheet: ScoreRows, split: str, columns: TargetColumns) -> list[tuple]:
        """The rows of all draws: by least squares and, with its strength (a geometric mean over folds), by ridge."""
        rank, everything = np.mean(self.rank), [scores[""] for scores in self.least_squares]
        rows = sheet.of_scores(split, "least_squares", rank, everything, columns.targets)
        rows += sheet.of_parts(split, "least_squares", rank, everything, columns.parts)
        rows += sheet.of_gains(split, rank, self.least_squares, columns.true)
        if self.ridge:
            penalised, (main, where) = [one.score for one in self.ridge], columns.main
            strength = np.exp(np.mean([np.log(one.strength[:, where.start]).mean() for one in self.ridge]))
            rows += sheet.of_scores(split, "ridge", rank, penalised, columns.targets, columns.claimed)
            rows += sheet.of_parts(split, "ridge", rank, penalised, columns.parts)
            rows += sheet.rows(main, split, "ridge", rank, {"ridge_strength": strength})
        return rows


@dataclass(frozen=True)
class ProbeDesign:
    """What features are asked, and how: the targets, the weights of the rows, the ways of holding rows out.

    The first of the true targets is the main one; `parts` of it are scored too. The first weighting is by
    probability; the other ones are known to the first pass alone, whose first split is by prefix. Splits of one name
    are draws of the same folds. `memory` holds, by weighting and split, the R2 of tables of the last 1, 2, ... tokens.
    Verdicts rest on the `estimator`: ridge, or least squares where rows are many more than features.
    """

    length: Integer[ndarray, " row"]
    true: Mapping[str, Float[ndarray, "row _"]]
    control: Mapping[str, Float[ndarray, "row _"]]
    weights: Mapping[str, Float[ndarray, " row"]]
    passes: list[list[Split]]
    memory: Mapping[tuple[str, str], list[float]] = field(default_factory=dict)
    parts: Mapping[str, slice] = field(default_factory=dict)
    estimator: str = "ridge"

    @property
    def main(self) -> str:
        return next(iter(self.true))

    @property
    def published(self) -> str:
        """The weighting of the published protocol, all words alike; by probability where that is not known."""
        return "uniform" if "uniform" in self.weights else next(iter(self.weights))

    @property
    def folds(self) -> dict[str, Integer[ndarray, "draw row"]]:
        """The fold of each row in every draw, by the name of the split."""
        names = dict.fromkeys(split.name for splits in self.passes for split in splits)
        return {
            name: np.concatenate([one.fold for splits in self.passes for one in splits if one.name == name])
            for name in names
        }

    def weightings(self, number: int) -> list[str]:
        """The weightings of a pass by its number."""
        return list(self.weights)[: None if number == 0 else 1]

    def evaluate(
        self,
        features: Float[ndarray, "row feature"],
        parts: Mapping[str, slice],
        covariates: Mapping[str, Float[ndarray, "row _"]],
    ) -> Iterator[tuple[str, list[tuple], Float[ndarray, "way row component"]]]:
        """For each part of the features its name, its rows, and the main target as decoded from it.

        Decoded in two ways: held out by the first draw of folds of the first split, by probability; and in
        sample by least squares, as published. For each covariate there are scores of how much the features add to it.
        """
        array, places = side_by_side({**self.true, **self.control, **covariates})
        groups = ({name: places[name] for name in names} for names in (self.true, self.control, covariates))
        columns = TargetColumns(*groups, self.parts)
        found, whole = self._regress(features, parts, array, columns)
        for name, part in parts.items():
            n_features, rows = features[:, part].shape[1], []
            for (weighting, split), findings in found[name].items():
                rows += findings.rows(ScoreRows(weighting, len(features), n_features), split, columns)
            maps = next(iter(found[name].values())).maps[0]
            for weighting, of in whole[name].items():
                more, in_sample = of_all(ScoreRows(weighting, len(features), n_features), of, columns)
                rows += more
                if weighting == self.published:
                    maps = [*(affine.to(columns.main[1]) for affine in maps), in_sample]
            ways = np.stack([self.passes[0][0].fold[0], np.full(len(features), len(maps) - 1)])
            decoded = decode(features[:, part], maps, ways)
            size = n_features, float(maps[-1].effective_rank)
            yield name, [*self._with_memory(rows), *self._by_length(decoded, *size)], decoded

    def _regress(self, features, parts: Mapping[str, slice], others: Float[ndarray, "row _"], columns: TargetColumns):
        """By part of the features: findings by weighting and split, and the moments of all rows by weighting."""
        found, whole = {name: {} for name in parts}, {name: {} for name in parts}
        for number, splits in enumerate(self.passes):
            weightings = self.weightings(number)
            weights = np.array([self.weights[name] for name in weightings])
            moments = cell_gram_matrices(features, others, weights, splits[0].cell)
            for (weighting, of), (name, part) in product(zip(weightings, moments, strict=True), parts.items()):
                own = of.of_features(part)
                if number == 0:
                    whole[name][weighting] = own.total()
                for split in splits:
                    findings = found[name].setdefault((weighting, split.name), RegressionDraws())
                    for fold_of_cell in split.fold_of_cell:
                        folds = [Fold(*sets) for sets in own.splits(fold_of_cell)]
                        findings.add(folds, columns, self.estimator == "ridge" and split.name in PENALISED)
        return found, whole

    def _with_memory(self, rows: list[tuple]) -> list[tuple]:
        """Rows, and for each R2 of the main target the fewest last tokens whose table does as well."""
        more = []
        for row in rows:
            target, weighting, split, *size, metric, value, _ = row
            tables = self.memory.get((weighting, split))
            if (target, metric) == (self.main, "r2") and tables:
                enough = [k for k, r2 in enumerate(tables, 1) if r2 >= value]
                memory = float(enough[0]) if enough else np.inf
                more.append((target, weighting, split, *size, "matching_kgram_order", memory, None))
        return rows + more

    def _by_length(self, decoded: Float[ndarray, "way row component"], n_features: int, rank: float) -> list[tuple]:
        """R2 among the prefixes of each length, against their own mean as the baseline."""
        rows, first = [], next(iter(self.weights))
        ways = (first, self.passes[0][0].name, self.estimator), (self.published, "in_sample", "least_squares")
        for (weighting, split, estimator), belief in zip(ways, decoded, strict=True):
            sheet = ScoreRows(weighting, len(belief), n_features)
            r2 = r2_by_group(belief, self.true[self.main], self.weights[weighting], self.length)
            metrics = {f"r2_after_{n}_tokens": value for n, value in enumerate(r2) if n}
            rows += sheet.rows(self.main, split, estimator, rank, metrics)
        return rows

    def tables(self, numbers: list[Integer[ndarray, " row"]]) -> Iterator[tuple[int, list[tuple]]]:
        """For the last 1, 2, ... tokens the rows of the k-gram baseline: the mean of the target given these tokens."""
        columns, places = side_by_side(self.true)
        rows = [[] for _ in numbers]
        for split, weighting, folds in self._ways():
            weight = self.weights[weighting]
            of_repeats = [list(table_scores(columns, weight, numbers, fold)) for fold in folds]
            each = self.true if split in PENALISED else ()
            for k, number in enumerate(numbers):
                sheet, n = ScoreRows(weighting, len(weight), int(number.max()) + 1), float(number.max())
                rows[k] += sheet.of_scores(split, "table", n, [scores[k] for scores in of_repeats], places, each)
        yield from list(enumerate(rows))[1:]

    def _ways(self) -> Iterator[tuple[str, str, list]]:
        """Split, weighting, and the fold of each row by draw; in sample there are no folds."""
        first = next(iter(self.weights))
        for weighting in self.weights:
            yield "in_sample", weighting, [None]
        for name, folds in self.folds.items():
            yield name, first, list(folds)
        for split in self.passes[0]:
            for weighting in self.weightings(0)[1:]:
                yield split.name, weighting, list(split.fold)


def of_all(sheet: ScoreRows, whole: GramMatrix, columns: TargetColumns) -> tuple[list[tuple], AffineMap]:
    """The rows of a regression on all rows, with the shape of their cloud, and its map to the main target."""
    findings, fold = RegressionDraws(), Fold(whole, whole)
    findings.add([fold], columns, penalised=False)
    target, where = columns.main
    place = target, "in_sample", "principal_components", findings.rank[0]
    rows = findings.rows(sheet, "in_sample", columns) + sheet.rows(*place, cloud_shape(fold.regression, where))
    return rows, fold.regression.affine_map(targets=where)


def side_by_side(parts: Mapping[str, ndarray]) -> tuple[Float[ndarray, "row column"], dict[str, slice]]:
    """Some arrays as one, and where each of them is."""
    ends = np.cumsum([part.shape[1] for part in parts.values()]).tolist()
    places = {name: slice(end - part.shape[1], end) for (name, part), end in zip(parts.items(), ends, strict=True)}
    return np.hstack([*parts.values()]), places


def table_scores(
    target: Float[ndarray, "row component"], weight: Float[ndarray, " row"], numbers: list, fold: ndarray | None
) -> Iterator[ErrorSums]:
    """The score of each table, from that of no tokens at all, which is the reference."""
    scored = slice(None) if fold is None else fold >= 0
    reference = None
    for predicted in kgram_predictions(target, weight, numbers, fold):
        error = weight[scored] @ (target - predicted)[scored] ** 2
        reference = error if reference is None else reference
        yield ErrorSums(error, reference, float(weight[scored].sum()))


def r2_by_group(
    decoded: Float[ndarray, "row component"],
    target: Float[ndarray, "row component"],
    weight: Float[ndarray, " row"],
    group: Integer[ndarray, " row"],
) -> Float[ndarray, " group"]:
    """R2 within each group of rows, whose own mean is the baseline; nan where nothing varies."""
    total_weight = np.maximum(np.bincount(group, weight), np.finfo(float).tiny)
    mean = np.stack([np.bincount(group, weight * column) for column in target.T], axis=1) / total_weight[:, None]
    error, spread = (np.bincount(group, weight * ((target - of) ** 2).sum(axis=1)) for of in (decoded, mean[group]))
    nothing = np.full(len(spread), np.nan)
    return 1 - np.divide(error, spread, out=nothing, where=spread > NOTHING * total_weight)
