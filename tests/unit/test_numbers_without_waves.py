"""Modular arithmetic where there is nothing to find: every table, claim and figure says so, without a warning."""

import logging
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.text import Text
from test_surgery import planted_network

from compare_bases import compare_bases
from configuration import ANALYSIS
from extract_activations import extract
from find_shift_symmetry import find_shift_symmetry
from geometry.claims.findings import circuit_table
from geometry.claims.modular_claims import CIRCLES
from geometry.networks.build import build_network, initial_parameters
from geometry.networks.origins import origin_codes
from geometry.probing.design import modular_design
from geometry.probing.probe_table import kgram_scores
from geometry.storage import open_dataset
from geometry.tables import select
from geometry.tasks.ground_truth import modular_ground_truth
from geometry.tasks.modular_arithmetic import ModularArithmetic
from judge_claims import judge
from measure_circuit import measure_circuit
from measure_loss import loss_table
from measure_surgery import COLUMNS, circles_dataset, measure_surgery
from plot_bases import plot_bases
from plot_circles import plot_circles
from plot_progress import plot_progress
from plot_shift_symmetry import plot_shift_symmetry
from plot_spectrum import plot_spectrum
from plot_surgery import plot_surgery
from probe_beliefs import Probe, probe_run
from score_baselines import score_baselines

pytestmark = pytest.mark.filterwarnings("error")

SITES = ["blocks.0.hook_resid_mid", "blocks.0.hook_resid_post"]
MODULI = list(range(2, 8))
RULE = {"confidence": 0.95, "margin": 0.1}


def noise(p, seed):
    """A network that was never trained, of the shape of a planted one of `p // 2` keys."""
    network = build_network(p + 1, 3, model_of(p))
    return initial_parameters(network, seed)


def model_of(p):
    width = 4 * (p // 2)
    shape = {"n_layers": 1, "n_heads": 1, "d_model": width, "d_head": width, "d_mlp": 6 * width}
    return {"architecture": "transformer", **shape, "activation": "relu", "normalization": "none", "bos": False}


def silent(p):
    return {name: np.zeros_like(array) for name, array in noise(p, 0).items()}


def stubborn(p):
    """Answers 1, whatever it is asked, and writes every number alike."""
    same = {"embed.W_E": np.full((p + 1, 4 * (p // 2)), 0.1), "unembed.b_U": np.where(np.arange(p + 1) == 1, 0.3, 0.1)}
    return silent(p) | {name: array.astype(np.float32) for name, array in same.items()}


def complete(p):
    """Knows every frequency: p / 2 too, where p is even."""
    return planted_network(p, tuple(range(1, p // 2 + 1)))


class Study:
    """All tables of one experiment: of some networks at their end, each a run, and of two that were never trained."""

    def __init__(self, task, networks, folder):
        self.task, self.folder, self.truth = task, folder, modular_ground_truth(task)
        settings = {"folds": 5, "repeats": 2, "seed": 0}
        design = modular_design(task, settings)
        self.baselines, _ = score_baselines(self.truth, design, np.eye(task.n_tokens))
        self.probe = Probe(self.truth, design, kgram_scores(self.baselines, design.main), [])
        p = task.modulus
        self.runs = [self.run(seed, [noise(p, seed), last], [0, 5]) for seed, last in enumerate(networks, 1)]
        self.never = self.run(9, [noise(p, 9), noise(p, 10)], [0, 0])

    def run(self, seed, snapshots, steps):
        """The tables of one run, and what figures show."""
        task, path = self.task, self.folder / f"{seed}.zarr.zip"
        stacks = {name: np.stack([one[name] for one in snapshots]) for name in snapshots[0]}
        stacks |= {"step": np.array(steps), "seed": np.array([seed, seed if steps[1] else seed + 1])}
        stacks["origin"] = origin_codes("trained" if step else "random_init" for step in steps)
        extract(path, self.truth, stacks, model_of(task.modulus), SITES, torch.device("cpu"))
        found = {"bases": compare_bases(stacks, task.modulus)}
        found["circuit"], found["picture"] = measure_circuit(stacks, task, 0.005, 0.85)
        if task.sign is not None and steps[1]:
            found["surgery"] = measure_surgery(stacks, task.sign, 0.005, MODULI, [11], 50).assign(seed=seed)
            found["re_cut"] = circles_dataset(snapshots[-1], task.sign, 0.005, MODULI)
        with open_dataset(path) as activations:
            decoded = self.folder / f"{seed}_decoded.zarr.zip"
            found["probe"] = probe_run(self.truth, activations, self.probe, logging.getLogger("test"), decoded)
            found["shift_symmetry"] = find_shift_symmetry(task, activations)
            found["loss"] = loss_table(self.truth, activations)
        return {name: one if isinstance(one, xr.Dataset) else one.assign(experiment="e") for name, one in found.items()}

    def every(self, name):
        return [run[name] for run in self.runs if name in run]

    def claims(self):
        tables = {name: pd.concat(self.every(name)) for name in ("probe", "loss", "circuit", "bases", "shift_symmetry")}
        surgery = self.every("surgery") or [pd.DataFrame(columns=["experiment", "seed", *COLUMNS])]
        tables["surgery"] = pd.concat(surgery)
        tables["random_init"] = self.never["probe"]
        tables["baselines"] = self.baselines
        tables |= {f"random_init_{name}": self.never[name] for name in ("circuit", "bases", "shift_symmetry")}
        return judge(tables, "e", "modular", RULE, ANALYSIS).set_index("claim"), tables

    def draw(self):
        """Every figure, as it is saved."""
        p, first = self.task.modulus, self.runs[0]
        training = pd.DataFrame({"step": [0, 5], "minibatch_loss_nats": [1.0, 0.5], "accuracy": [0.0, 1.0]})
        training = training.assign(held_out_loss_nats=np.nan, held_out_accuracy=np.nan)
        surgery = self.every("surgery") or [None] * len(self.runs)
        yield plot_progress([training] * len(self.runs), self.every("circuit"), surgery, self.every("probe"), p)
        yield plot_spectrum([picture.isel(seed=0) for picture in self.every("picture")], 0.85)
        yield plot_bases(pd.concat(self.every("bases")), self.never["bases"], p)
        circuits = self.every("circuit")
        yield plot_shift_symmetry(self.every("shift_symmetry"), self.never["shift_symmetry"], circuits, SITES[-1], p)
        if "surgery" in first:
            yield plot_surgery(pd.concat(self.every("surgery")), p)
            tables = first["surgery"], first["probe"], self.never["probe"]
            yield plot_circles(first["picture"].isel(seed=0), first["re_cut"], *tables)


CASES = [
    ("addition", 2, 0.25, [silent, noise]),
    ("addition", 2, 1.0, [complete, complete]),
    ("addition", 3, 0.3, [silent, complete]),
    ("subtraction", 4, 0.5, [stubborn, complete]),
    ("polynomial", 3, 0.3, [silent, noise]),
    ("addition", 11, 1.0, [stubborn, stubborn]),
]


def texts(figure):
    """Everything that is written in a figure, once it has been drawn."""
    figure.canvas.draw()
    found = [text.get_text() for text in figure.findobj(Text)]
    plt.close(figure)
    return " ".join(found)


@pytest.mark.parametrize(("operation", "p", "fraction", "networks"), CASES)
def test_study_of_numbers_comes_to_its_end(operation, p, fraction, networks, tmp_path):
    """Whatever the networks have learned, the first or the second or neither."""
    task = ModularArithmetic(p, operation, fraction)
    makers = [partial(maker, seed=20) if maker is noise else maker for maker in networks]
    study = Study(task, [maker(task.modulus) for maker in makers], tmp_path)
    claims, tables = study.claims()
    assert "predicts near the optimum" in claims.index
    assert set(claims["verdict"]) <= {"supported", "not supported", "undecided", "not testable"}
    cells = circuit_table(tables["circuit"], tables["surgery"]).rows[0][1:]
    if task.sign is None:
        assert cells == ["", ""]
    else:
        for cell, maker in zip(cells, networks, strict=True):
            assert cell and (maker is noise or (cell == "no key frequency") == (maker is not complete))
        re_cut = select(tables["surgery"], measure="accuracy", network="surgery")["value"]
        assert len(re_cut) and re_cut.between(0, 1).all()
        if task.modulus < 2 * CIRCLES:
            assert claims.loc["holds the answer on circles", "verdict"] == "not testable"
    written = " ".join(map(texts, study.draw()))
    assert task.sign is None or ("no key frequency" in written) == (networks[0] is not complete)
