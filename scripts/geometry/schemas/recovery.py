"""Schemas of the tables of recovered processes."""

from geometry.schemas.networks import OfSnapshot, OfTask
from geometry.tables import Schema


class OfSource(Schema):
    """One score of what was recovered from a source."""

    source: str
    """hook point, `concatenated` or `output`; of the process: `process`, `exact`, `support`, `unigram`; of the training
    data: `sampled_sequences`"""
    measure: str
    """`n_ahead` (tokens of the continuations), `rank`, `gap` (ratio of singular values), `singular_value` (relative to
    the first), `kl_rate_nats`, `invalid_share`, `belief_r2`, `eigenvalue_error`, `eigenvalue_error_of_pairs`"""
    index: int | None
    """place of a singular value, from 1"""
    value: float
    """value of the measure; `kl_rate_nats` [nats per token]"""


class ProcessRecovery(OfTask, OfSource):
    """The true rank, and what exact predictions, the support and the unigram baseline recover of the process."""

    path = "results/tasks/{task}/recovery.csv"
    key = ("source", "measure", "index")


class Recovery(OfSnapshot, OfSource):
    """Scores of the processes recovered from a network and, at its last snapshot, from as many sampled sequences."""

    path = "results/{experiment}/{run}/recovery.csv"
    key = ("seed", "step", "source", "measure", "index")
