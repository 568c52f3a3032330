"""The claims of an experiment, by the kind of its task."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import pandas as pd

from geometry.claims.belief_claims import claims_of
from geometry.claims.claim import Claim, predicted
from geometry.claims.composed_claims import composed_claims_of
from geometry.claims.evidence import Evidence
from geometry.claims.modular_claims import CircuitEvidence, circuit_claims_of


class ClaimsOfKind(NamedTuple):
    """A dataclass with a table in each field, and the claims that rest on them."""

    evidence: type
    claims: Callable[..., Iterator[Claim]]


@dataclass(frozen=True)
class LossEvidence:
    """The table of the losses of one experiment's networks."""

    loss: pd.DataFrame


CLAIMS = {
    "markov": ClaimsOfKind(Evidence, lambda evidence: (*claims_of(evidence), *composed_claims_of(evidence))),
    "modular": ClaimsOfKind(CircuitEvidence, circuit_claims_of),
    "tabulated": ClaimsOfKind(LossEvidence, lambda evidence: predicted(evidence.loss)),
}


def claims_from(tables: dict[str, pd.DataFrame], kind: str, analysis: Mapping[str, Mapping]) -> Iterator[Claim]:
    """The claims of one experiment on a task of that kind, by the limits in sections of the analysis."""
    evidence, claims = CLAIMS[kind]
    given = tables | {"analysis": analysis}
    yield from claims(evidence(**{field.name: given[field.name] for field in fields(evidence)}))
