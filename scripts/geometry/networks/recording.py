"""Recordings: activations of a network on some sequences, in a file that somebody else made.

What such a file holds: docs/files.md, "A file of activations". Its shapes and types are checked by headers alone; its
values when they are read.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int64
from numpy import ndarray

from geometry.networks.hook_points import CONCATENATED, INPUT, OPTIMUM, OUTPUT, in_forward_order
from geometry.networks.stored_arrays import RecordingError, StoredArray, stored_arrays

TOKENS, PREDICTIONS, RANDOM = "tokens", "log_probability", "random_init/"
"""Names of arrays; the last is before those of a random network."""

RESERVED = {INPUT, OPTIMUM, OUTPUT, CONCATENATED}
SITE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,99}")

FLOATS = ("float16", "bfloat16", "float32", "float64")

MOST_POSITIONS = 10_000_000
"""Positions of all sequences together, at most: the tokens are in memory at once."""

MOST_FEATURES = 8192
"""Features of a site, at most: their covariance is in memory."""

CHUNK_NUMBERS = 8_000_000
"""Numbers of a site that are read at a time."""

NOT_NORMALISED = 0.05
"""How far the probabilities of all tokens may be from 1 in all: logarithms in bfloat16 are rounded to half of that."""


class Recording:
    """A file of activations whose headers fit each other; raises `RecordingError`.

    `sites` are in the order of a forward pass, as far as their names tell. Of a random network, predictions may be
    missing: not `all_predict`. What a random network alone predicts is not read.
    """

    def __init__(self, path: str | Path):
        self._arrays = stored_arrays(path)
        if TOKENS not in self._arrays:
            names = ", ".join(list(self._arrays)[:10]) or "nothing"
            raise RecordingError(f"it has no array 'tokens'; it has {names}")
        self._check_tokens(self._arrays[TOKENS])
        names = [name for name in self._arrays if name not in (TOKENS, PREDICTIONS) and not name.startswith(RANDOM)]
        if not names:
            raise RecordingError("it has no site: an array (sequence, position, feature) beside 'tokens'")
        for name in names:
            if not SITE.fullmatch(name) or name in RESERVED:
                raise RecordingError(
                    f"{name[:120]!r} cannot name a site: letters, digits and _.:- can, but for reserved names"
                )
        self.sites: list[str] = in_forward_order(names)
        self.has_predictions = PREDICTIONS in self._arrays
        own = [*names, *[PREDICTIONS] * self.has_predictions]
        beside = {name.removeprefix(RANDOM) for name in self._arrays if name.startswith(RANDOM)}
        self.has_random_network = bool(beside)
        self.all_predict = self.has_predictions and (PREDICTIONS in beside or not beside)
        for name in sorted({*names} ^ (beside - {PREDICTIONS})) if beside else []:
            known, other = (name, RANDOM + name) if name in names else (RANDOM + name, name)
            raise RecordingError(f"it has {known!r} but no {other!r}; the random network needs the same sites")
        compared = [*own, *(RANDOM + name for name in own if name in beside)]
        for name in compared:
            if len(self._arrays[name].shape) != 3:
                shape, last = self._arrays[name].shape, "token" if name.endswith(PREDICTIONS) else "feature"
                raise RecordingError(f"{name!r} has the shape {shape}; it must be (sequence, position, {last})")
        for name in compared:
            self._check_shape(name)

    @property
    def n_sequences(self) -> int:
        return self._arrays[TOKENS].shape[0]

    @property
    def n_positions(self) -> int:
        return self._arrays[TOKENS].shape[1]

    @property
    def n_features(self) -> int:
        return self._arrays[self.sites[0]].shape[2]

    @property
    def n_tokens(self) -> int | None:
        """The number of tokens that are predicted, if any are."""
        return self._arrays[PREDICTIONS].shape[2] if self.has_predictions else None

    def n_columns(self, name: str) -> int:
        """The features of a site, or the tokens that are predicted."""
        return self._arrays[name].shape[2]

    @staticmethod
    def _check_tokens(tokens: StoredArray) -> None:
        shape = tokens.shape
        if len(shape) != 2 or 0 in shape:
            raise RecordingError(f"'tokens' has the shape {shape}; it must be (sequence, position)")
        if not tokens.dtype.startswith(("int", "uint")):
            raise RecordingError(f"'tokens' is of type {tokens.dtype}; it must be of integers")
        if shape[0] * shape[1] > MOST_POSITIONS:
            raise RecordingError(
                f"'tokens' has the shape {shape}; at most {MOST_POSITIONS} positions in all are allowed"
            )

    def _check_shape(self, name: str) -> None:
        array, is_site = self._arrays[name], not name.endswith(PREDICTIONS)
        expected = (*self._arrays[TOKENS].shape, self.n_features if is_site else self.n_tokens)
        if array.shape != expected:
            raise RecordingError(
                f"{name!r} has the shape {array.shape}; it must be {expected}, by 'tokens' and "
                f"{self.sites[0] if is_site else PREDICTIONS!r}"
            )
        if array.dtype not in FLOATS:
            raise RecordingError(f"{name!r} is of type {array.dtype}; allowed are {', '.join(FLOATS)}")
        if is_site and not 0 < self.n_features <= MOST_FEATURES:
            raise RecordingError(f"{name!r} has {self.n_features} features; allowed are 1 to {MOST_FEATURES}")

    def tokens(self, n_tokens: int) -> Int64[ndarray, "sequence position"]:
        """The tokens of all sequences, which must be from 0 to below `n_tokens`."""
        found = self._arrays[TOKENS].rows(0, self.n_sequences).astype(np.int64)
        if (wrong := np.argwhere((found < 0) | (found >= n_tokens))).size:
            sequence, position = wrong[0]
            raise RecordingError(
                f"'tokens' has {found[sequence, position]} in sequence {sequence} at position {position}; "
                f"the task's tokens are 0 to {n_tokens - 1}"
            )
        return found

    def rows(self, name: str, start: int, stop: int) -> Float32[ndarray, "sequence position column"]:
        """Some sequences of a site or of predictions, all of whose values must be finite as float32."""
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            found = self._arrays[name].rows(start, stop).astype(np.float32)
        if not np.isfinite(found).all():
            sequence, position, column = np.argwhere(~np.isfinite(found))[0]
            raise RecordingError(
                f"{name!r} has the value {found[sequence, position, column]} in sequence {start + sequence} at "
                f"position {position}, column {column}; all must be finite numbers"
            )
        return found

    def chunks(self, name: str, n_sequences: int) -> Iterator[tuple[int, Float[ndarray, "sequence position column"]]]:
        """The first so many sequences of an array, some at a time: the number of the first, and their values."""
        _, n_positions, n_columns = self._arrays[name].shape
        together = self._arrays[name].step
        step = together * max(1, CHUNK_NUMBERS // (together * n_positions * n_columns))
        for start in range(0, n_sequences, step):
            yield start, self.rows(name, start, min(start + step, n_sequences))
