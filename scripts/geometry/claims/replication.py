"""Claims of one study beside those of another, such as a published one: which verdicts agree, and what moved."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from geometry.tables import read_table

KEY = ["experiment", "claim", "site"]
NUMBERS = ["n_seeds", "estimate", "ci_low", "ci_high", "gain", "gain_ci_low", "gain_ci_high"]
INTERVALS = {"estimate": ("ci_low", "ci_high"), "gain": ("gain_ci_low", "gain_ci_high")}
NEEDED = [*KEY, "verdict", *NUMBERS]
"""The columns of a table of claims that are compared; it may have others, or lack others."""

SAME, CHANGED, ONLY_HERE, ONLY_THERE = "same verdict", "changed", "only here", "only in the reference"


class ReplicationError(ValueError):
    """A reference that claims cannot be compared with; the message is one sentence."""


def read_claims(path: str | Path) -> pd.DataFrame:
    """The compared columns of a table of claims of any version; raises `ReplicationError`."""
    try:
        table = read_table(path)
    except OSError as error:
        raise ReplicationError(f"reference is {path}, which cannot be read: {error.strerror}") from None
    except ValueError:  # among them a file that is no text, and what pandas cannot parse
        raise ReplicationError(
            f"reference is {path}, which is no table; it must be the claims.csv of a study"
        ) from None
    if missing := [name for name in NEEDED if name not in table]:
        raise ReplicationError(
            f"reference is {path}, which has no column {', '.join(missing)}; it must be the claims.csv of a study"
        )
    if wrong := [name for name in NUMBERS if not pd.api.types.is_numeric_dtype(table[name])]:
        raise ReplicationError(f"reference is {path}, whose column {', '.join(wrong)} has what is no number")
    if table.duplicated(KEY).any():
        row = table.loc[table.duplicated(KEY), KEY].iloc[0].to_dict()
        raise ReplicationError(f"reference is {path}, which has several rows of {row}; each claim must have one")
    return table[NEEDED]


def check_experiments(reference: pd.DataFrame, path: str | Path, experiments: Collection[str]) -> None:
    """Raise `ReplicationError` for a reference without any of these experiments."""
    others = list(dict.fromkeys(reference["experiment"]))
    if not set(others) & set(experiments):
        raise ReplicationError(
            f"reference is {path}, on {', '.join(others) or 'no experiment'}; it must have one of this study's, "
            f"{', '.join(experiments)}"
        )


def standard_errors(claims: pd.DataFrame, quantity: str, confidence: float) -> Float[ndarray, " claim"]:
    """Half the t interval of a quantity over its quantile by the number of seeds; nan of one seed.

    Where the draws of folds widen the interval by fewer degrees of freedom than seeds have, it is larger than the
    standard error of the mean: too large, never too small.
    """
    from scipy.special import stdtrit  # planning reads a reference, and would wait for it

    low, high = (claims[name].to_numpy(float) for name in INTERVALS[quantity])
    n_seeds = claims["n_seeds"].to_numpy(float)
    with np.errstate(invalid="ignore"):
        half = np.where((n_seeds > 1) & np.isfinite(high - low), high - low, np.nan) / 2
        return half / stdtrit(n_seeds - 1, (1 + confidence) / 2)


def shifts(here: pd.DataFrame, there: pd.DataFrame, quantity: str, confidence: float) -> Float[ndarray, " claim"]:
    """The difference of a quantity, here minus there, in standard errors of the difference of independent networks.

    It is 0 where nothing moved between two that have no error, and infinite where something did.
    """
    difference = here[quantity].to_numpy(float) - there[quantity].to_numpy(float)
    error = np.hypot(*(standard_errors(claims, quantity, confidence) for claims in (here, there)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((difference == 0) & (error == 0), 0.0, difference / error)


def compare_claims(here: pd.DataFrame, there: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The rows of `schemas.study.Replication`: claims of this study first, in its order, then those of the reference.

    Raises `ReplicationError` if the two have no claim in common.
    """
    joined = here[NEEDED].merge(there[NEEDED], "outer", KEY, suffixes=("", " there"), indicator="where")
    order = pd.concat([here[KEY], there[KEY]]).drop_duplicates()
    joined = order.merge(joined, "left", KEY)  # an outer join sorts by key
    of_there = joined[[f"{name} there" for name in NEEDED[len(KEY) :]]].set_axis(NEEDED[len(KEY) :], axis=1)
    if not (joined["where"] == "both").any():
        raise ReplicationError("the reference has no claim of this study: none agrees in experiment, claim and site")
    same = np.where(joined["verdict"] == of_there["verdict"], SAME, CHANGED)
    outcome = np.select(
        [joined["where"] == "left_only", joined["where"] == "right_only"], [ONLY_HERE, ONLY_THERE], same
    )
    table = joined[NEEDED].assign(outcome=outcome).join(of_there.add_prefix("reference_"))
    for quantity in INTERVALS:
        table[f"{quantity}_shift"] = shifts(joined, of_there, quantity, confidence)
    return table.fillna({"verdict": "", "reference_verdict": ""})


def agreement(table: pd.DataFrame, source: str = "published") -> str:
    """The sentence on how many of the claims in both tables have the verdict of the reference."""
    counts = table["outcome"].value_counts()
    n_same, n_both = counts.get(SAME, 0), counts.get(SAME, 0) + counts.get(CHANGED, 0)
    only = [f"{counts[name]} {name}" for name in (ONLY_HERE, ONLY_THERE) if name in counts]
    return f"{n_same} of {n_both} verdicts as {source}" + (f"; of other claims, {', '.join(only)}" if only else "")


def agreement_with(path: Path, claims: pd.DataFrame, confidence: float) -> str | None:
    """The sentence of `agreement` with a table of claims; None if there is no such file, or no claim in common."""
    if not path.is_file():
        return None
    there = read_claims(path)
    try:
        return agreement(compare_claims(claims, there, confidence))
    except ReplicationError:
        return None
