"""One table for the whole study: each claim with its estimate, interval over seeds, best baseline and verdict."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geometry.claims.by_kind import claims_from
from geometry.claims.claim import Claim
from geometry.claims.verdicts import bootstrap_interval, interval, relative_gain, verdict
from geometry.provenance.job import Job
from geometry.tables import select, together, write_table
from geometry.tasks.loss import network_cautions

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def claim_row(claim: Claim, experiment: str, rule: dict) -> dict:
    """One row: the estimate against the best baseline, paired by seed and draw of folds."""
    confidence, scores = rule["confidence"], pd.DataFrame(claim.estimate)
    estimate, means = scores.values, {name: baseline.values.mean() for name, baseline in claim.baselines.items()}
    best = max(means, key=lambda name: np.nan_to_num(means[name], nan=-np.inf))
    baseline = pd.DataFrame(claim.baselines[best]).loc[scores.index].values
    gain = relative_gain(estimate, baseline, claim.kind)
    n_seeds, n_draws = estimate.shape
    row = {"claim": claim.name, "experiment": experiment, "site": claim.site, "measure": claim.measure}
    row |= {"n_seeds": n_seeds, "n_draws": n_draws, "estimate": estimate.mean()}
    row["sd_over_draws"] = estimate.mean(axis=0).std(ddof=1) if n_draws > 1 else np.nan
    row["ci_low"], row["ci_high"] = interval(estimate, confidence)
    row["bootstrap_low"], row["bootstrap_high"] = bootstrap_interval(estimate.mean(axis=1), confidence)
    row |= {
        "exact": claim.exact,
        "baseline": means[best],
        "baseline_name": best,
        "kind": claim.kind,
        "gain": gain.mean(),
    }
    row["gain_ci_low"], row["gain_ci_high"] = interval(gain, confidence)
    told = verdict(gain, rule["margin"], confidence, claim.kind)
    row["verdict"] = told if claim.testable else "not testable"
    return row | {"source": f"results/{experiment}/*/{claim.source}"}


def collect(
    tables: dict[str, pd.DataFrame], experiments: Mapping[str, str], foreign: list[str], rule: dict
) -> pd.DataFrame:
    """The rows of every experiment, given the kinds of their tasks, each with the cautions about its networks."""
    rows = []
    for experiment, kind in experiments.items():
        own = {name: select(table, experiment=experiment) for name, table in tables.items()}
        caution = network_cautions(own["loss"], experiment in foreign)
        rows += [{**claim_row(claim, experiment, rule), "caution": caution} for claim in claims_from(own, kind)]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    with Job(snakemake) as job:
        tables = {name: together(paths) for name, paths in snakemake.input.items()}
        params = snakemake.params
        claims = collect(tables, params.experiments, params.foreign, params.claims)
        write_table(claims, snakemake.output.claims)
        for row in claims.itertuples():
            against = f"{row.estimate:.4f} against {row.baseline:.4f} ({row.baseline_name})"
            job.info(f"{row.experiment}: {row.claim}: {against}: {row.verdict}{' (CAUTION)' if row.caution else ''}")
