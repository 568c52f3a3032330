"""Claims on networks of processes that are made of processes: mixtures and products."""

from collections.abc import Iterator

import pandas as pd

from geometry.claims.belief_claims import PREDICTIONS, TOKENS, decoded
from geometry.claims.claim import Claim, best_random_init, for_each_seed
from geometry.claims.evidence import Evidence
from geometry.networks.hook_points import CONCATENATED
from geometry.probing.control_targets import BELIEF_OF, SOURCE_POSTERIOR
from geometry.probing.part_subspaces import BELIEF_STATE
from geometry.tables import select

OPTIMUM = [name for name in PREDICTIONS if name.startswith("optimal")]

SUBSPACES = "subspaces.csv"


def parts_of(probe: pd.DataFrame) -> list[str]:
    """The targets that are beliefs of parts."""
    return [target for target in probe["target"].unique() if target.startswith(BELIEF_OF)]


def worst_of(evidence: Evidence, targets: list[str], site: str) -> str:
    """The target that is decoded worst in the mean over the networks."""
    return min(targets, key=lambda target: evidence.r2(site, target).to_numpy().mean())


def holds_parts(evidence: Evidence) -> Iterator[Claim]:
    """The belief of each part is decoded, of a mixture the posterior of its components and their scaling by it too."""
    parts = parts_of(evidence.probe)
    is_mixture = evidence.has(target=SOURCE_POSTERIOR)
    sites = [evidence.layer_outputs[-1], *[CONCATENATED] * evidence.has(site=CONCATENATED)]
    for site in sites:
        if is_mixture:
            yield decoded(evidence, "identifies the source", site, SOURCE_POSTERIOR, [*TOKENS, *OPTIMUM])
        name = "holds each component's belief" if is_mixture else "holds each factor's belief"
        yield decoded(evidence, name, site, worst_of(evidence, parts, site), TOKENS)
        if is_mixture:
            scores = [evidence.r2(site, part) for part in parts]
            unscaled = {"components' beliefs, not scaled": sum(scores[1:], scores[0]) / len(scores)}
            yield Claim("scales beliefs by the posterior", site, evidence.r2(site), unscaled)


def of_seeds(table: pd.DataFrame, **where) -> pd.Series:
    """One measure of the subspaces at the last snapshot, by seed."""
    rows = select(table, **where)
    return rows[rows["step"] == table["step"].max()].set_index("seed")["value"]


def in_subspaces(evidence: Evidence) -> Iterator[Claim]:
    """The parts' subspaces are orthogonal; of a product, the activations hold its factors and not their product."""
    site, never = evidence.layer_outputs[-1], evidence.random_init_subspaces
    has_factors = not evidence.has(target=SOURCE_POSTERIOR)
    measure = "vary_one_overlap" if has_factors else "encoding_overlap"
    estimate = 1 - of_seeds(evidence.subspaces, site=site, measure=measure)
    baselines = best_random_init(estimate, 1 - of_seeds(never, site=site, measure=measure))
    baselines["random directions"] = 1 - of_seeds(evidence.subspaces, site=site, measure="random_overlap")
    words = f"one minus the overlap of subspaces ({measure.removesuffix('_overlap').replace('_', '-')})"
    yield Claim("in orthogonal subspaces", site, estimate, baselines, "more", SUBSPACES, words)
    if has_factors:
        where = {"measure": "explained_by_parts"}
        estimate = of_seeds(evidence.subspaces, site=site, **where)
        joint = of_seeds(evidence.subspaces, site=BELIEF_STATE, **where)
        baselines = {"the joint belief itself": joint} | best_random_init(estimate, of_seeds(never, site=site, **where))
        words = "share of the activations' variance that the factors' beliefs explain"
        yield Claim("factored", site, estimate, baselines, "more", SUBSPACES, words)
        both = of_seeds(evidence.subspaces, site=site, measure="explained_by_belief")
        alone = {"factors' beliefs": estimate, "nothing": for_each_seed(both, 0.0)}
        words = "share of the activations' variance that the joint belief explains"
        yield Claim("expands beyond its factors", site, both, alone, "more", SUBSPACES, words)


def composed_claims_of(evidence: Evidence) -> Iterator[Claim]:
    """Every claim on the parts of a mixture or a product."""
    if parts_of(evidence.probe):
        yield from holds_parts(evidence)
    if len(evidence.subspaces):
        yield from in_subspaces(evidence)
