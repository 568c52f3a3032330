"""Claims on what follows from a network's predictions on all prefixes: its process, and the symmetries of that."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from geometry.claims.claim import (
    AT_INITIALISATION,
    NO_PREDICTIONS,
    NO_RANDOM_PREDICTIONS,
    NOT_FROM_START,
    Claim,
    at_initialisation,
    best_random_init,
    for_each_seed,
    lacking,
)
from geometry.claims.evidence import Evidence
from geometry.networks.origins import RANDOM_INIT
from geometry.recovery.sources import EXACT, SAMPLED, SUPPORT, TRUTH, UNIGRAM, is_identifiable
from geometry.tables import select


@dataclass(frozen=True)
class RecoveryScore:
    """A score of what was recovered: a measure of the recovery tables, relative to a reference value.

    `missing` stands for the measure where no process was recovered.
    """

    measure: str
    relative: Callable[[pd.Series], pd.Series]
    missing: float

    def by_seed(self, table: pd.DataFrame, **where) -> pd.Series:
        """The score of each network in a table."""
        values = select(table, measure=self.measure, **where).set_index("seed")["value"]
        return self.relative(values.reindex(table["seed"].unique(), fill_value=self.missing))

    def of_source(self, of_process: pd.DataFrame, source: str) -> float:
        """The score of a source that is no network."""
        values = select(of_process, measure=self.measure, source=source)["value"]
        return float(self.relative(values if len(values) else pd.Series([self.missing])).item())


def rank_score(of_process: pd.DataFrame) -> RecoveryScore:
    """One minus the relative error of the recovered number of dimensions."""
    true = select(of_process, source=TRUTH, measure="rank")["value"].item()
    return RecoveryScore("rank", lambda rank: 1 - abs(rank / true - 1), float("nan"))


def divergence_score(of_process: pd.DataFrame) -> RecoveryScore:
    """The share of the unigram baseline's divergence rate that is removed; 0 where no process was recovered."""
    unigram = select(of_process, source=UNIGRAM, measure="kl_rate_nats")["value"].item()
    return RecoveryScore("kl_rate_nats", lambda rate: 1 - rate / unigram, unigram)


def recovery_claim(evidence: Evidence, score: RecoveryScore, name: str, measure: str, testable: bool) -> Claim:
    """The claim that the last layer output recovers what a score measures."""
    last, steps, of_process = evidence.layer_outputs[-1], evidence.recovery["step"], evidence.process_recovery
    estimate = score.by_seed(evidence.recovery, source=last, step=steps.max())
    support = score.of_source(of_process, SUPPORT)
    baselines = {"unigram": for_each_seed(estimate, 0.0), "support": for_each_seed(estimate, support)}
    if (evidence.recovery["origin"] == RANDOM_INIT).any():
        baselines["at initialisation"] = score.by_seed(evidence.recovery, source=last, **AT_INITIALISATION)
    baselines |= best_random_init(estimate, score.by_seed(evidence.random_init_recovery, source=last))
    exact = score.of_source(of_process, EXACT)
    return Claim(name, last, estimate, baselines, "more", "recovery.csv", measure, exact, testable)


RANK = "shows the dimension of its process", "one minus the relative error of the rank"
DIVERGENCE = "its process can be recovered from it", "share of the unigram baseline's divergence"
"""Claims on what is recovered, and their measures."""


def rank_claim(evidence: Evidence) -> Claim:
    """The recovered number of dimensions is that of the process; testable where exact predictions show it."""
    score = rank_score(evidence.process_recovery)
    testable = score.of_source(evidence.process_recovery, EXACT) == 1
    return recovery_claim(evidence, score, *RANK, testable)


def process_claim(evidence: Evidence) -> Claim:
    """The recovered process predicts like the true one; testable where exact predictions identify it."""
    score, share = divergence_score(evidence.process_recovery), evidence.analysis["recovery"]["identifiable_share"]
    testable = is_identifiable(evidence.process_recovery, share)
    return recovery_claim(evidence, score, *DIVERGENCE, testable)


def beats_training_data_claim(evidence: Evidence, of_process: Claim) -> Claim:
    """The network recovers its process better than spectral learning from as many sequences as it was trained on."""
    sampled = divergence_score(evidence.process_recovery).by_seed(evidence.recovery, source=SAMPLED)
    baselines = {"spectral learning on as many sequences": sampled}
    return replace(of_process, name="recovers its process better than its training data do", baselines=baselines)


def without_predictions(evidence: Evidence, name: str, source: str, measure: str) -> Claim:
    """A claim that needs predictions from the first token on, of a recording or random network that lacks them."""
    if not len(evidence.loss):
        missing = NO_PREDICTIONS
    else:
        missing = NO_RANDOM_PREDICTIONS if evidence.loss["position"].min() == 1 else NOT_FROM_START
    return lacking(name, evidence.layer_outputs[-1], evidence.seeds, missing, source, measure)


def recovered(evidence: Evidence) -> Iterator[Claim]:
    """The process can be recovered from the last layer output, and better than from the training data."""
    if not len(evidence.recovery):
        for name, measure in (RANK, DIVERGENCE):
            yield without_predictions(evidence, name, "recovery.csv", measure)
        return
    yield rank_claim(evidence)
    of_process = process_claim(evidence)
    yield of_process
    if len(select(evidence.recovery, source=SAMPLED)):
        yield beats_training_data_claim(evidence, of_process)


def explained_by_maps(table: pd.DataFrame, permutations: set[str], **where) -> pd.Series:
    """The share of the variance on leading principal components that linear maps explain, mean over permutations."""
    rows = select(table, measure="error", **where)
    return 1 - rows[rows["permutation"].isin(permutations)].groupby("seed")["value"].mean()


SYMMETRY = "has the symmetry of its process"


def symmetric(evidence: Evidence) -> Iterator[Claim]:
    """The symmetries of a process that has any act linearly on the activations, on a plane chosen without them.

    The estimate is the share of the variance that the maps explain, in the mean over the symmetries.
    """
    symmetries = {*select(evidence.process_symmetry, measure="is_symmetry", value=1)["permutation"]} - {"()"}
    if symmetries:
        last, measure = evidence.layer_outputs[-1], "share of the variance on the leading principal components"
        if not len(evidence.symmetry):
            yield without_predictions(evidence, SYMMETRY, "symmetry.csv", measure)
            return
        where = {"site": last, "n_dimensions": evidence.analysis["symmetry"]["dimensions"]}
        estimate = explained_by_maps(evidence.symmetry, symmetries, step=evidence.symmetry["step"].max(), **where)
        before = explained_by_maps(evidence.symmetry, symmetries, **where, **AT_INITIALISATION)
        baselines = at_initialisation(before)
        baselines |= best_random_init(estimate, explained_by_maps(evidence.random_init_symmetry, symmetries, **where))
        yield Claim(SYMMETRY, last, estimate, baselines, "more", "symmetry.csv", measure)
