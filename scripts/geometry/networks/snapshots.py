"""The snapshots of a run: those of each of its networks, in the order of their training."""

import re
from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr
from jaxtyping import Integer
from numpy import ndarray


def by_network(seeds: Integer[ndarray, " snapshot"]) -> Iterator[tuple[int, Integer[ndarray, " own"]]]:
    """The seed of each network, and the places of its snapshots."""
    for seed in dict.fromkeys(seeds.tolist()):
        yield seed, np.flatnonzero(seeds == seed)


def last_of_each(seeds: Integer[ndarray, " snapshot"]) -> list[int]:
    """The place of each network's last snapshot."""
    return [int(own[-1]) for _, own in by_network(seeds)]


def ends_of_each(seeds: Integer[ndarray, " snapshot"]) -> list[int]:
    """The places of each network's first and last snapshot; one place where they are the same."""
    return [int(place) for _, own in by_network(seeds) for place in dict.fromkeys([own[0], own[-1]])]


def first_network(dataset: xr.Dataset) -> xr.Dataset:
    """A dataset with the snapshots of its first network alone, which figures of one network show."""
    seeds = dataset["seed"].values
    return dataset.isel(snapshot=np.flatnonzero(seeds == seeds[0]))


PREFIX = re.compile(r"(seed_[0-9]+\.)?")


def named_by_seed(networks: Mapping[int, Mapping[str, ndarray]]) -> dict[str, ndarray]:
    """The parameters of some networks as one mapping: of several, names have a prefix, as `seed_1.embed.W_E`."""
    prefix = {seed: f"seed_{seed}." if len(networks) > 1 else "" for seed in networks}
    return {prefix[seed] + name: array for seed, own in networks.items() for name, array in own.items()}


def by_prefix(tensors: Mapping[str, ndarray]) -> dict[str, dict[str, ndarray]]:
    """The networks in such a mapping, by the prefix of their names."""
    networks: dict[str, dict[str, ndarray]] = {}
    for name, array in tensors.items():
        prefix = PREFIX.match(name)[0]
        networks.setdefault(prefix, {})[name.removeprefix(prefix)] = array
    return networks
