"""Claims on networks of hidden Markov models: each with its evidence by seed, and the baselines that it must beat.

An R2 is of held-out prefixes, weighted by their probability, by a ridge regression whose penalty was
chosen on inner folds, unless a claim's measure states otherwise.
"""

from collections.abc import Iterator

import pandas as pd

from geometry.claims.claim import (
    AT_INITIALISATION,
    NO_NETWORK,
    NO_PREDICTIONS,
    NO_RANDOM_NETWORK,
    NO_RANDOM_PREDICTIONS,
    Claim,
    at_initialisation,
    best_elsewhere,
    best_of,
    best_random_init,
    for_each_seed,
    lacking,
    mean_belief_baseline,
    predicted,
)
from geometry.claims.evidence import Evidence
from geometry.claims.process_claims import recovered, symmetric
from geometry.networks.hook_points import CONCATENATED, FIRST_BLOCK, OUTPUT, is_behind_layer, is_state
from geometry.probing.probe_table import BASELINES
from geometry.tables import select

TOKENS = ["last token", "all tokens, additive"]
PREDICTIONS = [name for name in BASELINES if name.endswith("probabilities")]


def represented(evidence: Evidence) -> Iterator[Claim]:
    """The belief is linear in the activations, by training and not by the probe."""
    last = evidence.layer_outputs[-1]
    estimate = evidence.r2(last)
    baselines = mean_belief_baseline(estimate) | evidence.baselines_of(estimate, TOKENS)
    yield Claim("linear, beyond token baselines", last, estimate, baselines)
    baselines = mean_belief_baseline(estimate) | at_initialisation(evidence.r2(last, **AT_INITIALISATION))
    baselines |= evidence.best_random_init(estimate, last)
    yield Claim("emerges with training", last, estimate, baselines)
    table = evidence.baseline(estimate, "3-gram", estimator="k_gram")
    yield Claim("exceeds the 3-gram baseline", last, estimate, {"3-gram": table})
    if evidence.has(split="held_out_subtree"):
        where = {"split": "held_out_subtree"}
        strict = evidence.r2(last, **where)
        baselines = mean_belief_baseline(strict) | evidence.baselines_of(strict, TOKENS, **where)
        baselines |= evidence.best_random_init(strict, last, **where)
        baselines["shuffled beliefs"] = evidence.r2(last, "shuffled_belief_state", **where)
        measure = "R2, held-out subtrees, ridge"
        yield Claim("not an artefact of the probe", last, strict, baselines, measure=measure)


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
    if evidence.has(site=CONCATENATED):
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
        baselines = mean_belief_baseline(estimate) | evidence.baselines_of(estimate, TOKENS, target)
        if len(evidence.random_init):
            baselines["random networks"] = for_each_seed(estimate, max(never, key=pd.Series.mean))
        else:
            baselines |= best_random_init(estimate, evidence.random_init)
        name = "does not linearly distinguish duplicate states"
        yield Claim(name, "best layer output", estimate, baselines, "no more")


def spent(evidence: Evidence) -> Iterator[Claim]:
    """The last layer output holds a part of the belief that no prediction depends on.

    Of a process that has also a part which later predictions depend on: what was needed and no longer is.
    """
    target = "unobservable_belief_state"
    if evidence.has(target=target) and evidence.has(target="belief_beyond_next_token"):
        yield decoded(evidence, "holds what no prediction needs any more", evidence.layer_outputs[-1], target, TOKENS)


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
    if not len(evidence.steering):
        yield lacking("causal", "layer outputs", evidence.seeds, NO_NETWORK, "steering.csv", measure)
        return
    found = select(evidence.steering, metric="kl_to_counterfactual_nats")
    behind = [site for site in found["site"].unique() if is_behind_layer(site)]
    carried_forward = [site for site in behind if is_state(site) or site != behind[-1]]
    scored = [("causal", site, select(found, site=site, partner="any", tokens_later=0)) for site in behind]
    later = select(found[found["site"].isin(carried_forward)], partner="equal_next_token", tokens_later=1)
    if len(later):
        scored.append(("causal for what only later tokens reveal", "layer outputs that are carried forward", later))
    for name, site, rows in scored:
        share = shares(rows)
        baselines = {"nothing written": 0 * share["pattern"], "random direction": share["random"]}
        baselines["weights of the probe"] = share["filter"]
        yield Claim(name, site, share["pattern"], baselines, "more", "steering.csv", measure)


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
    if len(evidence.loss):
        yield from predicted(evidence.loss, NO_RANDOM_PREDICTIONS if len(evidence.random_init) else NO_RANDOM_NETWORK)
    else:
        measure = "share of the avoidable loss"
        yield lacking("predicts near the optimum", OUTPUT, evidence.seeds, NO_PREDICTIONS, "loss.csv", measure)
    if evidence.layer_outputs:
        yield from represented(evidence)
        yield from beyond_predictions(evidence)
    if len(evidence.layer_outputs) > 1:
        yield from across_layers(evidence)
    if evidence.layer_outputs:
        yield from duplicated(evidence)
        yield from spent(evidence)
        yield from recovered(evidence)
        yield from symmetric(evidence)
    yield from causal(evidence)
    yield from attended(evidence)
