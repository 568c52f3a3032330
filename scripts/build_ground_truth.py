"""The ground truth of a task: every distinct prefix with its probability, target geometry and optimal prediction."""

import json
from typing import TYPE_CHECKING

import numpy as np

from geometry.networks.recorded_prefixes import n_fitting
from geometry.networks.recording import Recording
from geometry.provenance.job import Job
from geometry.storage import write_dataset
from geometry.tasks.ground_truth import GROUND_TRUTHS
from geometry.tasks.task import task_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


if __name__ == "__main__":
    with Job(snakemake) as job:
        task, tree = snakemake.params.task, snakemake.params.tree
        known, recorded = task_of(task), {}
        if snakemake.input:
            tokens = Recording(task["recording"]).tokens(known.n_tokens)[:, : known.context]
            sequences = tokens[: n_fitting(tokens, tree["max_prefixes"])]
            recorded = {"sequences": sequences, "first_position": task["first_position"]}
        dataset = GROUND_TRUTHS[known.kind](known, tree["max_prefixes"], tree["seed"], **recorded)
        dataset.attrs |= {"task": snakemake.params.name, "parameters": json.dumps(task["parameters"])}
        write_dataset(dataset, snakemake.output.ground_truth)
        facts = dataset.attrs
        job.info(
            f"{dataset.sizes['prefix']} prefixes ({'all' if facts['complete'] else 'a sample'}), "
            f"{facts['n_distinct_targets']} distinct targets, entropy rate {facts['entropy_rate_nats']:.6f} nats "
            f"(bounds {facts.get('entropy_rate_width_nats', np.nan):.1e} apart)"
        )
