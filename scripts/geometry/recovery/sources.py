"""What a process is recovered from, beside networks; and whether exact predictions identify it."""

import pandas as pd

from geometry.tables import select

TRUTH, EXACT, SAMPLED = "process", "exact", "sampled_sequences"
SUPPORT, UNIGRAM = "support", "unigram"
"""Sources that are no network: the process itself, its predictions on the same prefixes, words drawn from it, which
words occur at all (told by the tree on which everything is recovered), how frequent tokens are.
"""


UNIDENTIFIED = 0.01
"""The share of what token frequencies lack that exact predictions may lack where they tell a process.

They lack none of it or, where prefixes are too short to tell the dimensions apart, more than half.
"""


ROUNDING_NATS = 1e-12
"""A rate of divergence that is rounding: token frequencies predict as well as can be."""


def is_identifiable(scores: pd.DataFrame) -> bool:
    """Whether the process comes out of exact predictions on the same prefixes.

    If not, these are too short for it, or there is nothing to tell: token frequencies predict as well as can be.
    """
    rates = select(scores, measure="kl_rate_nats")
    exact, unigram = (select(rates, source=source)["value"] for source in (EXACT, UNIGRAM))
    return len(exact) > 0 and bool(unigram.max() > ROUNDING_NATS and exact.max() < UNIDENTIFIED * unigram.max())
