"""Scores as rows of a table: what a score is of, by which estimator and split, and its value."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from geometry.probing.regression import ErrorSums

Metrics = Mapping[str, float | Sequence[float] | Float[ndarray, " place"]]
"""Values by metric; a sequence of values has the indices 1, 2, ... in the table."""


class ScoreRow(NamedTuple):
    """One score; the fields are those columns of probe.csv that describe neither the network nor the features."""

    target: str
    weighting: str
    split: str
    estimator: str
    n_rows: int
    n_features: int
    effective_rank: float
    metric: str
    index: int | None
    value: float
    draw: int | None


def as_frame(rows: Iterable[ScoreRow], **first: object) -> pd.DataFrame:
    """Rows as a table, behind columns of one value each."""
    table = pd.DataFrame(rows, columns=ScoreRow._fields).astype({"index": "Int64", "draw": "Int64"})
    for place, (name, value) in enumerate(first.items()):
        table.insert(place, name, value)
    return table


@dataclass(frozen=True)
class RowsOf:
    """Builds the rows of one weighting, split and estimator, for features of some size."""

    weighting: str
    split: str
    estimator: str
    n_rows: int
    n_features: int
    effective_rank: float

    def rows(
        self, target: str, metrics: Metrics, index: int | None = None, draw: int | None = None
    ) -> Iterator[ScoreRow]:
        """A row for each value of each metric."""
        size = self.n_rows, self.n_features, float(self.effective_rank)
        for metric, values in metrics.items():
            for place, value in [(index, values)] if np.ndim(values) == 0 else enumerate(values, 1):
                yield ScoreRow(
                    target, self.weighting, self.split, self.estimator, *size, metric, place, float(value), draw
                )

    def scores(
        self, of_draws: Sequence[ErrorSums], targets: Mapping[str, slice], by_draw: Collection[str] = ()
    ) -> Iterator[ScoreRow]:
        """R2, MSE and RMSE of each target: means over draws of folds; and the standard deviation of R2 over draws.

        For the targets in `by_draw`, also the R2 of each draw.
        """
        for target, part in targets.items():
            r2, mse = ([getattr(score, metric)(part) for score in of_draws] for metric in ("r2", "mse"))
            metrics = {"r2": np.mean(r2), "mse": np.mean(mse), "rmse": np.sqrt(np.mean(mse))}
            if len(of_draws) > 1:
                metrics["r2_sd_over_draws"] = np.std(r2, ddof=1)
            yield from self.rows(target, metrics)
            if target in by_draw:
                for draw, value in enumerate(r2, 1):
                    yield from self.rows(target, {"r2_of_draw": value}, draw=draw)

    def scores_of_parts(
        self, of_draws: Sequence[ErrorSums], parts: Mapping[tuple[str, int], slice]
    ) -> Iterator[ScoreRow]:
        """R2 of each part of the main target, by its name and index: means over draws of folds."""
        for (name, index), part in parts.items():
            yield from self.rows(name, {"r2": np.mean([score.r2(part) for score in of_draws])}, index)

    def partial_scores(
        self, of_draws: Sequence[Mapping[str, ErrorSums]], targets: Mapping[str, slice]
    ) -> Iterator[ScoreRow]:
        """Partial R2 beyond each covariate: means over draws of folds.

        That is the share of the variance left by the covariate that features and covariate together explain.
        """
        for covariate in list(of_draws[0])[1:]:
            for target, part in targets.items():
                gain = np.mean([scores[covariate].r2(part) for scores in of_draws])
                yield from self.rows(target, {f"partial_r2_beyond_{covariate}": gain})
