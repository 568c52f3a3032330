"""The claims of every experiment in one table, corrected for their number; and the seeds that would decide each."""

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geometry.claims.multiplicity import holm
from geometry.claims.power import Plan, Scatter
from geometry.claims.verdicts import verdict_of
from geometry.provenance.job import Job
from geometry.schemas.study import Claims, Power
from geometry.tables import columns_of, together, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def collect(of_experiments: pd.DataFrame) -> pd.DataFrame:
    """The claims of all experiments, with p-values adjusted for their number."""
    claims = of_experiments.assign(p_holm=holm(of_experiments["p_value"].to_numpy()))
    return claims[list(columns_of(Claims))]


def power_row(claim, confidence: float) -> dict:
    """The number of seeds that would decide one claim, given as a row of the claims of its experiment."""
    scatter = Scatter(*(getattr(claim, f"gain_sd_{field.name}") for field in fields(Scatter)))
    row = {name: getattr(claim, name) for name in columns_of(Power) if hasattr(claim, name)}
    row |= {"sd_over_seeds": scatter.over_seeds, "sd_over_draws": scatter.over_draws}
    if np.isnan(claim.p_value):
        side = "not testable" if claim.verdict == "not testable" else "undecided"
        return row | {"expected_verdict": side, "power": np.nan, "seeds_to_decide": np.nan}
    plan = Plan(abs(claim.gain - claim.bound), scatter, claim.n_seeds, claim.n_draws, confidence)
    row["expected_verdict"] = verdict_of(claim.gain, claim.gain, claim.bound, claim.kind)
    return row | {"power": plan.power(claim.n_seeds), "seeds_to_decide": plan.seeds_to_decide()}


def power_table(of_experiments: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The number of seeds that would decide each claim."""
    return pd.DataFrame([power_row(claim, confidence) for claim in of_experiments.itertuples()])


if __name__ == "__main__":
    with Job(snakemake) as job:
        of_experiments = together(snakemake.input.claims)
        write_table(collect(of_experiments), snakemake.output.claims, Claims)
        power = power_table(of_experiments, snakemake.params.claims["confidence"])
        write_table(power, snakemake.output.power, Power)
        counts = power["verdict"].value_counts()
        job.info(f"{len(power)} claims: {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}")
