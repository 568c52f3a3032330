"""Hidden Markov models where there is nothing to predict, or nothing to tell apart: results, without a warning."""

import logging

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from run_datasets import activations_dataset, snapshots

from configuration import ANALYSIS, SYMMETRY_LIMITS
from find_symmetries import find_symmetries
from geometry.claims.belief_claims import claims_of
from geometry.claims.evidence import Evidence
from geometry.probing.design import markov_design
from geometry.processes.catalog import process_from_config
from geometry.processes.prefix_tree import tree_of
from geometry.recovery.next_token_model import NextTokenModel
from geometry.recovery.recovery_scores import RecoveryScorer, read_recovered
from geometry.recovery.sources import EXACT, is_identifiable
from geometry.recovery.spectral_learning import Spectrum
from geometry.storage import open_dataset
from geometry.tables import select
from geometry.tasks.ground_truth import markov_ground_truth
from measure_convergence import errors_at_longest, measure_convergence
from measure_dimension import BeliefSet, dimension_table, read_true
from measure_distances import compare_distances
from measure_loss import loss_table
from measure_process import convergence_table, recovery_table, symmetry_table
from measure_process import dimension_table as true_table
from plot_convergence import plot_convergence
from plot_dimension import plot_dimension
from plot_distances import plot_distances
from plot_loss import plot_loss
from plot_recovery import plot_recovery
from plot_symmetry import plot_symmetry
from probe_beliefs import Probe, probe_run
from recover_process import as_dataset, recover
from score_baselines import score_baselines
from score_recovery import fractal_dataset
from score_recovery import recovery_table as network_table

pytestmark = pytest.mark.filterwarnings("error")

SITES = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post"]
TURN = np.roll(np.eye(3), 1, axis=1)
START = {"initial_state": [1, 0, 0]}
PROCESSES = {
    "one token": ({"transition_tensor": [TURN.tolist()], **START}, 4),
    "three in turn": ({"transition_tensor": [np.diag(row).dot(TURN).tolist() for row in np.eye(3)], **START}, 6),
    "one for ever": (
        {"transition_tensor": [[[0, 1, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 1], [0, 0, 1]]], **START},
        4,
    ),
    "blind": (
        {"transition_tensor": [[[0.27, 0.03], [0.06, 0.24]], [[0.63, 0.07], [0.14, 0.56]]], "initial_state": [1, 0]},
        4,
    ),
    "a token that never is": (
        {"transition_tensor": [[[0.5, 0.2], [0.1, 0.3]], [[0.1, 0.2], [0.4, 0.2]], [[0, 0], [0, 0]]]},
        3,
    ),
}


class Study:
    """All tables of a perfect network: its layer outputs hold the belief, its outputs the optimum."""

    def __init__(self, parameters, context, folder):
        self.process = process_from_config("custom", parameters)
        self.truth = truth = markov_ground_truth(self.process, context, 10**4, seed=0)
        n, V = truth.sizes["prefix"], self.process.n_tokens
        optimum, rng = truth["next_token_probability"].values, np.random.default_rng(0)
        layer_outputs = np.concatenate([truth["target"].values, np.zeros((n, 3))], axis=1)
        values = np.stack([np.zeros((2, *layer_outputs.shape)), [rng.normal(size=layer_outputs.shape), layer_outputs]])
        said = np.log(np.stack([np.full((n, V), 1 / V), np.maximum(optimum, 1e-12)]))
        self.activations = activations_dataset(values.astype(np.float32), said, SITES, steps=[0, 7])
        design = markov_design(truth, self.process, None, {"folds": 5, "repeats": 2, "seed": 0})
        path = folder / "decoded.zarr.zip"
        probe = Probe(truth, design, {}, SITES)
        self.probe = probe_run(truth, self.activations, probe, logging.getLogger("test"), path)
        self.baselines, _ = score_baselines(truth, design, np.eye(truth.sizes["token"]))
        with open_dataset(path) as decoded:
            self.decoded = decoded.load()
        self.loss = loss_table(truth, self.activations)
        self.symmetry = find_symmetries(truth, self.activations, [0, 1], 2, SYMMETRY_LIMITS)
        observers = convergence_table(truth, self.process, 0)
        own = measure_convergence(truth, self.decoded, errors_at_longest(observers))
        self.convergence = pd.concat([observers, own])
        self.distances = compare_distances(truth, self.decoded, 100, 0)
        self.recovery, self.fractal = self.recovered()
        self.process_recovery = recovery_table(truth, self.process, 0.01, 0)
        self.process_symmetry = symmetry_table(truth)

    def recovered(self):
        tree, rng, found = tree_of(self.truth), np.random.default_rng(0), []
        for index in range(2):
            model = NextTokenModel(tree, np.exp(self.activations["log_probability"][index].values))
            n_ahead, of_sources = recover(model, self.activations["activation"][index], SITES, 0.01, rng)
            found.append(as_dataset(of_sources, self.process.n_tokens).assign(n_ahead=n_ahead))
        sources = {"source": [*SITES, "concatenated", "output"]}
        generator = xr.concat(found, "snapshot").assign_coords(snapshots(0, 7) | sources).assign_attrs(faintest=0.01)
        scorer = RecoveryScorer(self.process, tree, rng)
        last = read_recovered(generator.isel(snapshot=-1, source=1))
        fractal = fractal_dataset(last, scorer, rng).assign_attrs(site=SITES[1])
        return network_table(generator, scorer, None), fractal

    def claims(self):
        never, recovery, symmetry = (
            select(t, step=0).assign(seed=9) for t in (self.probe, self.recovery, self.symmetry)
        )
        names = ["site", "metric", "partner", "tokens_later", "intervention", "dose", "seed", "value"]
        steering = pd.DataFrame(columns=names)
        recoveries = self.recovery, self.process_recovery, recovery
        symmetries = self.symmetry, self.process_symmetry, symmetry
        unmeasured = pd.DataFrame(columns=["experiment"])
        tables = never, self.loss, steering, *recoveries, *symmetries, *[unmeasured] * 4
        return list(claims_of(Evidence(self.probe, self.baselines.assign(seed=None), *tables, ANALYSIS)))

    def draw(self):
        training = pd.DataFrame({"step": [0, 7], "gap_nats": [0.0, 0.0]})
        yield plot_loss([training], self.loss)
        never = select(self.symmetry, step=0).assign(seed=9)
        yield plot_symmetry([self.symmetry], never, SITES[1], ANALYSIS["symmetry"])
        yield plot_convergence([self.convergence])
        yield plot_distances(self.distances, SITES)
        never = select(self.recovery, step=0).assign(seed=9)
        yield plot_recovery(self.truth, self.fractal, self.recovery, self.process_recovery, never, 500)


@pytest.mark.parametrize(("parameters", "context"), PROCESSES.values(), ids=PROCESSES)
def test_study_comes_to_its_end(parameters, context, tmp_path):
    study = Study(parameters, context, tmp_path)
    claims = {claim.name: claim for claim in study.claims()}
    assert {"predicts near the optimum", "linear, beyond token baselines"} <= claims.keys()
    assert select(study.recovery, measure="rank")["value"].between(1, 3).all()
    if study.process.n_tokens == 1:
        assert not study.loss["loss_nats"].any() and not claims["its process can be recovered from it"].testable
    for figure in study.draw():
        figure.canvas.draw()
        plt.close(figure)


def test_a_single_future_has_one_dimension_and_no_gap():
    one = Spectrum(np.ones(1), np.ones((1, 1)), 0.01)
    assert one.rank == 1 and np.isnan(one.gap)
    assert Spectrum(np.array([1, 0.5, 0.001]), np.eye(3), 0.01).gap == pytest.approx(500)


@pytest.mark.parametrize(("guess", "exact", "told"), [(1e-16, 0.0, False), (0.5, 0.0, True), (0.5, 0.4, False)])
def test_process_is_told_only_where_there_is_more_to_predict_than_token_frequencies(guess, exact, told):
    rows = [("unigram", "kl_rate_nats", guess), (EXACT, "kl_rate_nats", exact)]
    assert is_identifiable(pd.DataFrame(rows, columns=["source", "measure", "value"]), 0.01) == told


def test_set_of_one_belief_has_neither_a_scale_nor_a_dimension():
    process = process_from_config("custom", PROCESSES["blind"][0])
    same = np.tile([0.7, 0.3], (5, 1))
    weight, moved = np.full(5, 20.0), same + 0.1 * np.eye(5)[:, :2]
    of_process = true_table(same, weight, process, 0)
    own = dimension_table(iter([BeliefSet("decoded", 1, 3, "trained", moved, None)]), read_true(of_process), weight, 0)
    table = pd.concat([of_process, own])
    assert select(table, measure="rms_distance")["value"].item() < 1e-9
    assert select(table, measure="kaplan_yorke")["value"].item() == 0
    assert set(table["set"]) == {"true"} and not table["measure"].str.contains("integral|count|dimension").any()
    loss = pd.DataFrame({"seed": [1], "step": [3], "gap_nats": [0.1]})
    figure = plot_dimension([table], loss)
    figure.canvas.draw()
    assert "all beliefs are equal" in figure.axes[0].texts[0].get_text()
    plt.close(figure)
