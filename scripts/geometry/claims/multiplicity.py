"""Many verdicts together: p-values adjusted for their number, and the number that is false by chance."""

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

DECIDED = ("supported", "not supported")
"""The verdicts that can be false."""


def holm(p: Float[ndarray, " claim"]) -> Float[ndarray, " claim"]:
    """p-values adjusted by the step-down procedure of Holm (1979); those that are nan are not counted, and stay so.

    To decide by adjusted values below a level errs in any claim with at most that probability, however they depend.
    """
    order = np.argsort(p)[: np.isfinite(p).sum()]
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def multiplicity_in_words(claims: pd.DataFrame, confidence: float) -> str:
    """Sentences on how many false verdicts are to be expected, and how many verdicts remain after correction."""
    tested, level = claims[claims["p_value"].notna()], 1 - confidence
    decided = tested[tested["verdict"].isin(DECIDED)]
    remaining, expected = (decided["p_holm"] < level).sum(), len(tested) * level / 2
    return (
        f"With {confidence:.0%} confidence, a claim gets a false verdict with a probability of at most "
        f"{level / 2:.1%}: of {len(tested)} claims that can be decided, at most {expected:.1f} on average. "
        f"{len(decided)} are decided. After Holm's correction for their number, {remaining} of these remain, and "
        f"the probability that any of them is false is at most {level:.0%}."
    )
