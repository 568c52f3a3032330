"""What the study claims of an experiment: each claim with its evidence by seed, and the baselines that it must beat.

An R2 is of held-out prefixes, weighted by their probability, by a ridge regression whose penalty was
chosen on inner folds, unless a claim's measure says otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from geometry.claims.claim import (
    Claim,
    Scores,
    best_elsewhere,
    best_of,
    best_random_init,
    mean_belief_baseline,
    predicted,
)
from geometry.networks.hook_points import CONCATENATED, INPUT, is_behind_layer, is_layer_output, is_state
from geometry.probing.probe_table import BASELINES, PROBED
from geometry.recovery.sources import EXACT, SAMPLED, SUPPORT, TRUTH, UNIGRAM, is_identifiable
from geometry.tables import select

TOKENS = ["last token", "all tokens, additive"]
PREDICTIONS = [name for name in BASELINES if name.endswith("probabilities")]


@dataclass(frozen=True)
class Evidence:
    """The tables of one experiment."""

    probe: pd.DataFrame
    random_init: pd.DataFrame
    loss: pd.DataFrame
    steering: pd.DataFrame
    recovery: pd.DataFrame
    random_init_recovery: pd.DataFrame
    symmetry: pd.DataFrame
    random_init_symmetry: pd.DataFrame

    @property
    def layer_outputs(self) -> list[str]:
        return [site for site in self.probe["site"].unique() if is_layer_output(site)]

    def has(self, **values) -> bool:
        return len(select(self.probe, **values)) > 0

    def r2(self, site: str, target: str = "belief_state", features: str = "activations", **where) -> Scores:
        """R2 of the trained network unless a step is given."""
        where = {"step": self.probe["step"].max()} | PROBED | where
        return by_draw(select(self.probe, site=site, target=target, features=features, **where))

    def of_random_init(self, site: str, target: str = "belief_state", **where) -> Scores:
        """R2 of the networks that were never trained, by their own seed."""
        where = PROBED | where
        return by_draw(select(self.random_init, site=site, target=target, features="activations", **where))

    def best_random_init(self, like: Scores, site: str, target: str = "belief_state", **where) -> dict[str, Scores]:
        """R2 of the best of the networks that were never trained, as a baseline for each seed."""
        found = self.of_random_init(site, target, **where)
        return best_random_init(like, found)

    def baselines(self, names: list[str], target: str = "belief_state", **where) -> dict[str, Scores]:
        """R2 of what needs no activations, by its name among `BASELINES`."""
        return {name: self.r2(BASELINES[name][0], target, BASELINES[name][1], **where) for name in names}


def by_draw(rows: pd.DataFrame) -> pd.DataFrame:
    """The R2 of each draw of folds, by seed."""
    return select(rows, metric="r2_of_draw").pivot(index="seed", columns="draw", values="value")


def represented(evidence: Evidence) -> Iterator[Claim]:
    """Whether the belief is linear in the activations, and whether training rather than the probe put it there."""
    last = evidence.layer_outputs[-1]
    estimate = evidence.r2(last)
    yield Claim(
        "linear, beyond the tokens themselves",
        last,
        estimate,
        mean_belief_baseline(estimate) | evidence.baselines(TOKENS),
    )
    baselines = {"at initialisation": evidence.r2(last, step=evidence.probe["step"].min())}
    baselines |= evidence.best_random_init(estimate, last)
    yield Claim("emerges with training", last, estimate, mean_belief_baseline(estimate) | baselines)
    table = evidence.r2(INPUT, features="3_gram", estimator="table")
    yield Claim("reaches beyond the last three tokens", last, estimate, {"3-gram": table})
    if evidence.has(split="held_out_subtree"):
        where = {"split": "held_out_subtree"}
        strict = evidence.r2(last, **where)
        shuffled = evidence.r2(last, "shuffled_belief_state", **where)
        baselines = evidence.baselines(TOKENS, **where) | evidence.best_random_init(strict, last, **where)
        baselines |= {"shuffled beliefs": shuffled}
        measure = "R2, held-out subtrees, ridge"
        yield Claim(
            "not an artefact of the probe", last, strict, mean_belief_baseline(strict) | baselines, measure=measure
        )


def beyond_predictions(evidence: Evidence) -> Iterator[Claim]:
    """Whether the activations hold what next-token predictions do not tell; where these tell all, none can say."""
    last, target = evidence.layer_outputs[-1], "belief_state"
    if evidence.has(target="belief_beyond_next_token"):
        target = "belief_beyond_next_token"
    elif evidence.has(target="unobservable_belief_state"):
        return  # all that these predictions do not tell, no prediction does
    estimate = evidence.r2(last, target)
    baselines = evidence.baselines(PREDICTIONS, target) | evidence.baselines(TOKENS, target)
    baselines |= evidence.best_random_init(estimate, last, target)
    yield Claim("beyond next-token prediction", last, estimate, mean_belief_baseline(estimate) | baselines)


def across_layers(evidence: Evidence) -> Iterator[Claim]:
    """Whether all layers together hold more than the best one, and what becomes of it towards the last."""
    *earlier, last = evidence.layer_outputs
    best = {"best single stream": best_of([evidence.r2(site) for site in evidence.layer_outputs])}
    yield Claim("spread across layers", CONCATENATED, evidence.r2(CONCATENATED), best)
    target = "belief_beyond_next_token"
    if evidence.has(target=target):
        before = best_elsewhere([evidence.r2(site, target) for site in earlier])
        baselines = mean_belief_baseline(before) | {"last stream": evidence.r2(last, target)}
        name = "fades towards the last layer where predictions do not need it"
        yield Claim(name, "an earlier stream, chosen on other seeds", before, baselines)
    else:
        before = {"best earlier stream": best_of([evidence.r2(site) for site in earlier])}
        name = "persists to the last layer where predictions need it"
        yield Claim(name, last, evidence.r2(last), before, "no less")


def duplicated(evidence: Evidence) -> Iterator[Claim]:
    """Whether what no prediction can ever need is as absent from the best stream as from the baselines."""
    target = "unobservable_belief_state"
    if evidence.has(target=target):
        estimate = best_of([evidence.r2(site, target) for site in evidence.layer_outputs])
        never = [evidence.of_random_init(site, target).mean() for site in evidence.layer_outputs]
        untrained = 0 * estimate + max(never, key=pd.Series.mean)
        baselines = mean_belief_baseline(estimate) | evidence.baselines(TOKENS, target) | {"random networks": untrained}
        yield Claim("does not linearly tell duplicate states apart", "best stream", estimate, baselines, "no more")


def shares(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """By intervention and seed, the share of the distance to the counterfactual optimum that full dose covers."""
    level = rows.groupby(["intervention", "dose", "seed"])["value"].mean()
    return {way: 1 - level[way, 1] / level[way, 0] for way in ("pattern", "filter", "random")}


def causal(evidence: Evidence) -> Iterator[Claim]:
    """The share of the distance to a counterfactual optimum that writing its belief covers, stream by stream.

    Where beliefs with the same next-token prediction differ, the prediction after one more token is asked too,
    of what later positions read: each state, and each residual stream but the last.
    """
    measure = "share of the KL divergence"
    found = select(evidence.steering, metric="kl_to_counterfactual_nats")
    behind = [site for site in found["site"].unique() if is_behind_layer(site)]
    handed_on = [site for site in behind if is_state(site) or site != behind[-1]]
    asked = [("causal", site, select(found, site=site, partner="any", tokens_later=0)) for site in behind]
    later = select(found[found["site"].isin(handed_on)], partner="equal_next_token", tokens_later=1)
    asked += [("causal for what only later tokens reveal", "what is handed on", later)] * (len(later) > 0)
    for name, site, rows in asked:
        share = shares(rows)
        baselines = {"nothing written": 0 * share["pattern"], "random direction": share["random"]}
        baselines["weights of the probe"] = share["filter"]
        yield Claim(name, site, share["pattern"], baselines, "more", "steering.csv", measure)


def recovered(evidence: Evidence) -> Iterator[Claim]:
    """Whether the process comes out of the last stream, and whether better than out of the words that it read, if any.

    The true number of dimensions is that of the process itself. Where exact predictions on the same prefixes do not
    show it, or do not tell the process, nothing can be said of a network. A baseline is who knows which words occur at
    all, as the prefixes tell on which everything is recovered.
    """
    last, steps = evidence.layer_outputs[-1], evidence.recovery["step"]
    mean_belief_baseline = select(evidence.recovery, measure="kl_rate_nats", source=UNIGRAM)["value"].mean()

    def told(table: pd.DataFrame, **where) -> pd.Series:
        """The share of what more than token frequencies predicts, by seed; nothing where no process was found."""
        rates = select(table, measure="kl_rate_nats", **where).set_index("seed")["value"]
        return 1 - rates.reindex(table["seed"].unique(), fill_value=mean_belief_baseline) / mean_belief_baseline

    def found(table: pd.DataFrame, **where) -> pd.Series:
        """How near the number of dimensions is to the true one, as a share of that, by seed."""
        true = select(evidence.recovery, measure="rank", source=TRUTH)["value"].mean()
        return 1 - abs(select(table, measure="rank", **where).set_index("seed")["value"] / true - 1)

    shown, known = (float(score(evidence.recovery, source=EXACT).mean()) for score in (found, told))
    process = {"exact": known, "testable": is_identifiable(evidence.recovery)}
    claims = {
        "shows how many dimensions its process has": (
            found,
            "one minus the relative error of the rank",
            {"exact": shown, "testable": shown == 1},
        ),
        "its process can be read out of it": (told, "share of the divergence of token frequencies", process),
    }
    for name, (score, measure, exact) in claims.items():
        estimate = score(evidence.recovery, source=last, step=steps.max())
        baselines = {"token frequencies": 0 * estimate, "which words occur": score(evidence.recovery, source=SUPPORT)}
        baselines |= {"at initialisation": score(evidence.recovery, source=last, step=steps.min())}
        baselines |= best_random_init(estimate, score(evidence.random_init_recovery, source=last))
        yield Claim(name, last, estimate, baselines, "more", "recovery.csv", measure, **exact)
    if len(select(evidence.recovery, source=SAMPLED)):
        baselines = {"spectral learning on as many words": told(evidence.recovery, source=SAMPLED)}
        name = "tells its process better than the words that it read"
        yield Claim(name, last, estimate, baselines, "more", "recovery.csv", measure, **process)


def symmetric(evidence: Evidence) -> Iterator[Claim]:
    """Whether the symmetries of a process that has any act linearly on its activations, on a plane chosen without them.

    The estimate is the share of the variance that the maps explain, in the mean over the symmetries.
    """
    known = select(evidence.recovery, source=EXACT)["measure"]
    known = known[known.str.startswith("symmetry (")].str.removeprefix("symmetry ")
    symmetries = set(known) - {"()"}
    last = evidence.layer_outputs[-1]

    def explained(table: pd.DataFrame, **where) -> pd.Series:
        rows = select(table, site=last, measure="error", n_dimensions=2, **where)
        return 1 - rows[rows["permutation"].isin(symmetries)].groupby("seed")["value"].mean()

    if symmetries:
        steps = evidence.symmetry["step"]
        estimate = explained(evidence.symmetry, step=steps.max())
        baselines = {"at initialisation": explained(evidence.symmetry, step=steps.min())}
        baselines |= best_random_init(estimate, explained(evidence.random_init_symmetry))
        measure = "share of the variance on two principal components"
        yield Claim("has the symmetry of its process", last, estimate, baselines, "more", "symmetry.csv", measure)


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
