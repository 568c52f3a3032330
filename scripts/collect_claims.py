"""One table for the whole study: each claim with its estimate, interval over seeds, best floor and verdict."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geometry.claims import Claim, Evidence, claims_of
from geometry.job import Job
from geometry.storage import read_table, write_table
from geometry.verdicts import interval, relative_gain, verdict

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def claim_row(claim: Claim, experiment: str, rule: dict) -> dict:
    """One row: the estimate against the best floor, paired by seed."""
    best = max(claim.floors, key=lambda name: np.nan_to_num(claim.floors[name].mean(), nan=-np.inf))
    gain = relative_gain(claim.estimate.values, claim.floors[best].values)
    columns = {"claim": claim.name, "experiment": experiment, "site": claim.site, "n_seeds": len(claim.estimate)}
    columns["estimate"] = claim.estimate.mean()
    columns["ci_low"], columns["ci_high"] = interval(claim.estimate.values, rule["confidence"])
    columns |= {"floor": claim.floors[best].mean(), "floor_name": best, "gain": gain.mean()}
    columns["gain_ci_low"], columns["gain_ci_high"] = interval(gain, rule["confidence"])
    columns["verdict"] = verdict(gain, rule["margin"], rule["confidence"], claim.kind)
    return columns | {"source": f"results/{experiment}/*/{claim.source}"}


def collect(tables: dict[str, pd.DataFrame], experiments: list[str], rule: dict) -> pd.DataFrame:
    """The rows of every experiment."""
    rows = []
    for experiment in experiments:
        evidence = Evidence(**{name: table[table["experiment"] == experiment] for name, table in tables.items()})
        rows += [claim_row(claim, experiment, rule) for claim in claims_of(evidence)]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    with Job(snakemake) as job:
        names = "probe", "untrained", "loss", "steering"
        tables = {name: pd.concat([read_table(path) for path in snakemake.input[name]]) for name in names}
        claims = collect(tables, snakemake.params.experiments, snakemake.params.claims)
        write_table(claims, snakemake.output.claims)
        for row in claims.itertuples():
            against = f"{row.estimate:.4f} against {row.floor:.4f} ({row.floor_name})"
            job.info(f"{row.experiment}: {row.claim}: {against}: {row.verdict}")
