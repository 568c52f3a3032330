"""One network in the layouts of several libraries has the same claims, to the accuracy of float32."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from test_checkpoint_layouts import files_of_one_network

from configuration import ANALYSIS
from extract_activations import extract
from geometry.claims.outcomes import with_outcomes
from geometry.networks.build import build_network, initial_parameters
from geometry.networks.checkpoint_file import network_parameters, read
from geometry.networks.origins import PRETRAINED, RANDOM_INIT, origin_codes
from geometry.probing.design import markov_design
from geometry.probing.probe_table import kgram_scores
from geometry.processes.catalog import process_from_config
from geometry.storage import open_dataset
from geometry.tables import select
from geometry.tasks.ground_truth import markov_ground_truth
from geometry.tasks.loss import loss_table
from judge_claims import judge
from probe_beliefs import Probe, probe_run
from score_baselines import score_baselines
from steer_network import steer_network

CONTEXT = 4
MESS3 = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
MODEL = {"architecture": "transformer", "n_layers": 2, "n_heads": 2, "d_model": 12, "d_head": 6, "d_mlp": 20}
MODEL |= {"activation": "gelu_new", "normalization": "LN", "biases": "all", "bos": False}
SITES = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]
PROBE = {"folds": 3, "repeats": 2, "seed": 0, "control_parameters": None}
NOT_MEASURED = ["recovery", "process_recovery", "symmetry", "process_symmetry", "subspaces", "attention"]
NOT_MEASURED += [f"random_init_{name}" for name in ("recovery", "symmetry", "subspaces", "attention")]


@pytest.fixture(scope="module")
def theory():
    """The ground truth, the probe's design and the scores of baselines."""
    truth = markov_ground_truth(MESS3, CONTEXT, 1000, seed=0)
    design = markov_design(truth, MESS3, None, PROBE)
    return truth, design, score_baselines(truth, design, np.eye(3))[0].assign(seed=None)


def claims_of(trained, theory, folder):
    """The claims of a network with some parameters beside a random one, with every probe, loss and steering."""
    truth, design, baselines = theory
    network = build_network(MESS3.n_tokens, CONTEXT, MODEL)
    initial = initial_parameters(network, 0)
    snapshots = {name: np.stack([initial[name], trained[name]]) for name in initial}
    snapshots |= {"step": np.array([0, 1]), "seed": np.zeros(2, int), "origin": origin_codes([RANDOM_INIT, PRETRAINED])}
    folder.mkdir()
    extract(folder / "activations.zarr.zip", truth, snapshots, MODEL, SITES, torch.device("cpu"))
    network.set_parameters(trained)
    with open_dataset(folder / "activations.zarr.zip") as found:
        probe = Probe(truth, design, kgram_scores(baselines, design.main), SITES, compares_random=True)
        table = probe_run(truth, found, probe, logging.getLogger("test"), folder / "decoded.zarr.zip")
        steering = steer_network(MESS3, truth, found, 1, network, pairs=20, doses=[0.0, 1.0], seed=0)
        tables = {"probe": table, "loss": loss_table(truth, found), "steering": steering.assign(seed=0)}
    tables |= {"baselines": baselines, "random_init": select(table, origin=RANDOM_INIT).assign(seed=1)}
    tables |= dict.fromkeys(NOT_MEASURED, pd.DataFrame(columns=["experiment", "permutation", "measure", "value"]))
    return with_outcomes(judge(tables, "e", "markov", {"confidence": 0.95, "margin": 0.1}, ANALYSIS), 0.1)


def test_one_network_has_the_same_claims_in_every_layout(theory, tmp_path):
    found = {}
    for path, layout in files_of_one_network(tmp_path):
        weights = network_parameters(read(path, layout, 2), CONTEXT, "LN")
        found[path.name] = claims_of(weights, theory, tmp_path / path.stem)
    expected, *others = found.values()
    assert len(others) == 5 and {"causal", "emerges with training", "spread across layers"} <= set(expected["claim"])
    assert expected["estimate"].nunique() > 5
    for claims in others:
        for name in ("claim", "site", "baseline_name", "verdict", "outcome", "caution"):
            assert claims[name].tolist() == expected[name].tolist()
        for name in ("estimate", "baseline", "gain"):
            np.testing.assert_allclose(claims[name], expected[name], rtol=1e-4, atol=1e-5)
