"""What the study claims of an experiment: each claim with its evidence by seed, and the floors that it must beat.

An R2 is of held-out prefixes, weighted by their probability, by a ridge regression whose penalty was
chosen on inner folds, unless a claim says otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from geometry.probe_table import select
from geometry.sites import CONCATENATED, INPUT, OPTIMUM, OUTPUT, is_stream

PREDICTIONS = ["next_token_probability", "next_token_log_probability"]
OWN_PREDICTIONS = ["network_probability", "network_log_probability"]


PROBED = {"split": "held_out_prefix", "estimator": "ridge", "weighting": "probability", "metric": "r2"}


@dataclass(frozen=True)
class Claim:
    """What is said of an experiment: an estimate and its floors, by seed, and on which side of them it should be."""

    name: str
    site: str
    source: str
    estimate: pd.Series
    floors: dict[str, pd.Series]
    kind: str = "more"


@dataclass(frozen=True)
class Evidence:
    """The tables of one experiment."""

    probe: pd.DataFrame
    untrained: pd.DataFrame
    loss: pd.DataFrame
    steering: pd.DataFrame

    @property
    def streams(self) -> list[str]:
        return [site for site in self.probe["site"].unique() if is_stream(site)]

    def has(self, **values) -> bool:
        return len(select(self.probe, **values)) > 0

    def r2(self, site: str, target: str = "belief_state", features: str = "activations", **where) -> pd.Series:
        """R2 by seed, of the trained network unless a step is given."""
        where = {"step": self.probe["step"].max()} | PROBED | where
        rows = select(self.probe, site=site, target=target, features=features, **where)
        return rows.set_index("seed")["value"]

    def best_untrained(self, like: pd.Series, site: str, target: str = "belief_state", **where) -> dict[str, pd.Series]:
        """The highest R2 among the networks that were never trained, as a floor for each seed."""
        where = PROBED | where
        found = select(self.untrained, site=site, target=target, features="activations", **where)["value"]
        return {f"best of {len(found)} untrained networks": 0 * like + found.max()}

    def of_tokens(self, target: str = "belief_state") -> dict[str, pd.Series]:
        names = {"last token": "last_token", "all tokens, additive": "additive_tokens"}
        return {name: self.r2(INPUT, target, features) for name, features in names.items()}

    def of_predictions(self, target: str) -> dict[str, pd.Series]:
        """What the optimal next-token predictions tell of a target, and the network's own."""
        optimal = {name.replace("_", " "): self.r2(OPTIMUM, target, name) for name in PREDICTIONS}
        return optimal | {name.replace("_", " "): self.r2(OUTPUT, target, name) for name in OWN_PREDICTIONS}


def guess(like: pd.Series) -> dict[str, pd.Series]:
    return {"mean belief": 0 * like}


def best_of(scores: list[pd.Series]) -> pd.Series:
    return pd.concat(scores, axis=1).max(axis=1)


def predicted(evidence: Evidence) -> Iterator[Claim]:
    """The share of the avoidable loss (untrained network to optimum) that training has removed."""
    gap = evidence.loss.groupby(["seed", "step"])["gap_nats"].mean().unstack()
    estimate = 1 - gap.iloc[:, -1] / gap.iloc[:, 0]
    yield Claim("predicts the next token", OUTPUT, "loss.csv", estimate, {"untrained network": 0 * estimate})


def represented(evidence: Evidence) -> Iterator[Claim]:
    """Whether the belief is linear in the activations, and whether training rather than the probe put it there."""
    last, source = evidence.streams[-1], "probe.csv"
    estimate = evidence.r2(last)
    yield Claim("linearly represented", last, source, estimate, guess(estimate) | evidence.of_tokens())
    where = {"split": "held_out_subtree", "estimator": "least_squares"}
    strict = evidence.r2(last, **where)
    shuffled = {"shuffled beliefs": evidence.r2(last, "shuffled_belief_state", **where)}
    floors = guess(strict) | shuffled | evidence.best_untrained(strict, last, **where)
    yield Claim("not an artefact of the probe", last, source, strict, floors)
    before = evidence.r2(last, step=evidence.probe["step"].min())
    floors = {"before training": before} | evidence.best_untrained(estimate, last)
    yield Claim("emerges with training", last, source, estimate, guess(estimate) | floors)
    table = evidence.r2(INPUT, features="last_3_tokens", estimator="table")
    yield Claim("reaches beyond the last three tokens", last, source, estimate, {"table of the last 3 tokens": table})


def beyond_predictions(evidence: Evidence) -> Iterator[Claim]:
    """Whether the activations hold what next-token predictions do not tell; where these tell all, none can say."""
    last, target = evidence.streams[-1], "belief_state"
    if evidence.has(target="invisible_belief_state"):
        target = "invisible_belief_state"
    estimate = evidence.r2(last, target)
    floors = evidence.of_predictions(target) | evidence.of_tokens(target)
    floors |= evidence.best_untrained(estimate, last, target)
    yield Claim("beyond next-token prediction", last, "probe.csv", estimate, guess(estimate) | floors)


def across_layers(evidence: Evidence) -> Iterator[Claim]:
    """Whether all layers together hold more than the best one, and what becomes of it towards the last."""
    *earlier, last = evidence.streams
    best = {"best single residual stream": best_of([evidence.r2(site) for site in evidence.streams])}
    yield Claim("spread across layers", CONCATENATED, "probe.csv", evidence.r2(CONCATENATED), best)
    target, name = "invisible_belief_state", "fades towards the last layer where predictions do not need it"
    if evidence.has(target=target):
        before = best_of([evidence.r2(site, target) for site in earlier])
        floors = guess(before) | {"last residual stream": evidence.r2(last, target)}
        yield Claim(name, "best earlier stream", "probe.csv", before, floors)
    else:
        before = {"best earlier residual stream": best_of([evidence.r2(site) for site in earlier])}
        name = "persists to the last layer where predictions need it"
        yield Claim(name, last, "probe.csv", evidence.r2(last), before, "no less")


def duplicated(evidence: Evidence) -> Iterator[Claim]:
    """Whether what no prediction can ever need is as absent as from the floors, at every site."""
    target = "unobservable_belief_state"
    if evidence.has(target=target):
        estimate = best_of([evidence.r2(site, target) for site in evidence.streams])
        untrained = [evidence.best_untrained(estimate, site, target) for site in evidence.streams]
        (name,) = untrained[0]
        floors = evidence.of_tokens(target) | {name: best_of([floor[name] for floor in untrained])}
        floors |= guess(estimate)
        yield Claim("does not tell duplicate states apart", "best stream", "probe.csv", estimate, floors, "no more")


def causal(evidence: Evidence) -> Iterator[Claim]:
    """The share of the distance to a counterfactual optimum that writing its belief covers, over all streams.

    Where beliefs with the same next-token prediction differ, the prediction after one more token is asked too.
    """
    rows = select(evidence.steering, metric="kl_to_counterfactual_nats")
    rows = rows[rows["site"].str.endswith("hook_resid_post")]
    names = {("any", 0): "causal", ("equal_next_token", 1): "causal for what only later tokens reveal"}
    for (partner, later), name in names.items():
        found = select(rows, partner=partner, tokens_later=later)
        if len(found):
            level = found.groupby(["intervention", "dose", "seed"])["value"].mean()
            share = {way: 1 - level[way, 1] / level[way, 0] for way in ("pattern", "filter", "random")}
            floors = {"nothing written": 0 * share["pattern"], "random direction": share["random"]}
            floors["weights of the probe"] = share["filter"]
            yield Claim(name, "every stream behind a block", "steering.csv", share["pattern"], floors)


def claims_of(evidence: Evidence) -> Iterator[Claim]:
    """Every claim that can be made of an experiment: some need residual streams, some more than one of them."""
    yield from predicted(evidence)
    if evidence.streams:
        yield from represented(evidence)
        yield from beyond_predictions(evidence)
    if len(evidence.streams) > 1:
        yield from across_layers(evidence)
    if evidence.streams:
        yield from duplicated(evidence)
    yield from causal(evidence)
