"""The scores of one recovered process as rows of a table."""

from collections.abc import Iterator
from typing import NamedTuple

from geometry.recovery.recovery_scores import RecoveryScorer
from geometry.recovery.spectral_learning import MOST_DIMENSIONS, RecoveredProcess


class RecoveryRow(NamedTuple):
    """One score; a singular value has its place, from 1, as index."""

    source: str
    measure: str
    index: int | None
    value: float


def recovery_rows(
    source: str, recovered: RecoveredProcess, n_ahead: int, scorer: RecoveryScorer
) -> Iterator[RecoveryRow]:
    """Every score of what was recovered from a source; where no process was, those of its spectrum alone."""
    spectrum = recovered.spectrum
    for measure, value in {"n_ahead": n_ahead, "rank": spectrum.rank, "gap": spectrum.gap}.items():
        yield RecoveryRow(source, measure, None, value)
    for place, value in enumerate(spectrum.singular_values[: MOST_DIMENSIONS + 1], 1):
        yield RecoveryRow(source, "singular_value", place, value)
    if recovered.process is not None:
        for measure, value in scorer.scores(recovered.process).items():
            yield RecoveryRow(source, measure, None, value)
