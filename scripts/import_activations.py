"""Activations of a network from elsewhere, out of the file that its maker saved: a row for each prefix of its tokens.

The result is that of `extract_activations`. The random network, if the file has one, is the first snapshot; those of
all files are the run `random_init`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from geometry.networks.origins import PRETRAINED, RANDOM_INIT
from geometry.networks.recorded_prefixes import Places, n_columns_read, prefix_rows
from geometry.networks.recording import PREDICTIONS, RANDOM, Recording, RecordingError
from geometry.processes.prefix_tree import scored_positions, tree_of, tree_of_sequences
from geometry.provenance.job import Job
from geometry.storage import open_dataset, zarr_archive

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

CHUNK_BYTES = 64_000_000


class Snapshot(NamedTuple):
    """One network in a file: the prefix of the names of its arrays, and its place on the axis of snapshots."""

    recording: Recording
    prefix: str
    seed: int
    step: int
    origin: str

    @property
    def has_predictions(self) -> bool:
        return self.recording.all_predict if self.prefix else self.recording.has_predictions


def snapshots_of(recordings: list[Recording], run: str, seed: int, first_random_seed: int) -> list[Snapshot]:
    """The networks of a run: of `random_init` the random ones, else the one in its file after its random one."""
    if run == RANDOM_INIT:
        seeds = range(first_random_seed, first_random_seed + len(recordings))
        return [Snapshot(one, RANDOM, own, 0, RANDOM_INIT) for one, own in zip(recordings, seeds, strict=True)]
    (recording,) = recordings
    before = [Snapshot(recording, RANDOM, seed, 0, RANDOM_INIT)] * recording.has_random_network
    return [*before, Snapshot(recording, "", seed, 1, PRETRAINED)]


def places_of(recording: Recording, truth: xr.Dataset) -> Places:
    """The places of the prefixes of the ground truth in a recording, whose sequences must be those of the truth."""
    n_sequences = truth.attrs.get("n_sequences", recording.n_sequences)
    tokens = recording.tokens(truth.sizes["token"])[:n_sequences, : truth.sizes["position"] - 1]
    (tree, nodes), known = tree_of_sequences(tokens), tree_of(truth)
    if not all(np.array_equal(getattr(tree, name), getattr(known, name)) for name in ("last_token", "parent")):
        raise RecordingError(
            "'tokens' has other sequences than the ground truth: all files of an experiment need the same"
        )
    return Places(nodes, truth["weight"].values, scored_positions(truth).start)


def arrays_of(snapshots: list[Snapshot], sites: list[str], truth: xr.Dataset) -> Iterator[tuple[int, int, np.ndarray]]:
    """Snapshot, place of the site (-1 for predictions) and rows, one array after the other."""
    places_in = {one: places_of(one, truth) for one in dict.fromkeys(each.recording for each in snapshots)}
    for index, one in enumerate(snapshots):
        places = places_in[one.recording]
        for place, site in enumerate(sites):
            yield index, place, prefix_rows(one.recording, one.prefix + site, places)
        if one.has_predictions:
            yield index, -1, prefix_rows(one.recording, one.prefix + PREDICTIONS, places)
        elif any(other.has_predictions for other in snapshots):
            yield index, -1, np.full((len(places.first) - places.scored, truth.sizes["token"]), np.nan, np.float32)


def import_activations(path: str, truth: xr.Dataset, snapshots: list[Snapshot], sites: list[str]) -> None:
    """Write the archive array by array: in memory are the rows of one site, and a chunk of the file."""
    first, start = snapshots[0].recording, scored_positions(truth).start
    n_prefixes, n_tokens = truth.sizes["prefix"] - start, truth.sizes["token"]
    width = n_columns_read(first.n_features)
    n_rows = max(1, CHUNK_BYTES // (4 * max(width, n_tokens)))
    axis = {name: ("snapshot", [getattr(one, name) for one in snapshots]) for name in ("step", "seed", "origin")}
    prefix = {"prefix": np.arange(start, truth.sizes["prefix"], dtype=np.int32), "token": truth["token"]}
    coordinates = xr.Dataset({"length": truth["length"][start:]}, coords=axis | {"site": sites} | prefix)
    with zarr_archive(path) as archive:
        archive.add_variables(coordinates.set_coords("length"))
        dims, shape = ("snapshot", "site", "prefix", "feature"), (len(snapshots), len(sites), n_prefixes, width)
        activation = archive.add_array("activation", dims, shape, np.float32, (1, 1, n_rows, width))
        prediction = None
        if any(one.has_predictions for one in snapshots):
            dims, shape = ("snapshot", "prefix", "token"), (len(snapshots), n_prefixes, n_tokens)
            chunks = (1, n_rows, n_tokens)
            prediction = archive.add_array("log_probability", dims, shape, np.float32, chunks, units="nats")
        for index, place, rows in arrays_of(snapshots, sites, truth):
            for chunk, row in enumerate(range(0, n_prefixes, n_rows)):
                part = rows[row : row + n_rows]
                if place < 0:
                    archive.write_chunk(prediction, (index, chunk, 0), part[None])
                else:
                    archive.write_chunk(activation, (index, place, chunk, 0), part[None, None])


if __name__ == "__main__":
    with Job(snakemake) as job:
        params = snakemake.params
        recordings = [Recording(path) for path in params.paths]
        snapshots = snapshots_of(recordings, snakemake.wildcards.run, params.seed, params.first_random_seed)
        with open_dataset(snakemake.input.ground_truth) as truth:
            import_activations(snakemake.output.activations, truth, snapshots, list(params.sites))
            retained, width = n_columns_read(recordings[0].n_features), recordings[0].n_features
            reduced = f"{retained} principal components of " * (retained < width)
            shape = f"{len(snapshots)} snapshots x {len(params.sites)} sites x {truth.sizes['prefix']} prefixes"
            job.info(f"{shape}, {reduced}{width} features")
