"""A third kind of task: one file of its own (copy_task.py) and one line of a registry, from its plan to its claims."""

import numpy as np
import pandas as pd
import pytest
from copy_task import CopyTask
from test_rules import rules_of_study

from configuration import resolve, study_with
from geometry.claims.by_kind import claims_from
from geometry.claims.findings import SECTIONS
from geometry.config.experiments import ConfigError
from geometry.config.job_costs import peak_memory_gb
from geometry.probing.design import coordinates_of, probe_design
from geometry.probing.scores import tables_of_features
from geometry.processes.prefix_tree import scored_positions
from geometry.tasks.ground_truth import GROUND_TRUTHS
from geometry.tasks.task import TASKS, task_name, task_of
from geometry.training.batches import FULL_BATCHES

SECTION = {"process": "copy", "parameters": {"n_symbols": 3, "lag": 2}, "context": 4}
OVERRIDE = {
    "seeds": [1],
    "only": ["copied"],
    "experiments": {"copied": {"task": SECTION, "training": {"labels": "full_distribution"}}},
    "figures": {"explainer": None},
}


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """The one line of a registry."""
    monkeypatch.setitem(TASKS, "copy", CopyTask)


def test_study_of_a_third_task_is_planned():
    study = study_with(OVERRIDE)
    assert study.kinds == {"copied": "tabulated"}
    assert list(study.tasks) == ["copy_3_2_context4"]
    assert study.ground_truth("copied") == "results/tasks/copy_3_2_context4/ground_truth.zarr.zip"
    assert study.figure_files() == ["results/figures/claims.png", "results/figures/copied/loss.png"]
    assert study.network_records("copied") == [
        *("seed_1/train_model", "seed_1/extract_activations", "seed_1/probe_beliefs", "seed_1/measure_loss"),
        *("random_init/initialize_networks", "random_init/extract_activations", "random_init/probe_beliefs"),
    ]


def test_default_parameter_of_a_third_task_is_part_of_its_name():
    other = OVERRIDE["experiments"]["copied"] | {"task": SECTION | {"parameters": {"n_symbols": 2}}}
    task = resolve(OVERRIDE, {"experiments": {"other": other}, "only": ["other"]})["other"]["task"]
    assert task["parameters"] == {"lag": 1, "n_symbols": 2}
    assert task_name(task) == "copy_2_1_context4"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ({"task": {"parameters": {"shift": 1}}}, "parameter 'shift' is unknown; allowed are n_symbols, lag"),
        ({"task": {"parameters": {"lag": 4}}}, "lag is 4; it must be less than the context"),
        ({"task": {"context": 16}}, "has 64570080 prefixes; it needs at least 3, and tree.max_prefixes allows 200000"),
        ({"training": {"labels": "sampled"}}, "'sampled'; copy needs full_distribution, every prefix that is scored"),
        ({"probe": {"control_parameters": {"lag": 1}}}, "copy needs null"),
    ],
)
def test_slip_in_a_third_task_is_refused(override, sentence):
    with pytest.raises(ConfigError, match=f"experiment 'copied': .*{sentence}"):
        resolve(OVERRIDE, {"experiments": {"copied": override}})


def test_rules_plan_the_networks_of_a_third_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rules = rules_of_study(OVERRIDE, tmp_path)
    made = {
        "results/tasks/copy_3_2_context4/ground_truth.zarr.zip": {"build_ground_truth"},
        "results/copied/seed_1/model.safetensors": {"train_model"},
        "results/copied/seed_1/probe.csv": {"probe_beliefs"},
        "results/claims/copied.csv": {"judge_claims"},
        "results/copied/seed_1/circuit.csv": set(),
        "results/copied/seed_1/recovery.csv": set(),
    }
    assert {file: {name for name, rule in rules.items() if rule.is_producer(file)} for file in made} == made


@pytest.fixture
def truth():
    return GROUND_TRUTHS["tabulated"](task_of(SECTION), 1000, 0)


def test_ground_truth_scores_the_token_of_two_steps_ago(truth):
    assert truth.sizes == {"prefix": 3 + 9 + 27 + 81, "component": 3, "token": 3, "position": 5}
    assert truth["weight"].values[:12].tolist() == [0] * 12
    row = 12 + 2 * 9 + 0 * 3 + 1  # the prefix 2 0 1
    assert truth["last_token"].values[row] == 1 and truth["length"].values[row] == 3
    assert truth["target"].values[row].tolist() == truth["next_token_probability"].values[row].tolist() == [0, 0, 1]
    row = 39 + 0 * 27 + 1 * 9 + 2 * 3 + 2  # the prefix 0 1 2 2
    assert truth["target"].values[row].tolist() == [0, 1, 0]
    assert truth["optimal_loss_nats"].values.tolist() == [0, 0, 0, 0, 0]
    assert truth.attrs["n_distinct_targets"] == 3 and truth.attrs["target_name"] == "copied_token"


def test_full_batch_weighs_what_is_scored(truth):
    for bos in (False, True):
        batch = FULL_BATCHES["tabulated"](task_of(SECTION), bos)
        assert len(batch.tokens) == 120 + bos and batch.n_positions == 27 + 81
        assert not batch.weight[: 12 + bos].any() and batch.weight[12 + bos] == pytest.approx(1 / 27 / 2)
        np.testing.assert_allclose(batch.target.sum(axis=1), batch.weight)
        assert batch.target[12 + bos + 19].tolist() == [0, 0, pytest.approx(1 / 27 / 2)]


def test_probe_finds_the_copied_token_in_features_that_have_it_alone(truth):
    settings = {"folds": 3, "repeats": 2, "seed": 0}
    design, place = probe_design(truth, SECTION, settings), scored_positions(truth)
    assert place == slice(12, None)
    assert list(design.true) == ["copied_token"] and list(design.control) == ["shuffled_copied_token"]
    assert list(design.weights) == ["probability", "uniform", "distinct_prefix"]
    target, noise = truth["target"].values[place], np.random.default_rng(0).normal(size=(108, 3))
    features = {"holds": target @ [[1, 2], [3, 4], [5, 7.0]], "noise": noise}
    table = pd.concat(tables_of_features(design, features, "x", {}))
    held = table.query("metric == 'r2' and split == 'held_out_prefix' and estimator == 'ridge' and index.isna()")
    held = held.query("weighting == 'probability'").groupby(["features", "target"])["value"].mean()
    assert held["holds", "copied_token"] > 0.99
    assert held["noise", "copied_token"] < 0.2
    assert coordinates_of(SECTION).tolist() == np.eye(3).tolist()


def test_job_costs_of_a_third_task_are_estimated():
    assert 0.1 < peak_memory_gb(resolve(OVERRIDE)["copied"], 1000) < 2


def test_claim_of_a_third_task_is_that_of_its_loss():
    loss = pd.DataFrame({"seed": 1, "step": [0, 0, 9, 9], "gap_nats": [1.0, 3.0, 0.1, 0.3]})
    (claim,) = claims_from({"loss": loss}, "tabulated", {})
    assert claim.name == "predicts near the optimum" and claim.kind == "no less"
    assert claim.estimate.to_dict() == {1: pytest.approx(0.9)}
    assert list(SECTIONS["tabulated"]({})) == []
