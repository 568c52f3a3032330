"""One table for the whole study: each claim with its estimate, interval over seeds, best floor and verdict."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geometry.circuit_claims import CircuitEvidence, circuit_claims_of
from geometry.claims import Claim, Evidence, claims_of
from geometry.job import Job
from geometry.probe_table import select
from geometry.storage import together, write_table
from geometry.verdicts import bootstrap_interval, interval, relative_gain, verdict

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def claim_row(claim: Claim, experiment: str, rule: dict) -> dict:
    """One row: the estimate against the best floor, paired by seed."""
    confidence, estimate = rule["confidence"], claim.estimate.values
    best = max(claim.floors, key=lambda name: np.nan_to_num(claim.floors[name].mean(), nan=-np.inf))
    gain = relative_gain(estimate, claim.floors[best].loc[claim.estimate.index].values, claim.kind)
    row = {"claim": claim.name, "experiment": experiment, "site": claim.site, "measure": claim.measure}
    row |= {"n_seeds": len(estimate), "estimate": estimate.mean()}
    row["ci_low"], row["ci_high"] = interval(estimate, confidence)
    row["bootstrap_low"], row["bootstrap_high"] = bootstrap_interval(estimate, confidence)
    row |= {"floor": claim.floors[best].mean(), "floor_name": best, "kind": claim.kind, "gain": gain.mean()}
    row["gain_ci_low"], row["gain_ci_high"] = interval(gain, confidence)
    row["verdict"] = verdict(gain, rule["margin"], confidence, claim.kind)
    return row | {"source": f"results/{experiment}/*/{claim.source}"}


def claims_from(tables: dict[str, pd.DataFrame]) -> Iterator[Claim]:
    """The claims of one experiment: those of modular arithmetic where there are tables of its circuit."""
    kind, claims = (CircuitEvidence, circuit_claims_of) if len(tables["circuit"]) else (Evidence, claims_of)
    yield from claims(kind(**{field.name: tables[field.name] for field in fields(kind)}))


def collect(tables: dict[str, pd.DataFrame], experiments: list[str], rule: dict) -> pd.DataFrame:
    """The rows of every experiment."""
    rows = []
    for experiment in experiments:
        own = {name: select(table, experiment=experiment) for name, table in tables.items()}
        rows += [claim_row(claim, experiment, rule) for claim in claims_from(own)]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    with Job(snakemake) as job:
        tables = {name: together(paths) for name, paths in snakemake.input.items()}
        claims = collect(tables, snakemake.params.experiments, snakemake.params.claims)
        write_table(claims, snakemake.output.claims)
        for row in claims.itertuples():
            against = f"{row.estimate:.4f} against {row.floor:.4f} ({row.floor_name})"
            job.info(f"{row.experiment}: {row.claim}: {against}: {row.verdict}")
