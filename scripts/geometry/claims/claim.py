"""A claim of an experiment: its estimate by seed, and the baselines that it must beat."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from geometry.networks.hook_points import OUTPUT
from geometry.networks.origins import RANDOM_INIT

NO_RANDOM_NETWORK, NO_PREDICTIONS = "no random network", "no predictions"
NOT_FROM_START, NO_NETWORK = "no predictions after the first tokens", "no network to write into"
NO_RANDOM_PREDICTIONS = "no predictions of the random network"
MISSING = NO_RANDOM_NETWORK, NO_PREDICTIONS, NOT_FROM_START, NO_NETWORK, NO_RANDOM_PREDICTIONS
"""Baselines that stand for what a recording lacks."""

AT_INITIALISATION = {"origin": RANDOM_INIT}
"""The snapshot of a network before its training."""

Scores = pd.Series | pd.DataFrame
"""Scores by seed and, where they rest on folds that are drawn, by draw: one column each."""


@dataclass(frozen=True)
class Claim:
    """A claim: an estimate and its baselines, by seed, and the kind of their comparison.

    The kind is ``more``, ``no less`` or ``no more``; see `verdicts.verdict`. `exact` is the estimate of exact
    predictions on the same prefixes, where there is one; where these do not show what is claimed, it is not `testable`.
    """

    name: str
    site: str
    estimate: Scores
    baselines: dict[str, Scores]
    kind: str = "more"
    source: str = "probe.csv"
    measure: str = "R2, held-out prefixes, ridge"
    exact: float = float("nan")
    testable: bool = True

    @property
    def missing(self) -> str:
        """A recording lacks this to test the claim by, in words; empty if nothing is missing."""
        return ", ".join(name for name in MISSING if name in self.baselines)


def over_draws(scores: Scores) -> pd.Series:
    """The mean over the draws of folds, by seed."""
    return scores if isinstance(scores, pd.Series) else scores.mean(axis=1)


def _chosen(scores: list[pd.DataFrame], place: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({seed: scores[one].loc[seed] for seed, one in place.items()}).T.rename_axis("seed")


def for_each_seed(like: Scores, scores: float | pd.Series) -> Scores:
    """The same score, or scores by draw, for each seed of `like`."""
    if isinstance(like, pd.Series):
        return pd.Series(scores, like.index, dtype=float)
    row = scores.reindex(like.columns) if isinstance(scores, pd.Series) else pd.Series(scores, like.columns)
    return pd.DataFrame(np.tile(row.to_numpy(), (len(like), 1)), like.index, like.columns)


def at_initialisation(scores: Scores) -> dict[str, Scores]:
    """The scores before training as a baseline; none of a recording without a random network."""
    return {"at initialisation": scores} if len(scores) else {}


def lacking(name: str, site: str, seeds: Iterable[int], missing: str, source: str, measure: str) -> Claim:
    """A claim without an estimate, for want of what is missing."""
    nothing = pd.Series(np.nan, pd.Index(seeds, name="seed"))
    return Claim(name, site, nothing, {missing: nothing}, "more", source, measure)


def best_random_init(like: Scores, scores: Scores) -> dict[str, Scores]:
    """The scores of the best of the random networks, as a baseline for each seed.

    Random networks of the seeds themselves have read the words of these: each is the baseline for its own.
    """
    if not len(scores):
        return {NO_RANDOM_NETWORK: for_each_seed(like, float("nan"))}
    if scores.index.equals(like.index):
        return {"random network": scores}
    means = over_draws(scores)
    best = scores.loc[means.idxmax()] if means.notna().any() else float("nan")
    return {f"best of {len(scores)} random networks": for_each_seed(like, best)}


def mean_belief_baseline(like: Scores) -> dict[str, Scores]:
    """The score of predicting the mean belief, which R2 is relative to: 0."""
    return {"mean belief": for_each_seed(like, 0.0)}


def best_of(scores: list[pd.DataFrame]) -> pd.DataFrame:
    """For each seed the scores that are best in the mean over the draws."""
    means = pd.concat(map(over_draws, scores), axis=1, ignore_index=True)
    return _chosen(scores, means.idxmax(axis=1))


def best_elsewhere(scores: list[pd.DataFrame]) -> pd.DataFrame:
    """For each seed the scores that are best among the means over the other seeds, so that none is chosen by itself."""
    table = pd.concat(map(over_draws, scores), axis=1, ignore_index=True)
    others = (table.sum() - table) / max(len(table) - 1, 1) if len(table) > 1 else table
    return _chosen(scores, others.idxmax(axis=1))


def predicted(loss: pd.DataFrame, missing: str = NO_RANDOM_NETWORK) -> Iterator[Claim]:
    """The share of the avoidable loss (from the network at initialisation to the optimum) that training removed.

    Without a loss at initialisation it is not testable, for want of what is missing.
    """
    gap = loss.groupby(["seed", "step"])["gap_nats"].mean().unstack()
    estimate, measure = 1 - gap.iloc[:, -1] / gap.iloc[:, 0], "share of the avoidable loss"
    if gap.shape[1] == 1:
        yield lacking("predicts near the optimum", OUTPUT, gap.index, missing, "loss.csv", measure)
        return
    optimum = {"an optimal predictor": for_each_seed(estimate, 1.0)}
    yield Claim("predicts near the optimum", OUTPUT, estimate, optimum, "no less", "loss.csv", measure)
