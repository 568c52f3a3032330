"""Sources that a process is recovered from besides networks, and whether exact predictions identify it."""

import pandas as pd

from geometry.tables import select

TRUTH, EXACT = "process", "exact"
SUPPORT, UNIGRAM = "support", "unigram"
SAMPLED = "sampled_sequences"
"""The process itself; its exact predictions on the same prefixes; the support baseline, with all tokens equally likely
along these prefixes, which exclude impossible sequences; the unigram baseline; and sequences sampled from the process.
"""

UNIDENTIFIED = 0.01
"""The share of the unigram baseline's divergence that exact predictions may leave where they identify a process.

They leave none or, where the prefixes are too short to separate the dimensions, more than half.
"""

ROUNDING_NATS = 1e-12
"""A divergence rate that is rounding: the unigram baseline predicts optimally."""


def is_identifiable(of_process: pd.DataFrame) -> bool:
    """True if exact predictions on the same prefixes recover the process, given its own recovery table.

    They do not where the prefixes are too short, or where the unigram baseline already predicts optimally.
    """
    rates = select(of_process, measure="kl_rate_nats")
    exact, unigram = (select(rates, source=source)["value"] for source in (EXACT, UNIGRAM))
    return len(exact) > 0 and bool(unigram.max() > ROUNDING_NATS and exact.max() < UNIDENTIFIED * unigram.max())
