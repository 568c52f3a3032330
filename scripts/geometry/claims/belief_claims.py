"""Claims on networks of hidden Markov models: each with its evidence by seed, and the baselines that it must beat.

An R2 is of held-out prefixes, weighted by their probability, by a ridge regression whose penalty was
chosen on inner folds, unless a claim's measure states otherwise.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from geometry.claims.claim import (
    Claim,
    best_elsewhere,
    best_of,
    best_random_init,
    for_each_seed,
    mean_belief_baseline,
    predicted,
)
from geometry.claims.evidence import Evidence
from geometry.networks.hook_points import CONCATENATED, FIRST_BLOCK, is_behind_layer, is_state
from geometry.networks.origins import RANDOM_INIT
from geometry.probing.probe_table import BASELINES
from geometry.recovery.sources import EXACT, SAMPLED, SUPPORT, TRUTH, UNIGRAM, is_identifiable
from geometry.tables import select

TOKENS = ["last token", "all tokens, additive"]
PREDICTIONS = [name for name in BASELINES if name.endswith("probabilities")]

AT_INITIALISATION = {"origin": RANDOM_INIT}
"""The snapshot of a network before its training."""


def represented(evidence: Evidence) -> Iterator[Claim]:
    """The belief is linear in the activations, by training and not by the probe."""
    last = evidence.layer_outputs[-1]
    estimate = evidence.r2(last)
    yield Claim(
        "linear, beyond token baselines",
        last,
        estimate,
        mean_belief_baseline(estimate) | evidence.baselines_of(estimate, TOKENS),
    )
    baselines = {"at initialisation": evidence.r2(last, **AT_INITIALISATION)}
    baselines |= evidence.best_random_init(estimate, last)
    yield Claim("emerges with training", last, estimate, mean_belief_baseline(estimate) | baselines)
    table = evidence.baseline(estimate, "3-gram", estimator="k_gram")
    yield Claim("exceeds the 3-gram baseline", last, estimate, {"3-gram": table})
    if evidence.has(split="held_out_subtree"):
        where = {"split": "held_out_subtree"}
        strict = evidence.r2(last, **where)
        shuffled = evidence.r2(last, "shuffled_belief_state", **where)
        baselines = evidence.baselines_of(strict, TOKENS, **where) | evidence.best_random_init(strict, last, **where)
        baselines |= {"shuffled beliefs": shuffled}
        measure = "R2, held-out subtrees, ridge"
        yield Claim(
            "not an artefact of the probe", last, strict, mean_belief_baseline(strict) | baselines, measure=measure
        )


def decoded(evidence: Evidence, name: str, site: str, target: str, known: list[str]) -> Claim:
    """The claim that a target is decoded, beyond some baselines and random networks."""
    estimate = evidence.r2(site, target)
    baselines = mean_belief_baseline(estimate) | evidence.baselines_of(estimate, known, target)
    return Claim(name, site, estimate, baselines | evidence.best_random_init(estimate, site, target))


def beyond_predictions(evidence: Evidence) -> Iterator[Claim]:
    """The activations hold what next-token predictions do not determine; not testable where these determine all."""
    last, target = evidence.layer_outputs[-1], "belief_state"
    if evidence.has(target="belief_beyond_next_token"):
        target = "belief_beyond_next_token"
    elif evidence.has(target="unobservable_belief_state"):
        return  # what these predictions do not determine, no prediction does
    yield decoded(evidence, "beyond next-token prediction", last, target, [*PREDICTIONS, *TOKENS])


def across_layers(evidence: Evidence) -> Iterator[Claim]:
    """All layers together hold more than the best one; and the change of the belief towards the last layer."""
    *earlier, last = evidence.layer_outputs
    best = {"best single layer output": best_of([evidence.r2(site) for site in evidence.layer_outputs])}
    yield Claim("spread across layers", CONCATENATED, evidence.r2(CONCATENATED), best)
    target = "belief_beyond_next_token"
    if evidence.has(target=target):
        before = best_elsewhere([evidence.r2(site, target) for site in earlier])
        baselines = mean_belief_baseline(before) | {"last layer output": evidence.r2(last, target)}
        name = "fades towards the last layer where predictions do not need it"
        yield Claim(name, "an earlier layer output, chosen on other seeds", before, baselines)
    else:
        before = {"best earlier layer output": best_of([evidence.r2(site) for site in earlier])}
        name = "persists to the last layer where predictions need it"
        yield Claim(name, last, evidence.r2(last), before, "no less")


def duplicated(evidence: Evidence) -> Iterator[Claim]:
    """The unobservable belief is as absent from the best layer output as from the baselines."""
    target = "unobservable_belief_state"
    if evidence.has(target=target):
        estimate = best_of([evidence.r2(site, target) for site in evidence.layer_outputs])
        never = [evidence.of_random_init(site, target).mean() for site in evidence.layer_outputs]
        random = for_each_seed(estimate, max(never, key=pd.Series.mean))
        baselines = mean_belief_baseline(estimate) | evidence.baselines_of(estimate, TOKENS, target)
        baselines |= {"random networks": random}
        yield Claim(
            "does not linearly distinguish duplicate states", "best layer output", estimate, baselines, "no more"
        )


def shares(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """By intervention and seed, the share of the distance to the counterfactual optimum that full dose covers."""
    level = rows.groupby(["intervention", "dose", "seed"])["value"].mean()
    return {way: 1 - level[way, 1] / level[way, 0] for way in ("pattern", "filter", "random")}


def causal(evidence: Evidence) -> Iterator[Claim]:
    """The share of the distance to a counterfactual optimum that writing its belief covers, by layer output.

    Where beliefs with the same next-token prediction differ, the prediction after one more token is scored too,
    at layer outputs that later positions read: each state, and each residual stream but the last.
    """
    measure = "share of the KL divergence"
    found = select(evidence.steering, metric="kl_to_counterfactual_nats")
    behind = [site for site in found["site"].unique() if is_behind_layer(site)]
    carried_forward = [site for site in behind if is_state(site) or site != behind[-1]]
    scored = [("causal", site, select(found, site=site, partner="any", tokens_later=0)) for site in behind]
    later = select(found[found["site"].isin(carried_forward)], partner="equal_next_token", tokens_later=1)
    scored += [("causal for what only later tokens reveal", "layer outputs that are carried forward", later)] * (
        len(later) > 0
    )
    for name, site, rows in scored:
        share = shares(rows)
        baselines = {"nothing written": 0 * share["pattern"], "random direction": share["random"]}
        baselines["weights of the probe"] = share["filter"]
        yield Claim(name, site, share["pattern"], baselines, "more", "steering.csv", measure)


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
    baselines["at initialisation"] = score.by_seed(evidence.recovery, source=last, **AT_INITIALISATION)
    baselines |= best_random_init(estimate, score.by_seed(evidence.random_init_recovery, source=last))
    exact = score.of_source(of_process, EXACT)
    return Claim(name, last, estimate, baselines, "more", "recovery.csv", measure, exact, testable)


def rank_claim(evidence: Evidence) -> Claim:
    """The recovered number of dimensions is that of the process; testable where exact predictions show it."""
    score = rank_score(evidence.process_recovery)
    testable = score.of_source(evidence.process_recovery, EXACT) == 1
    name, measure = "shows the dimension of its process", "one minus the relative error of the rank"
    return recovery_claim(evidence, score, name, measure, testable)


def process_claim(evidence: Evidence) -> Claim:
    """The recovered process predicts like the true one; testable where exact predictions identify it."""
    score, share = divergence_score(evidence.process_recovery), evidence.analysis["recovery"]["identifiable_share"]
    testable = is_identifiable(evidence.process_recovery, share)
    name, measure = "its process can be recovered from it", "share of the unigram baseline's divergence"
    return recovery_claim(evidence, score, name, measure, testable)


def beats_training_data_claim(evidence: Evidence, of_process: Claim) -> Claim:
    """The network recovers its process better than spectral learning from as many sequences as it was trained on."""
    sampled = divergence_score(evidence.process_recovery).by_seed(evidence.recovery, source=SAMPLED)
    baselines = {"spectral learning on as many sequences": sampled}
    return replace(of_process, name="recovers its process better than its training data do", baselines=baselines)


def recovered(evidence: Evidence) -> Iterator[Claim]:
    """The process can be recovered from the last layer output, and better than from the training data."""
    yield rank_claim(evidence)
    of_process = process_claim(evidence)
    yield of_process
    if len(select(evidence.recovery, source=SAMPLED)):
        yield beats_training_data_claim(evidence, of_process)


def explained_by_maps(table: pd.DataFrame, permutations: set[str], **where) -> pd.Series:
    """The share of the variance on leading principal components that linear maps explain, mean over permutations."""
    rows = select(table, measure="error", **where)
    return 1 - rows[rows["permutation"].isin(permutations)].groupby("seed")["value"].mean()


def symmetric(evidence: Evidence) -> Iterator[Claim]:
    """The symmetries of a process that has any act linearly on the activations, on a plane chosen without them.

    The estimate is the share of the variance that the maps explain, in the mean over the symmetries.
    """
    symmetries = {*select(evidence.process_symmetry, measure="is_symmetry", value=1)["permutation"]} - {"()"}
    if symmetries:
        last = evidence.layer_outputs[-1]
        where = {"site": last, "n_dimensions": evidence.analysis["symmetry"]["dimensions"]}
        estimate = explained_by_maps(evidence.symmetry, symmetries, step=evidence.symmetry["step"].max(), **where)
        baselines = {
            "at initialisation": explained_by_maps(evidence.symmetry, symmetries, **where, **AT_INITIALISATION)
        }
        baselines |= best_random_init(estimate, explained_by_maps(evidence.random_init_symmetry, symmetries, **where))
        measure = "share of the variance on the leading principal components"
        yield Claim("has the symmetry of its process", last, estimate, baselines, "more", "symmetry.csv", measure)


def attended(evidence: Evidence) -> Iterator[Claim]:
    """The first attention adds up evidence, of which the first MLP makes the belief; where this was measured."""
    if not len(evidence.attention):
        return
    behind_attention, before_mlp, behind_mlp = FIRST_BLOCK
    belief, update = "belief_state", "constrained_update"
    source = "attention.csv"
    estimate = evidence.attention_r2(behind_attention, update)
    baselines = {"the belief there": evidence.attention_r2(behind_attention, belief)}
    baselines |= evidence.best_random_attention(estimate, behind_attention, update)
    yield Claim("first attention adds up evidence token by token", behind_attention, estimate, baselines, source=source)
    estimate = evidence.attention_r2(behind_mlp, belief)
    baselines = {
        "the sum of evidence there": evidence.attention_r2(behind_mlp, update),
        "the belief before the MLP": evidence.attention_r2(before_mlp, belief),
    }
    baselines |= evidence.best_random_attention(estimate, behind_mlp, belief)
    yield Claim("first MLP turns evidence into the belief", behind_mlp, estimate, baselines, source=source)


def claims_of(evidence: Evidence) -> Iterator[Claim]:
    """Every claim of an experiment: some need layer outputs, some several, some long enough prefixes."""
    yield from predicted(evidence.loss)
    if evidence.layer_outputs:
        yield from represented(evidence)
        yield from beyond_predictions(evidence)
    if len(evidence.layer_outputs) > 1:
        yield from across_layers(evidence)
    if evidence.layer_outputs:
        yield from duplicated(evidence)
        yield from recovered(evidence)
        yield from symmetric(evidence)
    yield from causal(evidence)
    yield from attended(evidence)
