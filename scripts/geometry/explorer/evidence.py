"""The claims of a study as the cells of a matrix, each with what it rests on and how that is made."""

from collections.abc import Mapping
from pathlib import PurePosixPath

import pandas as pd

from geometry.claims.outcomes import OUTCOMES, counts_of, with_outcomes

MADE_BY = {
    "attention.csv": ("measure_attention", "attention"),
    "bases.csv": ("compare_bases", "bases"),
    "circuit.csv": ("measure_circuit", "progress"),
    "loss.csv": ("measure_loss", "loss"),
    "probe.csv": ("probe_beliefs", "r2_by_site"),
    "recovery.csv": ("score_recovery", "recovery"),
    "shift_symmetry.csv": ("find_shift_symmetry", "shift_symmetry"),
    "steering.csv": ("steer_network", "steering"),
    "subspaces.csv": ("measure_subspaces", "subspaces"),
    "surgery.csv": ("measure_surgery", "surgery"),
    "symmetry.csv": ("find_symmetries", "symmetry"),
}
"""The rule that makes a table of claims, and the figure that shows it."""

OF_A_CLAIM = ["claim", "experiment", "site"]
"""The columns that tell claims apart."""

SHOWN = ["claim", "experiment", "site", "measure", "n_seeds", "n_draws", "estimate", "ci_low", "ci_high", "exact"]
SHOWN += ["baseline", "baseline_name", "kind", "gain", "gain_ci_low", "gain_ci_high", "gain_over_draws_low"]
SHOWN += ["gain_over_draws_high", "verdict", "p_holm", "caution", "unit", "name", "outcome"]
SHOWN += ["expected_verdict", "seeds_to_decide"]


def evidence_of(row, runs: Mapping[str, list[str]], figures: Mapping[str, list[str]], suffix: str) -> dict:
    """The tables, records, figure and command of one claim, as paths below the working directory of the study."""
    tables, records, drawn = [], [], None
    for pattern in str(row.source).split(", "):
        rule, figure = MADE_BY[PurePosixPath(pattern).name]
        if drawn is None and figure in figures[row.experiment]:
            drawn = f"results/figures/{row.experiment}/{figure}.{suffix}"
        for run in runs[row.experiment]:
            tables.append(pattern.replace("*", run))
            records.append(f"results/provenance/{row.experiment}/{run}/{rule}.json")
    return {"tables": tables, "records": records, "figure": drawn}


def claims_content(
    claims: pd.DataFrame,
    power: pd.DataFrame,
    rule: Mapping,
    runs: Mapping[str, list[str]],
    figures: Mapping[str, list[str]],
    suffix: str,
) -> dict:
    """The claims with their outcomes, evidence and what would decide them, the rule of verdicts, and the symbols."""
    plan = power[[*OF_A_CLAIM, "expected_verdict", "seeds_to_decide"]]
    claims = with_outcomes(claims, rule["margin"]).merge(plan, on=OF_A_CLAIM, how="left", validate="one_to_one")
    cells = [
        {name: getattr(row, name) for name in SHOWN} | evidence_of(row, runs, figures, suffix)
        for row in claims.fillna({"caution": ""}).itertuples()
    ]
    marks = {name: [OUTCOMES[name].symbol, OUTCOMES[name].style] for name in counts_of(claims)}
    return {"cells": cells, "counts": counts_of(claims), "marks": marks, "rule": dict(rule)}
