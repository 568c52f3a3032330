"""The outcome of a claim: its verdict over networks or, for one network, how that one compares with its best baseline.

One network has no interval over seeds, so that no verdict can rest on it. The interval that it can have is over the
draws of folds: the range of its score, however the prefixes are assigned to folds.

Of a language model, seeds are samples of words: an interval over seeds is over what one network reads.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from geometry.claims.verdicts import bound_of, interval, verdict_of
from geometry.networks.hook_points import short_site

NETWORK, SAMPLE = "network", "sample of words"
"""What the seeds of a claim stand for, the column `unit`."""


class Mark(NamedTuple):
    """A symbol that needs no colour, and the name of its colour on a page."""

    symbol: str
    style: str


IN_ONE_NETWORK = {
    "supported": "as claimed (one network)",
    "not supported": "not as claimed (one network)",
    "undecided": "open (one network)",
}

OUTCOMES = {
    "supported": Mark("✓", "supported"),
    "not supported": Mark("✗", "opposed"),
    "undecided": Mark("?", "undecided"),
    IN_ONE_NETWORK["supported"]: Mark("1✓", "supported one"),
    IN_ONE_NETWORK["not supported"]: Mark("1✗", "opposed one"),
    IN_ONE_NETWORK["undecided"]: Mark("1?", "undecided one"),
    "not testable": Mark("○", "untestable"),
}
"""Every outcome, in the order in which they are counted."""


def interval_over_draws(values: Float[ndarray, "seed draw"], confidence: float) -> tuple[float, float]:
    """Student's t interval over the draws of folds of the mean over these very networks; nan where there is one draw.

    The draws are independent given the networks and the prefixes. It is no interval for networks of other seeds.
    """
    if values.shape[1] < 2:
        return np.nan, np.nan
    return interval(values.mean(axis=0)[:, None], confidence)


def range_in_network(row) -> tuple[float, float]:
    """The interval of the gain over the draws of folds; the gain itself where nothing is drawn."""
    drawn = row.gain_over_draws_low, row.gain_over_draws_high
    return (row.gain, row.gain) if np.isnan(drawn).any() else drawn


def outcome(row, margin: float) -> str:
    """The verdict of a claim or, where one network leaves it undecided, how that network compares."""
    if row.verdict != "undecided" or row.n_seeds > 1:
        return row.verdict
    return IN_ONE_NETWORK[verdict_of(*range_in_network(row), bound_of(margin, row.kind), row.kind)]


def full_names(claims: pd.DataFrame) -> list[str]:
    """Each claim, with its site where an experiment of the study has several claims of its name."""
    several = set(claims["claim"][claims.duplicated(["experiment", "claim"])])
    pairs = zip(claims["claim"], claims["site"], strict=True)
    return [f"{claim} at {short_site(site)}" if claim in several else claim for claim, site in pairs]


def with_outcomes(claims: pd.DataFrame, margin: float) -> pd.DataFrame:
    """The claims with their full ``name``, ``outcome`` and ``unit``, which older tables lack."""
    outcomes = [outcome(row, margin) for row in claims.itertuples()]
    return claims.assign(name=full_names(claims), outcome=outcomes, unit=claims.get("unit", NETWORK))


def counts_of(claims: pd.DataFrame) -> dict[str, int]:
    """The number of claims of each outcome that there is."""
    counts = Counter(claims["outcome"])
    return {name: counts[name] for name in OUTCOMES if name in counts}


def counts_in_words(claims: pd.DataFrame) -> str:
    """The number of claims of each outcome, such as: 3 supported, 1 undecided of 4 claims."""
    counts = [f"{n} {name}" for name, n in counts_of(claims).items()]
    return f"{', '.join(counts)} of {len(claims)} claim{'s' * (len(claims) != 1)}"
