"""The ground truth of a task: every distinct prefix with its probability, belief state and optimal prediction."""

import json
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from geometry.entropy import entropy_rate_bounds_nats, optimal_loss_nats
from geometry.job import Job
from geometry.prefixes import belief_states, complete_tree_with_beliefs, sampled_tree, words_below
from geometry.process import Process
from geometry.storage import write_dataset
from geometry.tasks import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

DISTINCT_DECIMALS = 6
"""Belief states that agree to this many decimals are counted as one."""


def ground_truth(process: Process, context: int, max_prefixes: int, seed: int) -> xr.Dataset:
    """The tree of all prefixes up to `context` tokens, or a sample of it beyond `max_prefixes`.

    ``weight`` sums to 1 over the prefixes of each length: it is the probability where the tree is
    complete, and the share of sampled words where it is not.
    """
    found = complete_tree_with_beliefs(process, context, max_prefixes)
    complete = found is not None
    if complete:
        tree, belief, probability = found
        weight = probability
    else:
        tree, weight = sampled_tree(process, context, max_prefixes, np.random.default_rng(seed))
        belief, probability = belief_states(process, tree)
    next_token = process.next_token_probability(belief)
    lower, upper = entropy_rate_bounds_nats(process)
    rate = {"entropy_rate_nats": upper}
    if not np.isnan(lower):
        rate = {"entropy_rate_nats": (lower + upper) / 2, "entropy_rate_width_nats": upper - lower}
    beliefs = np.vstack([process.initial_state, belief]).round(DISTINCT_DECIMALS)
    nats = {"units": "nats"}
    return xr.Dataset(
        {
            "target": (("prefix", "component"), belief, {"long_name": "belief state"}),
            "probability": ("prefix", probability, {"long_name": "probability among words of the prefix's length"}),
            "weight": ("prefix", weight, {"long_name": "weight of the prefix in means over its length"}),
            "next_token_probability": (("prefix", "token"), next_token, {"long_name": "optimal prediction"}),
            "length": ("prefix", tree.length.astype(np.int32), {"units": "tokens"}),
            "parent": ("prefix", tree.parent.astype(np.int32), {"long_name": "prefix without its last token, or -1"}),
            "last_token": ("prefix", tree.last_token.astype(np.int32)),
            "words_below": ("prefix", words_below(tree), {"long_name": "longest prefixes that continue this one"}),
            "optimal_loss_nats": ("position", optimal_loss_nats(process, tree, weight, next_token), nats),
        },
        coords={
            "component": list(process.state_names),
            "token": list(process.token_names),
            "position": ("position", np.arange(context + 1), {"units": "observed tokens"}),
        },
        attrs={
            "target_name": "belief_state",
            "process": process.name,
            "complete": int(complete),
            "generalized": int(process.generalized),
            "n_distinct_targets": len(np.unique(beliefs, axis=0)),
            "entropy_rate_upper_nats": upper,
            **rate,
        },
    )


if __name__ == "__main__":
    with Job(snakemake) as job:
        task, tree = snakemake.params.task, snakemake.params.tree
        dataset = ground_truth(process_of(task), task["context"], tree["max_prefixes"], tree["seed"])
        dataset.attrs |= {"task": snakemake.params.name, "parameters": json.dumps(task["parameters"])}
        write_dataset(dataset, snakemake.output.ground_truth)
        facts = dataset.attrs
        width = facts.get("entropy_rate_width_nats")
        job.info(
            f"{dataset.sizes['prefix']} prefixes ({'all' if facts['complete'] else 'a sample'}), "
            f"{facts['n_distinct_targets']} distinct beliefs, entropy rate {facts['entropy_rate_nats']:.6f} nats "
            + ("at most" if width is None else f"(bounds {width:.1e} apart)")
        )
