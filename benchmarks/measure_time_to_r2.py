"""Time until the probe reaches the published checkpoint's R2 on mess3, beside the published recipe.

The probe and its score are the published ones: in sample, uniform over sequences at every position. The
time is that of training alone, drawing of sequences included, with kernels compiled before (2 s, once for a
machine); the published recipe is taken as its number of steps times TransformerLens's time for one,
measured in the same run.
"""

import sys
import time

import numpy as np
import torch

from geometry.networks.build import build_network
from geometry.networks.extraction import tree_activations
from geometry.networks.hook_points import PREFIXES_AT_ONCE
from geometry.networks.transformer import Transformer
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import Fold, fit, score_of
from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.prefix_tree import n_sequences_below
from geometry.processes.sampling import sample_process
from geometry.training.batches import packed_batch
from geometry.training.engines import gradient_engine
from geometry.training.train import Recipe, TrainingRun, train
from timing import CONTEXT, MESS3, PUBLISHED_MODEL, Peer, alternate, report

PUBLISHED_R2 = 0.9965
PUBLISHED_STEPS = 983_140
PUBLISHED_BATCH = 64
SITE = "blocks.3.hook_resid_post"
RECIPES = {  # sequences in a batch, and how to train on them
    "sampled labels, as the default study": (1024, Recipe("sampled", "adamw", 0.02, 0.01, "one_cycle", 0.1, 1200)),
    "exact labels": (256, Recipe("exact", "adamw", 0.02, 0.01, "one_cycle", 0.1, 700)),
}
LOOKS = 20


def published_r2(network: Transformer, process, tree) -> float:
    chunks = tree_activations(network, *tree.network_input(None), [SITE], PREFIXES_AT_ONCE, False)
    x = np.concatenate([record[SITE].numpy() for _, record, _ in chunks])
    weight, cell = n_sequences_below(tree).astype(np.float64), np.zeros(len(tree), dtype=int)
    (moments,) = cell_gram_matrices(x, belief_states(process, tree)[0], weight[None], cell)
    return score_of(fit(moments), Fold(moments, moments)).r2()


def run_until(batch: int, recipe: Recipe, seed: int) -> dict:
    """Train to the end of a recipe; the time of training until the score was reached, looking now and then."""
    process = process_from_config("mess3", MESS3)
    tree, rng = complete_tree(process, CONTEXT, 10**6), np.random.default_rng([seed, 0])
    network = build_network(3, CONTEXT, PUBLISHED_MODEL)
    network.initialize(torch.Generator().manual_seed(seed))
    looks = {round(recipe.steps * (look + 1) / LOOKS) for look in range(LOOKS)}
    begin, spent, reached, r2 = time.perf_counter(), 0.0, {}, 0.0

    def look(run: TrainingRun) -> None:
        nonlocal begin, spent, r2
        if run.step in looks:
            spent += time.perf_counter() - begin
            r2 = published_r2(network, process, tree)
            if r2 >= PUBLISHED_R2 and not reached:
                reached.update(step=run.step, seconds=spent)
            begin = time.perf_counter()

    drawn = (sample_process(process, batch, CONTEXT + 1, rng) for _ in range(recipe.steps + 1))
    batches = (packed_batch(sequences, process, False, recipe.labels, False) for sequences in drawn)
    run = TrainingRun(network, recipe)
    train(run, gradient_engine(network, run.vector, "packed"), batches, [], set(), look)
    return {"step": np.nan, "seconds": np.nan, **reached, "last_r2": r2}


if __name__ == "__main__":
    torch.set_num_threads(1)
    peer, rows = Peer(), []
    question = {"task": "train", "model": "published", "batch": PUBLISHED_BATCH, "steps": 20}
    step = alternate({"peer": lambda: peer(**question)}, 7)["peer"]
    for name, (batch, recipe) in RECIPES.items():
        for seed in (1, 2, 3):
            found = run_until(batch, recipe, seed)
            published = PUBLISHED_STEPS * step
            rows.append({"recipe": name, "seed": seed, **found, "published_seconds": published})
            rows[-1]["speedup"] = published / found["seconds"]
    report(rows, sys.argv[1])
