"""The claims of one experiment: each with its estimate, interval over seeds, best baseline and verdict."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geometry.claims.by_kind import claims_from
from geometry.claims.claim import Claim
from geometry.claims.outcomes import NETWORK, SAMPLE, interval_over_draws
from geometry.claims.power import scatter_of
from geometry.claims.verdicts import bootstrap_interval, bound_of, interval, p_value, relative_gain, verdict
from geometry.networks.origins import PRETRAINED, RANDOM_INIT
from geometry.provenance.job import Job
from geometry.schemas.study import ClaimsOfExperiment
from geometry.tables import select, together, write_table
from geometry.tasks.loss import network_cautions

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def claim_row(claim: Claim, experiment: str, rule: dict) -> dict:
    """One row: the estimate against the best baseline, paired by seed and draw of folds; none where one is missing."""
    confidence, scores = rule["confidence"], pd.DataFrame(claim.estimate)
    baselines = {claim.missing: claim.estimate * np.nan} if claim.missing else claim.baselines
    estimate, means = scores.values, {name: baseline.values.mean() for name, baseline in baselines.items()}
    best = max(means, key=lambda name: np.nan_to_num(means[name], nan=-np.inf))
    found = pd.DataFrame(baselines[best]).loc[scores.index]
    if found.shape[1] < scores.shape[1]:  # of earlier snapshots, some draws are scored: their mean for others
        found = found.reindex(columns=scores.columns).T.fillna(found.mean(axis=1)).T
    baseline = found.values
    gain = relative_gain(estimate, baseline, claim.kind)
    n_seeds, n_draws = estimate.shape
    row = {"claim": claim.name, "experiment": experiment, "site": claim.site, "measure": claim.measure}
    row |= {"n_seeds": n_seeds, "n_draws": n_draws, "estimate": estimate.mean()}
    row["sd_over_draws"] = estimate.mean(axis=0).std(ddof=1) if n_draws > 1 else np.nan
    row["ci_low"], row["ci_high"] = interval(estimate, confidence)
    row["bootstrap_low"], row["bootstrap_high"] = bootstrap_interval(estimate.mean(axis=1), confidence)
    row |= {"exact": claim.exact, "baseline": means[best], "baseline_name": best, "kind": claim.kind}
    row["gain"] = gain.mean()
    row["gain_ci_low"], row["gain_ci_high"] = interval(gain, confidence)
    row["gain_over_draws_low"], row["gain_over_draws_high"] = interval_over_draws(gain, confidence)
    decided, bound = verdict(gain, rule["margin"], confidence, claim.kind), bound_of(rule["margin"], claim.kind)
    row |= {"verdict": decided, "p_value": p_value(gain, bound)}
    if not claim.testable:
        row |= {"verdict": "not testable", "p_value": np.nan}
    row |= {"bound": bound} | {f"gain_sd_{part}": sd for part, sd in asdict(scatter_of(gain)).items()}
    return row | {"source": f"results/{experiment}/*/{claim.source}"}


def judge(tables: dict[str, pd.DataFrame], experiment: str, kind: str, rule: dict, analysis: dict) -> pd.DataFrame:
    """The rows of one experiment, each with the cautions on its networks."""
    rows = [claim_row(claim, experiment, rule) for claim in claims_from(tables, kind, analysis)]
    loss = tables["loss"]
    caution = network_cautions(loss, PRETRAINED in set(loss["origin"]), analysis["loss"]) if len(loss) else ""
    return pd.DataFrame(rows).assign(caution=caution)


if __name__ == "__main__":
    with Job(snakemake) as job:
        tables: dict[str, pd.DataFrame] = {}
        for name, paths in snakemake.input.items():  # where there is no random network, its tables are empty
            of_network = name.removeprefix(RANDOM_INIT).removeprefix("_") or "probe"
            tables[name] = together(paths, like=tables.get(of_network))
            if name.startswith(RANDOM_INIT) and "origin" in tables[name]:  # others may stand in the same file
                tables[name] = select(tables[name], origin=RANDOM_INIT)
        params = snakemake.params
        claims = judge(tables, snakemake.wildcards.experiment, params.kind, params.claims, params.analysis)
        claims["unit"] = SAMPLE if params.samples else NETWORK
        write_table(claims, snakemake.output.claims, ClaimsOfExperiment)
        for row in claims.itertuples():
            against = f"{row.estimate:.4f} against {row.baseline:.4f} ({row.baseline_name})"
            job.info(f"{row.claim}: {against}: {row.verdict}{' (CAUTION)' if row.caution else ''}")
