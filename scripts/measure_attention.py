"""Compare the first attention of each network at its last snapshot with constrained belief updates."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr

from geometry.networks.build import build_network
from geometry.networks.devices import describe_device, select_device
from geometry.networks.extraction import tree_activations
from geometry.networks.first_attention import branches, first_attention, patterns
from geometry.networks.hook_points import FIRST_BLOCK, PREFIXES_AT_ONCE
from geometry.networks.origins import origin_names
from geometry.networks.snapshots import last_of_each
from geometry.networks.transformer import Transformer
from geometry.probing.attention_measures import (
    AttentionRow,
    Theory,
    attention_rows,
    encoding,
    position_means,
    regression_rows,
)
from geometry.probing.control_targets import BELIEF_OF
from geometry.probing.cross_validation import by_prefix, passes
from geometry.probing.design import ProbeDesign
from geometry.processes.constrained_updates import constrained_updates, single_token_evidence
from geometry.processes.prefix_tree import PrefixTree, tree_of
from geometry.processes.process import Process
from geometry.provenance.job import Job
from geometry.schemas.structure import Attention
from geometry.storage import open_dataset, read_tensors
from geometry.tables import write_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def activations_of(network: Transformer, tree: PrefixTree, bos_token: int | None) -> dict[str, np.ndarray]:
    """The activations behind the first attention and in the residual stream around the first MLP, after each prefix."""
    n_read, parts = int(bos_token is not None), []
    for chunk, record, _ in tree_activations(
        network, *tree.network_input(bos_token), FIRST_BLOCK, PREFIXES_AT_ONCE, n_read
    ):
        if chunk.start >= n_read:
            parts.append([record[site].cpu() for site in FIRST_BLOCK])
    return {site: torch.cat(own).numpy() for site, own in zip(FIRST_BLOCK, zip(*parts, strict=True), strict=True)}


def means_of(network: Transformer, tree: PrefixTree, weight: np.ndarray, bos_token: int | None, most: int):
    """The means over the prefixes of each length up to `most`, and what is written of the task's tokens."""
    attention, n_read = first_attention(network), int(bos_token is not None)
    n_tokens, found = attention.query.shape[1] - n_read, []
    for level, tokens in zip(tree.levels[:most], branches(tree, bos_token), strict=False):
        pattern = patterns(attention, tokens)[:, n_read:]
        found.append(position_means(tokens[:, n_read:], pattern, weight[level], n_tokens))
    return found, attention.written[n_read:, :n_tokens]


class Comparison:
    """The constrained updates after prefixes of at most `longest` tokens, with which networks are compared."""

    def __init__(self, process: Process, truth: xr.Dataset, probe: dict, longest: int):
        self.tree, self.weight, self.longest = tree_of(truth), truth["weight"].values, longest
        self.updates = constrained_updates(process, self.tree)
        self.evidence = single_token_evidence(process, int(self.tree.length.max()))
        self.chain = process.transition_tensor.sum(axis=0)
        composition = process.composition
        self.factors = composition.parts if composition and composition.independent else ()
        stop = self.tree.levels[longest - 1].stop
        self.trained, self.rows = slice(stop), slice(self.tree.levels[1].start, stop)  # of one token, targets are equal
        rng = np.random.default_rng(probe["seed"])
        folds = by_prefix(stop - self.rows.start, probe["folds"], probe["repeats"], rng)
        targets = {"belief_state": truth["target"].values, "constrained_update": self.updates}
        self.design = ProbeDesign(
            self.tree.length[self.rows],
            {name: of[self.rows] for name, of in targets.items()},
            {},
            {"probability": self.weight[self.rows]},
            list(passes({"held_out_prefix": folds})),
        )

    def of_factors(self, stream: np.ndarray, weight: np.ndarray) -> Iterator[Theory]:
        """The theory of each factor of a product, whose constrained updates side by side are encoded in the stream."""
        if not self.factors:
            return
        maps = [factor.marginal for factor in self.factors]
        encoder = encoding(self.updates[self.trained] @ np.hstack(maps), stream, weight)
        ends = np.cumsum([own.shape[1] for own in maps])[:-1]
        for factor, own, decoder in zip(self.factors, maps, np.split(np.linalg.pinv(encoder), ends, 1), strict=True):
            chain = np.linalg.pinv(own) @ self.chain @ own
            yield Theory(self.evidence @ own, chain, decoder, f"{BELIEF_OF}{factor.name}")

    def rows_of(self, network: Transformer, bos_token: int | None) -> Iterator[AttentionRow]:
        """All measures of one network."""
        activations = activations_of(network, self.tree, bos_token)
        stream, weight = (of[self.trained] for of in (activations[FIRST_BLOCK[0]], self.weight))
        encoder = encoding(self.updates[self.trained], stream, weight)
        theory = Theory(self.evidence, self.chain, np.linalg.pinv(encoder))
        means, written = means_of(network, self.tree, self.weight, bos_token, self.longest)
        yield from attention_rows(means, written, theory, encoder, list(self.of_factors(stream, weight)))
        yield from regression_rows(self.design, {site: x[self.rows] for site, x in activations.items()})


if __name__ == "__main__":
    with Job(snakemake) as job:
        params = snakemake.params
        device = select_device(params.device, snakemake.threads)
        job.device = describe_device(device)
        snapshots, process = read_tensors(snakemake.input.snapshots), process_of(params.task)
        network, tables = build_network(process.n_tokens, params.task["context"], params.model).to(device), []
        bos_token = process.n_tokens if params.model["bos"] else None
        with open_dataset(snakemake.input.ground_truth) as truth:
            comparison = Comparison(process, truth, params.probe, params.longest)
        origins = origin_names(snapshots["origin"])
        for last in last_of_each(snapshots["seed"]):
            network.set_parameters({name: stack[last] for name, stack in snapshots.items()})
            table = pd.DataFrame(comparison.rows_of(network, bos_token))
            tables.append(
                table.assign(**{name: snapshots[name][last] for name in ("seed", "step")}, origin=origins[last])
            )
        integers = dict.fromkeys(["head", "position", "lag", "token", "draw"], "Int64")
        table = pd.concat(tables).astype(integers).assign(experiment=snakemake.wildcards.experiment)
        write_table(table, snakemake.output.attention, Attention)
        job.info(f"{len(tables)} networks on {job.device}")
