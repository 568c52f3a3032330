"""Steer the trained network: replace or ablate the belief at a layer output, and score the predictions."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from geometry.interventions.patching import PatchedPrefixes
from geometry.interventions.steering import (
    PrefixPairs,
    SiteMaps,
    SteeringScorer,
    draw_following,
    draw_pairs,
    fit_site,
    kl_nats,
    random_basis,
)
from geometry.networks.build import build_network
from geometry.networks.devices import describe_device, select_device
from geometry.networks.hook_points import is_layer_output
from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.snapshots import last_of_each
from geometry.processes.observability import hidden_directions
from geometry.processes.prefix_tree import tree_of
from geometry.processes.process import Process
from geometry.provenance.job import Job
from geometry.schemas.interventions import Steering
from geometry.storage import open_dataset, read_tensors
from geometry.tables import write_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

DOSES_FOLLOWED = (0, 1)
"""The doses at which the prediction after one more token is scored too."""

RANDOM_SUBSPACES = 4
"""Random subspaces whose mean effect is compared with that of the subspace of the belief."""


def steer_site(
    patched: PatchedPrefixes,
    truth: SteeringScorer,
    site: str,
    maps: SiteMaps,
    doses: list[float],
    rng: np.random.Generator,
) -> Iterator[tuple]:
    """Scores of each intervention at each dose: (intervention, dose, tokens later, pairs, metric, value).

    A dose is a multiple of the change to the counterfactual belief.
    """
    followed = truth.of_pairs(patched.has_room)
    for intervention, change in maps.changes(truth.counterfactual - truth.original, rng).items():
        for dose in doses:
            scores = truth.now(patched.steer(site, dose * change))
            yield from ((intervention, dose, 0, len(change), *score) for score in scores.items())
            if dose in DOSES_FOLLOWED and len(patched.has_room):
                scores = followed.later(patched.later())
                yield from ((intervention, dose, 1, len(patched.has_room), *score) for score in scores.items())


def ablate_site(
    patched: PatchedPrefixes, optimal: np.ndarray, site: str, maps: SiteMaps, rng: np.random.Generator
) -> Iterator[tuple]:
    """Scores without ablation, with the belief's subspace ablated, and with random ones of its dimension."""
    draws = [random_basis(maps.basis, rng) for _ in range(RANDOM_SUBSPACES)]
    removed = {"none": [maps.basis[:0]], "ablate_belief": [maps.basis], "ablate_random": draws}
    for intervention, bases in removed.items():
        value = np.mean([kl_nats(optimal, patched.ablate(site, maps.mean, basis)).mean() for basis in bases])
        yield intervention, 1, 0, len(optimal), "kl_to_optimum_nats", float(value)


def partnered(
    process: Process, truth: xr.Dataset, network: HookedNetwork, n_pairs: int, rng: np.random.Generator
) -> dict[str, tuple[PrefixPairs, PatchedPrefixes, SteeringScorer]]:
    """Pairs of prefixes, their patched copies and their scorer, by kind of partner, for kinds that exist."""
    belief, weight, optimal = (truth[name].values for name in ("target", "weight", "next_token_probability"))
    tree = tree_of(truth)
    length = tree.length[:, None].astype(np.float64)
    found, kinds = {}, {"any": length}
    if len(hidden_directions(process)[0]):  # elsewhere, beliefs with the same prediction differ by rounding alone
        kinds["equal_next_token"] = np.hstack([length, optimal])
    for partner, alike in kinds.items():
        pairs = draw_pairs(belief, alike, weight, n_pairs, rng)
        if len(pairs):
            following = draw_following(process, belief[pairs.partner], rng)
            patched = PatchedPrefixes(network, tree, pairs.prefix, following, network.config.d_vocab > process.n_tokens)
            scorer = SteeringScorer(process, belief[pairs.partner], belief[pairs.prefix], following)
            found[partner] = pairs, patched, scorer
    return found


def steer_network(
    process: Process,
    truth: xr.Dataset,
    activations: xr.Dataset,
    index: int,
    network: HookedNetwork,
    pairs: int,
    doses: list[float],
    seed: int,
) -> pd.DataFrame:
    """The scores of all interventions at the layer outputs or, if none were extracted, at all sites.

    `index` is the place of the network's snapshot among the activations.
    """
    rng = np.random.default_rng(seed)
    belief, weight, optimal = (truth[name].values for name in ("target", "weight", "next_token_probability"))
    drawn = partnered(process, truth, network, pairs, rng)
    rows, sites = [], activations["site"].values.tolist()
    for site in [site for site in sites if is_layer_output(site)] or sites:
        maps = fit_site(activations["activation"][index, sites.index(site)].values, belief, weight)
        for partner, (chosen, patched, scorer) in drawn.items():
            rows += [(site, partner, *row) for row in steer_site(patched, scorer, site, maps, doses, rng)]
            if partner == "any":
                ablated = ablate_site(patched, optimal[chosen.prefix], site, maps, rng)
                rows += [(site, partner, *row) for row in ablated]
    columns = ["site", "partner", "intervention", "dose", "tokens_later", "n_pairs", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


if __name__ == "__main__":
    with Job(snakemake) as job:
        params, source = snakemake.params, snakemake.input
        device = select_device(params.device, snakemake.threads)
        job.device = describe_device(device)
        snapshots, process = read_tensors(source.snapshots), process_of(params.task)
        network = build_network(process.n_tokens, params.task["context"], params.model).to(device)
        tables, settings = [], {**params.steering, "seed": params.pairs_seed}
        with open_dataset(source.ground_truth) as truth, open_dataset(source.activations) as activations:
            ends = last_of_each(snapshots["seed"]), last_of_each(activations["seed"].values)
            for last, index in zip(*ends, strict=True):
                network.set_parameters({name: stack[last] for name, stack in snapshots.items()})
                table = steer_network(process, truth, activations, index, network, **settings)
                tables.append(table.assign(seed=int(snapshots["seed"][last])))
        table = pd.concat(tables).assign(experiment=snakemake.wildcards.experiment)
        write_table(table, snakemake.output.steering, Steering)
        job.info(f"{params.steering['pairs']} pairs at {table['site'].nunique()} sites on {job.device}")
