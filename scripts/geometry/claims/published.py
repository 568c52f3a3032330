"""Numbers of the literature beside those of a study, and whether they are reproduced."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from geometry.claims.verdicts import interval
from geometry.tables import together

REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"

NO_NETWORK = -1
"""The seed that stands for rows of no network: of all networks alike, or in a table of a process."""


Numbers = float | pd.Series


class SelectionError(ValueError):
    """A selector that does not select one number for each network; the message is one sentence."""


def numbers(table: pd.DataFrame, selector: Mapping) -> pd.Series:
    """The number that a selector selects for each network of a table, by seed; nan where there is none.

    Of rows at several steps, the last one unless `where` names the step. Raises `SelectionError` if rows of a network
    are left that differ in other columns than `mean_over`.
    """
    where, over, column = selector.get("where", {}), selector.get("mean_over", []), selector["column"]
    rows = table.assign(seed=table["seed"].fillna(NO_NETWORK) if "seed" in table else NO_NETWORK)
    seeds = rows["seed"].unique()
    if "step" in rows and "step" not in where and "reaching" not in selector:
        rows = rows[rows["step"] == rows.groupby("seed")["step"].transform("max")]
    for name, value in where.items():
        values = value if isinstance(value, list) else [value]
        rows = rows[rows[name].isna() if value is None else rows[name].isin(values)]
    for name, least in selector.get("reaching", {}).items():
        rows = rows[rows[name] >= least].groupby("seed").head(1)
    repeated = rows.duplicated(["seed", *over])
    if repeated.any():
        differing = [name for name in rows if name not in (column, *over) and rows[name].nunique(dropna=False) > 1]
        raise SelectionError(
            f"where selects several rows of {selector['file']} for one network, which differ in "
            f"{', '.join(name for name in differing if name != 'seed') or 'nothing'}"
        )
    return rows.groupby("seed")[column].mean().reindex(seeds).astype(float)


def fewest(tried: list[pd.Series], confidence: float) -> int:
    """The place, from 1, of the first of some numbers by seed that is not above the next with this confidence.

    Paired by seed, Student's t; the last place if each is above the next.
    """
    for place, (one, other) in enumerate(pairwise(tried), 1):
        if not interval((one - other).dropna().to_numpy()[:, None], confidence)[0] > 0:
            return place
    return len(tried)


def selected(selector: Mapping, confidence: float) -> tuple[pd.Series, float]:
    """The numbers of a selector by seed and what they come to: their mean or, of `fewest_of`, a place."""
    tried = [numbers(together(paths), selector) for paths in selector["tables"]]
    return tried[0], float(fewest(tried, confidence)) if "fewest_of" in selector else float(tried[0].mean(skipna=False))


def distance(values: Numbers, low: Numbers, high: Numbers) -> Numbers:
    """The distance of values from a range, with the sign of the side; 0 within it."""
    return values - np.clip(values, low, high)


def best_baseline(row: Mapping, low: float, high: float) -> tuple[float, str]:
    """The number without the trained network that is nearest to what was published, and its name.

    Of a baseline that is of several networks, it is that of one of them.
    """
    found = {}
    for place, selector in row["selectors"].items():
        if place.startswith("baselines."):
            own = numbers(together(*selector["tables"]), selector).dropna()
            name = place.removeprefix("baselines.") + (f", best of {len(own)}" if own.nunique() > 1 else "")
            found[name] = own.loc[distance(own, low, high).abs().idxmin()] if len(own) else np.nan
    if not found or np.isnan(low):
        return np.nan, ""
    name = min(found, key=lambda one: np.nan_to_num(abs(distance(found[one], low, high)), nan=np.inf))
    return float(found[name]), name


def verdict_of_row(row: Mapping, ours: float, low: float, high: float) -> tuple[str, str]:
    """The verdict on a row, by the rule that was set before the run, and the reason if it is not reproduced."""
    if "not_comparable" in row:
        return NOT_COMPARABLE, row["not_comparable"]
    if np.isnan(ours):
        return NOT_REPRODUCED, "not every network has the number"
    off = float(distance(ours, low, high))
    if abs(off) <= row["tolerance"]:
        return REPRODUCED, ""
    return NOT_REPRODUCED, f"{abs(off):.3g} {'above' if off > 0 else 'below'} what was published"


def published_row(name: str, row: Mapping, confidence: float) -> dict:
    """One row of `schemas.study.Published`; `row` has its selectors, with their files."""
    low, high = np.broadcast_to(np.array(row["published"], dtype=float), 2).tolist()
    ours, known, held_out, ends = np.nan, pd.Series(dtype=float), np.nan, (np.nan, np.nan)
    if "ours" in row["selectors"]:
        known, ours = selected(row["selectors"]["ours"], confidence)
        if "fewest_of" not in row["ours"] and NO_NETWORK not in known.index:
            ends = interval(known.to_numpy()[:, None], confidence)
    if "held_out" in row["selectors"]:
        held_out = selected(row["selectors"]["held_out"], confidence)[1]
    baseline, baseline_name = best_baseline(row, low, high)
    verdict, reason = verdict_of_row(row, ours, low, high)
    chosen = row.get("ours", {})
    experiment = ", ".join(chosen.get("fewest_of", [chosen.get("experiment", "")]))
    return {key: row[key] for key in ("quantity", "source", "protocol")} | {
        "id": name,
        "published_low": low,
        "published_high": high,
        "tolerance": row.get("tolerance", np.nan),
        "experiment": experiment,
        "file": chosen.get("file", ""),
        "n_networks": 0 if NO_NETWORK in known.index else len(known),
        "ours": ours,
        "ci_low": ends[0],
        "ci_high": ends[1],
        "held_out": held_out,
        "baseline": baseline,
        "baseline_name": baseline_name,
        "verdict": verdict,
        "reason": reason,
    }


def counts_of_verdicts(table: pd.DataFrame) -> str:
    """The sentence on how many published numbers are reproduced."""
    counts = table["verdict"].value_counts()
    return ", ".join(f"{counts.get(name, 0)} {name}" for name in (REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE))
