"""All scores of some features, or of tables of the last tokens, as rows of the probe's table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.floors import table_predictions
from geometry.moments import Moments, cell_moments
from geometry.probe import AffineMap, Fold, Regression, Score, decode, ridge, score, total
from geometry.splits import Split

COLUMNS = ["target", "weighting", "split", "estimator", "n_rows", "n_features", "effective_rank", "metric", "value"]

PENALISED = ("held_out_prefix", "held_out_subtree")
"""The splits on which a ridge regression is scored too; by length, the other lengths say little of the penalty."""

NOTHING = 1e-12
"""A variance of beliefs that is rounding."""

SPECTRUM = 10
"""Principal components whose share of the variance is told."""


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

    def of_gains(self, split, rank, repeats: list[dict[str, Score]], targets: Mapping[str, slice]) -> list[tuple]:
        """Of each rival, the share of what it leaves unexplained that the features explain beside it."""
        rows = []
        for rival in list(repeats[0])[1:]:
            for target, part in targets.items():
                gain = np.mean([scores[rival].r2(part) for scores in repeats])
                rows += self.rows(target, split, "least_squares", rank, {f"partial_r2_beyond_{rival}": gain})
        return rows


@dataclass(frozen=True)
class Examination:
    """What features are asked, and how: the targets, the weights of the rows, the ways of holding rows out.

    The first weighting is by probability, the first split by prefix; other splits know only that
    weighting. `memory` holds, by weighting and split, the R2 of tables of the last 1, 2, ... tokens.
    """

    length: Integer[ndarray, " row"]
    true: Mapping[str, Float[ndarray, "row _"]]
    wrong: Mapping[str, Float[ndarray, "row _"]]
    weights: Mapping[str, Float[ndarray, " row"]]
    splits: list[Split]
    memory: Mapping[tuple[str, str], list[float]] = field(default_factory=dict)

    def weightings(self, split: Split) -> list[str]:
        return list(self.weights)[: None if split is self.splits[0] else 1]

    def examine(
        self,
        features: Float[ndarray, "row feature"],
        parts: Mapping[str, slice],
        rivals: Mapping[str, Float[ndarray, "row _"]],
    ) -> Iterator[tuple[str, list[tuple], Float[ndarray, "way row component"]]]:
        """For each part of the features its name, its rows, and the belief state as decoded from it.

        Decoded in two ways: held out by the first split and weighting, and in sample by the last
        weighting. For each rival there are scores of how much the features add to it.
        """
        columns, places = side_by_side({**self.true, **self.wrong, **rivals})
        moments, read = {}, {}
        for split in self.splits:
            if (cells := id(split.cell)) not in read:  # two ways may share their cells
                weights = np.array([self.weights[name] for name in self.weightings(split)])
                read[cells] = cell_moments(features, columns, weights, split.cell)
            moments[split.name] = read[cells]
        for name, part in parts.items():
            rows, held_out, in_sample = [], [], None
            for split in self.splits:
                for weighting, of in zip(self.weightings(split), moments[split.name], strict=True):
                    found, maps, whole = self._regress(of.of_features(part), split, weighting, places, list(rivals))
                    rows += found
                    held_out, in_sample = held_out or maps, whole or in_sample
            maps, fold = [*held_out, in_sample], self.splits[0].fold[0]
            decoded = decode(features[:, part], maps, np.stack([fold, np.full(len(fold), len(maps) - 1)]))
            yield name, [*self._with_memory(rows), *self._by_length(decoded, maps)], decoded

    def _regress(self, of: Moments, split: Split, weighting: str, places: Mapping[str, slice], rivals: list[str]):
        """The rows of one split and weighting; the maps to the belief state of its folds, and by prefix of all rows."""
        sheet = Sheet(weighting, len(split.cell), len(of.shift))
        targets = {name: places[name] for name in (*self.true, *self.wrong)}
        true = {name: places[name] for name in self.true}
        beyond, those = {rival: places[rival] for rival in rivals}, slice(max(part.stop for part in true.values()))
        folds = [[Fold(*sets) for sets in of.splits(fold_of_cell)] for fold_of_cell in split.fold_of_cell]
        found = [[score(fold, beyond, those) for fold in repeat] for repeat in folds]
        repeats = [total(scores for _, scores in repeat) for repeat in found]
        rank = np.mean([affine.effective_rank for repeat in found for affine, _ in repeat])
        rows = sheet.of_scores(split.name, "least_squares", rank, [scores[""] for scores in repeats], targets)
        rows += sheet.of_gains(split.name, rank, repeats, true)
        maps, whole = [affine.to(true["belief_state"]) for affine, _ in found[0]], None
        if split is self.splits[0]:
            everything = Fold(of.total(), of.total())
            affine, scores = score(everything, beyond, those)
            whole, place = affine.to(true["belief_state"]), ("in_sample", "least_squares", affine.effective_rank)
            rows += sheet.of_scores(*place, [scores[""]], targets)
            rows += sheet.of_gains("in_sample", affine.effective_rank, [scores], true)
            shape = geometry(everything.regression, true["belief_state"])
            rows += sheet.rows("belief_state", "in_sample", "principal_components", affine.effective_rank, shape)
        if weighting == next(iter(self.weights)) and split.name in PENALISED:
            penalised, strengths = ridge(folds[0], those)
            rows += sheet.of_scores(split.name, "ridge", rank, [penalised], true)
            strength = {"ridge_strength": np.exp(np.log(strengths).mean())}
            rows += sheet.rows("belief_state", split.name, "ridge", rank, strength)
        return rows, maps, whole

    def _with_memory(self, rows: list[tuple]) -> list[tuple]:
        """Rows, and for each R2 of the belief state the fewest last tokens whose table does as well."""
        more = []
        for row in rows:
            target, weighting, split, estimator, *size, metric, value = row
            tables = self.memory.get((weighting, split))
            if (target, estimator, metric) == ("belief_state", "least_squares", "r2") and tables:
                enough = [k for k, r2 in enumerate(tables, 1) if r2 >= value]
                memory = float(enough[0]) if enough else np.inf
                more.append((target, weighting, split, estimator, *size, "effective_memory", memory))
        return rows + more

    def _by_length(self, decoded: Float[ndarray, "way row component"], maps: list[AffineMap]) -> list[tuple]:
        """R2 among the prefixes of each length, against their own mean as a guess."""
        rows, weightings = [], list(self.weights)
        ways = (weightings[0], self.splits[0].name), (weightings[-1], "in_sample")
        for (weighting, split), belief in zip(ways, decoded, strict=True):
            sheet = Sheet(weighting, len(belief), maps[-1].matrix.shape[0])
            r2 = r2_by_group(belief, self.true["belief_state"], self.weights[weighting], self.length)
            metrics = {f"r2_after_{n}_tokens": value for n, value in enumerate(r2) if n}
            rows += sheet.rows("belief_state", split, "least_squares", maps[-1].effective_rank, metrics)
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


def geometry(regression: Regression, target: slice) -> dict[str, float]:
    """The shape of a cloud of features without a probe: its principal components, and how these lie beside the target.

    The Procrustes disparity is the share of the variance that differs when as many leading components as
    the target has dimensions are laid on it by rotation, reflection and one scale (0: the same shape).
    """
    variance, covariance = regression.variance[::-1], regression.covariance[::-1, target]
    spread = np.linalg.eigvalsh(regression.target_covariance[target, target])
    d = int((spread > 1e-9 * spread[-1]).sum())
    overlap = np.linalg.svd(covariance[:d], compute_uv=False).sum() ** 2
    size = variance[:d].sum() * spread.sum()
    shares = variance / regression.total_variance if len(variance) else variance
    return {
        "procrustes_disparity": 1 - overlap / size if size > 0 else float("nan"),
        "participation_ratio": 1 / (shares**2).sum() if len(shares) else float("nan"),
        **{f"variance_share_{k}": share for k, share in enumerate(shares[:SPECTRUM], 1)},
    }


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
    return np.where(spread > NOTHING * total_weight, 1 - error / np.maximum(spread, np.finfo(float).tiny), np.nan)
