"""The clouds of one experiment: its process, some of its prefixes, and what each network's sites decode at these."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.explorer.packing import STEPS, pack, quantised
from geometry.networks.snapshots import by_network
from geometry.processes.process import Process
from geometry.tables import select

NUMBERS, NUMBERS_AT_END, NUMBERS_ELSEWHERE = 40_000, 4_000, 800
"""Numbers of a cloud, at most: of the first network, of the others at their last snapshot, and at earlier ones.

Of three states 20,000 points have 40,000 numbers. The first network has as many at its first and last snapshot, and
half of it between these and in sample, as has the first of the random networks.
"""

MOST_NUMBERS = 5.1e6
"""Numbers of all clouds of a page, at most: about 1.6 bytes of it each."""

RANDOM_NETWORKS = "random_init"
"""The run of the networks that are never trained."""

NO_TOKEN = 255
"""What stands behind the last token of a prefix."""

HELD_OUT, IN_SAMPLE = "held_out_prefix", "in_sample"


@dataclass(frozen=True, eq=False)
class Network:
    """One network: a run's networks are those of its seeds."""

    label: str
    run: str
    seed: int
    snapshots: Integer[ndarray, " own"]
    steps: Integer[ndarray, " own"]
    is_first: bool  # of its kind, so that its clouds have most points


def networks_of(run: str, decoded: xr.Dataset, is_first: bool) -> Iterator[Network]:
    """The networks of a run; of random ones, each has one snapshot and a number in place of its seed."""
    for place, (seed, own) in enumerate(by_network(decoded["seed"].values)):
        label = {RANDOM_NETWORKS: f"random network {place + 1}", "pretrained": "pretrained network"}.get(run)
        steps = decoded["step"].values[own]
        yield Network(label or f"trained, seed {seed}", run, seed, own, steps, is_first and place == 0)


def n_points(network: Network, place: int, split: str, n_prefixes: int, n_numbers: int, share: float) -> int:
    """The points of a cloud, of so many numbers each; 0 if it is not in the page.

    In-sample decoding is there for the first trained network at its last snapshot alone.
    """
    last, is_random = len(network.snapshots) - 1, network.run == RANDOM_NETWORKS
    if split == IN_SAMPLE and (place < last or is_random or not network.is_first):
        return 0
    if network.is_first:
        most = NUMBERS / (1 if split == HELD_OUT and place in (0, last) and not is_random else 2)
    else:
        most = NUMBERS_AT_END if place == last else NUMBERS_ELSEWHERE
    return min(n_prefixes, max(1, int(share * most / n_numbers)))


def numbers_of(runs: Mapping[str, xr.Dataset], share: float) -> int:
    """The numbers of the clouds of some runs, the first of which has the first network."""
    total = 0
    for place, (run, decoded) in enumerate(runs.items()):
        n_prefixes, n_numbers = decoded.sizes["prefix"], max(1, decoded.sizes["component"] - 1)
        for network in networks_of(run, decoded, place == 0 or run == RANDOM_NETWORKS):
            ways = ((at, split) for at in range(len(network.snapshots)) for split in (HELD_OUT, IN_SAMPLE))
            points = sum(n_points(network, *way, n_prefixes, n_numbers, share) for way in ways)
            total += decoded.sizes["site"] * n_numbers * points
    return total


def chosen_prefixes(n_prefixes: int, most: int) -> Integer[ndarray, " point"]:
    """The prefixes that are points, in a random order, so that the first of them are a sample too.

    Where not all are, the last twentieth are the shortest prefixes, which a reader is likely to type.
    """
    rows = np.random.default_rng(0).permutation(n_prefixes)
    if len(rows) <= most:
        return rows
    n_short = most // 20
    return np.concatenate([rows[rows >= n_short][: most - n_short], np.arange(n_short)])


def words_of(truth: xr.Dataset, rows: Integer[ndarray, " point"]) -> Integer[ndarray, "point place"]:
    """The tokens of some prefixes, filled with `NO_TOKEN`."""
    parent, token, length = (truth[name].values for name in ("parent", "last_token", "length"))
    words = np.full((len(rows), int(length.max())), NO_TOKEN, np.uint8)
    row = rows.copy()
    while (inside := row >= 0).any():
        words[inside, length[row[inside]] - 1] = token[row[inside]]
        row = np.where(inside, parent[np.maximum(row, 0)], -1)
    return words


def r2_of(probe: pd.DataFrame, split: str) -> dict[tuple[int, int, str], float]:
    """R2 of the belief by seed, step and site: as verdicts use it or, in sample, as published."""
    ways = {HELD_OUT: [("ridge", "probability")], IN_SAMPLE: [("least_squares", w) for w in ("uniform", "probability")]}
    rows = select(probe, target="belief_state", metric="r2", features="activations", split=split)
    for estimator, weighting in ways[split]:
        if len(found := select(rows, estimator=estimator, weighting=weighting)):
            return {(row.seed, row.step, row.site): row.value for row in found.itertuples()}
    return {}


def clouds_of(
    network: Network,
    decoded: xr.Dataset,
    truth: Float[ndarray, "prefix component"],
    rows: Integer[ndarray, " point"],
    scores: Mapping[str, Mapping],
    unit: float,
    share: float,
) -> Iterator[dict]:
    """The clouds of one network: differences of the decoded from the true beliefs in units, with their R2."""
    splits, sites = decoded["split"].values.tolist(), decoded["site"].values.tolist()
    for place, (snapshot, step) in enumerate(zip(network.snapshots, network.steps, strict=True)):
        for split in splits:
            shown = rows[: n_points(network, place, split, len(truth), max(1, truth.shape[1] - 1), share)]
            for number, site in enumerate(sites) if len(shown) else ():
                belief = decoded["decoded_belief"][splits.index(split), int(snapshot), number].values[shown]
                has_total = np.abs(belief.sum(axis=1) - 1).max() < 1e-3  # so that the last one need not be stored
                stored = slice(None, -1) if has_total else slice(None)
                difference = quantised((belief - truth[shown])[:, stored], unit)
                score = scores[split].get((network.seed, int(step), site))
                yield {"snapshot": place, "site": number, "split": split, "r2": score, "points": pack(difference)}


def process_content(process: Process) -> dict:
    """The process in full precision, with its names and parts: beliefs and predictions are computed in the page."""
    composition = process.composition
    parts = composition.parts if composition else ()
    return {
        "states": list(process.state_names),
        "tokens": list(process.token_names),
        "generalized": process.generalized,
        "tensor": pack(process.transition_tensor),
        "initial": process.initial_state,
        "readout": process.readout,
        "composed": composition.kind if composition else None,
        "parts": [{"name": part.name, "marginal": part.marginal, "readout": part.readout} for part in parts],
    }


def cloud_content(
    process: Process, truth: xr.Dataset, runs: Mapping[str, tuple[xr.Dataset, pd.DataFrame]], share: float
) -> dict:
    """The points of an experiment and the networks with their clouds; `runs` have their decoded beliefs and scores."""
    scored = next(iter(runs.values()))[0]["prefix"].values  # not all, where the first positions are only read
    target = truth["target"].values[scored]
    rows = chosen_prefixes(len(target), max(1, int(share * NUMBERS / max(1, target.shape[1] - 1))))
    unit, networks = float(np.ptp(target, axis=0).max()) / STEPS, []
    for number, (run, (decoded, probe)) in enumerate(runs.items()):
        scores = {split: r2_of(probe, split) for split in (HELD_OUT, IN_SAMPLE)}
        for network in networks_of(run, decoded, number == 0 or run == RANDOM_NETWORKS):
            clouds = list(clouds_of(network, decoded, target, rows, scores, unit, share))
            steps = network.steps.tolist()
            networks.append(
                {"label": network.label, "run": run, "seed": network.seed, "steps": steps, "clouds": clouds}
            )
    sites = next(iter(runs.values()))[0]["site"].values.tolist()
    words = pack(words_of(truth, scored[rows]))
    return {**process_content(process), "sites": sites, "words": words, "unit": unit, "networks": networks}
