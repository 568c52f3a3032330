"""One table for the whole study: each claim with its estimate, interval over seeds, best floor and verdict."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geometry.claims import interval, verdict
from geometry.job import Job
from geometry.probe_table import select
from geometry.sites import CONCATENATED, is_stream
from geometry.storage import read_table, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def held_out_scores(probe: pd.DataFrame, target: str = "belief_state", last: bool = True) -> pd.DataFrame:
    """Probability-weighted R2 on held-out prefixes at the last or first step; rows are seeds, columns sites."""
    step = probe["step"].max() if last else probe["step"].min()
    where = {"split": "held_out_prefix", "weighting": "probability", "metric": "r2"}
    rows = select(probe, step=step, target=target, **where)
    return rows.pivot(index="seed", columns="site", values="value")[rows["site"].unique()]


def represented(probe: pd.DataFrame, site: str) -> tuple[pd.Series, dict[str, pd.Series]]:
    """How well the belief is decoded at a site, and the floors: a constant, the untrained network, shuffled beliefs."""
    estimate = held_out_scores(probe)[site]
    floors = {
        "mean belief": 0 * estimate,
        "untrained network": held_out_scores(probe, last=False)[site],
        "shuffled beliefs": held_out_scores(probe, target="shuffled_belief_state")[site],
    }
    return estimate, floors


def spread(probe: pd.DataFrame, streams: list[str]) -> tuple[pd.Series, dict[str, pd.Series]]:
    """How well the joined residual streams do, and the best single one as the floor."""
    scores = held_out_scores(probe)
    return scores[CONCATENATED], {"best single residual stream": scores[streams].max(axis=1)}


def predicted(loss: pd.DataFrame) -> tuple[pd.Series, dict[str, pd.Series]]:
    """The share of the avoidable loss (untrained network to optimum) that training has removed."""
    gap = loss.groupby(["seed", "step"])["gap_nats"].mean().unstack()
    estimate = 1 - gap.iloc[:, -1] / gap.iloc[:, 0]
    return estimate, {"untrained network": 0 * estimate}


def claims_of(probe: pd.DataFrame, loss: pd.DataFrame) -> dict[str, tuple[str, pd.Series, dict[str, pd.Series]]]:
    """Each claim of one experiment: its source, its estimate per seed, its floors per seed."""
    sites = held_out_scores(probe).columns
    streams = [site for site in sites if is_stream(site)]
    claims = {"predicts the next token": ("loss.csv", *predicted(loss))}
    if streams:
        last = streams[-1]
        claims[f"belief state is linear in {last}"] = ("probe.csv", *represented(probe, last))
    if CONCATENATED in sites:
        name = "belief state is linear in the joined residual streams"
        claims[name] = ("probe.csv", *represented(probe, CONCATENATED))
        claims["belief state is spread across layers"] = ("probe.csv", *spread(probe, streams))
    return claims


def claim_row(name: str, experiment: str, source: str, estimate: pd.Series, floors: dict, rule: dict) -> dict:
    """One row: the estimate against the best floor, paired by seed."""
    best = max(floors, key=lambda floor: np.nan_to_num(floors[floor].mean(), nan=-np.inf))
    low, high = interval(estimate.values, rule["confidence"])
    gain = (estimate - floors[best]).values
    gain_low, gain_high = interval(gain, rule["confidence"])
    return {
        "claim": name,
        "experiment": experiment,
        "n_seeds": len(estimate),
        "estimate": estimate.mean(),
        "ci_low": low,
        "ci_high": high,
        "floor": floors[best].mean(),
        "floor_name": best,
        "gain": gain.mean(),
        "gain_ci_low": gain_low,
        "gain_ci_high": gain_high,
        "verdict": verdict(gain, rule["margin"], rule["confidence"]),
        "source": f"results/{experiment}/seed_*/{source}",
    }


if __name__ == "__main__":
    with Job(snakemake) as job:
        probe = pd.concat([read_table(path) for path in snakemake.input.probe])
        loss = pd.concat([read_table(path) for path in snakemake.input.loss])
        rows = []
        for experiment in snakemake.params.experiments:
            claims = claims_of(probe[probe["experiment"] == experiment], loss[loss["experiment"] == experiment])
            rows += [
                claim_row(name, experiment, source, estimate, floors, snakemake.params.claims)
                for name, (source, estimate, floors) in claims.items()
            ]
        write_table(pd.DataFrame(rows), snakemake.output.claims)
        for row in rows:
            job.info(
                f"{row['experiment']}: {row['claim']}: {row['estimate']:.4f} against {row['floor']:.4f} "
                f"({row['floor_name']}): {row['verdict']}"
            )
