"""Studies of activations that were saved elsewhere: in place of a network, with as much or as little as there is."""

import numpy as np
import pandas as pd
import pytest
from harness import SMALLEST, Study

from geometry.provenance.audit import broken_links
from geometry.provenance.records import makers, read_record, record_paths
from geometry.tables import read_table, select
from recordings import exported, save

OWN = """
experiments:
  own:
    task: {process: mess3, parameters: {x: 0.05, alpha: 0.85}}
    model: {activations: own.zarr}
    probe: {control_parameters: {x: 0.15, alpha: 0.6}}
only: [own]
figures: {dpi: 60, max_points: 500, explainer: null}
"""
CONTROL = "    probe: {control_parameters: {x: 0.15, alpha: 0.6}}\n"
END = "alpha: 0.85}}"  # of the task
BARE = OWN.replace("own.zarr", "bare.npz").replace(END, "alpha: 0.85}, first_position: 2}")


def study_of(folder, config, arrays, name):
    """A study with a file of activations in its working directory, and how to call it."""
    study, path = Study(folder / "study"), folder / "own.yaml"
    path.write_text(config, encoding="utf-8")
    save(arrays, study.folder / name)
    return study, {"configs": [SMALLEST, path]}


@pytest.fixture(scope="session")
def arrays(smallest):
    (truth,) = smallest.folder.glob("results/tasks/mess3_*/ground_truth.zarr.zip")
    return exported(truth, smallest.folder / "results/mess3/seed_1/activations.zarr.zip")


@pytest.fixture(scope="session")
def bare(arrays, made_once):
    """A study of some sequences in any order, without predictions and a random network, from position 2 on."""

    def run(folder):
        kept = np.random.default_rng(0).permutation(81)[:60]
        sites = {name: values[kept] for name, values in arrays.items() if "/" not in name and name != "log_probability"}
        study, how = study_of(folder, BARE, sites, "bare.npz")
        study.run("results/findings.md", "results/figures/own/r2_by_site.png", "results/figures/own/sites.png", **how)

    folder = made_once("bare", run)
    return Study(folder / "study"), {"configs": [SMALLEST, folder / "own.yaml"]}


def test_exported_activations_give_the_probe_rows_of_their_network(smallest, arrays, tmp_path):
    study, how = study_of(tmp_path, OWN, arrays, "own.zarr")
    study.run("results/own/pretrained/probe.csv", **how)
    own, expected = (
        read_table(folder / name / "probe.csv")
        for folder, name in ((study.folder, "results/own/pretrained"), (smallest.folder, "results/mess3/seed_1"))
    )
    for end, origin in ((0, "random_init"), (expected["step"].max(), "pretrained")):
        values = [
            rows.drop(columns=["experiment", "seed", "step", "origin"]).reset_index(drop=True)
            for rows in (select(own, origin=origin), select(expected, step=end))
        ]
        assert len(values[0]) > 100
        pd.testing.assert_frame_equal(*values, rtol=0, atol=1e-12)


def test_what_a_recording_lacks_makes_its_claims_not_testable(bare):
    folder = bare[0].folder / "results"
    claims = read_table(folder / "claims/own.csv").set_index("claim")
    untestable = claims[claims["verdict"] == "not testable"]["baseline_name"].to_dict()
    assert untestable == {
        "predicts near the optimum": "no predictions",
        "emerges with training": "no random network",
        "not an artefact of the probe": "no random network",
        "beyond next-token prediction": "no random network, no predictions",
        "shows the dimension of its process": "no predictions",
        "its process can be recovered from it": "no predictions",
        "has the symmetry of its process": "no predictions",
        "causal": "no network to write into",
    }
    assert {"linear, beyond token baselines", "exceeds the 3-gram baseline"} <= set(claims.index)
    text = (folder / "findings.md").read_text(encoding="utf-8")
    assert "| emerges with training | not testable: no random network |" in text


def test_random_network_without_predictions_is_compared_by_its_activations_alone(arrays, tmp_path):
    sites = {name: values for name, values in arrays.items() if name != "random_init/log_probability"}
    study, how = study_of(tmp_path, OWN, sites, "own.zarr")
    study.run("results/claims/own.csv", **how)
    claims = read_table(study.folder / "results/claims/own.csv").set_index("claim")
    lacking = claims[claims["baseline"].isna()]
    assert set(lacking["verdict"]) == {"not testable"} and lacking["baseline_name"].to_dict() == {
        "predicts near the optimum": "no predictions of the random network",
        "shows the dimension of its process": "no predictions of the random network",
        "its process can be recovered from it": "no predictions of the random network",
        "has the symmetry of its process": "no predictions of the random network",
        "causal": "no network to write into",
    }
    loss = read_table(study.folder / "results/own/pretrained/loss.csv")
    assert set(loss["origin"]) == {"pretrained"} and loss["loss_nats"].notna().all()


def test_sequences_and_blocks_of_positions_are_held_out_from_the_first_scored_position_on(bare):
    probe = read_table(bare[0].folder / "results/own/pretrained/probe.csv")
    r2 = select(probe, target="belief_state", metric="r2", estimator="ridge", weighting="probability")
    last = select(r2, site="blocks.1.hook_resid_post").set_index("split")["value"]
    assert {"held_out_sequence", "held_out_block", "held_out_subtree", "held_out_prefix"} <= set(last.index)
    lengths = select(probe, metric="r2_by_length", target="belief_state", site="blocks.1.hook_resid_post")
    assert lengths.loc[lengths["index"] == 1, "value"].isna().all() and lengths["value"].notna().any()


def test_only_figures_of_what_is_there_are_planned(bare):
    study, how = bare
    planned = study.planned("--forceall", **how)
    assert {"import_activations": 1, "probe_beliefs": 1, "plot_belief_simplex": 1}.items() <= planned.items()
    left_out = {"measure_loss", "recover_process", "steer_network", "plot_components", "plot_recovery", "train_model"}
    assert not left_out & planned.keys()


def test_file_that_changes_is_imported_again_and_its_audit_names_it(bare, tmp_path, monkeypatch):
    study, how = bare[0].copy(tmp_path / "study"), bare[1]
    assert study.planned("results/findings.md", **how) == {}
    with np.load(study.folder / "bare.npz") as found:
        save(dict(found) | {"blocks.1.hook_resid_post": found["blocks.0.hook_resid_post"]}, study.folder / "bare.npz")
    planned = study.planned("results/findings.md", **how)
    assert {"import_activations": 1, "build_ground_truth": 1}.items() <= planned.items()
    monkeypatch.chdir(study.folder)
    records, name = [read_record(path) for path in record_paths()], "results/own/pretrained/activations.zarr.zip"
    sentences = list(broken_links(records, makers(records), {name}))
    assert any(one.startswith(f"{name}: made from another bare.npz than is there.") for one in sentences)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("own.zarr", "absent.npz", "model.activations 'absent.npz': there is no such file or folder ("),
        ("own.zarr}", "own.zarr, n_layers: 3}", "model.n_layers is 3, but of model.activations no network is known"),
        (END, "alpha: 0.85}, context: 9}", "task.context is 9; it must be at most 4: 'own.zarr' has 4 positions"),
        ("process: mess3, parameters: {x: 0.05, alpha: 0.85}", "process: rrxor", "is of 3 tokens; the task has 2"),
        (END, "alpha: 0.85}, first_position: 5}", "task.first_position is 5; it must be at most 4, the last"),
    ],
)
def test_bad_recording_stops_before_anything_is_written(old, new, sentence, arrays, tmp_path):
    config = OWN.replace(old, new)
    if "rrxor" in new:
        config = config.replace(CONTROL, "")
    study, how = study_of(tmp_path, config, arrays, "own.zarr")
    assert any("experiment 'own': " in line and sentence in line for line in study.refusal(**how))


def test_impossible_sequence_stops_the_first_job_with_its_place(arrays, tmp_path):
    config = OWN.replace("mess3, parameters: {x: 0.05, alpha: 0.85}", "custom, parameters: {transition_tensor: TENSOR}")
    tensor = "[[[0.5, 0], [1, 0]], [[0, 0.5], [0, 0]]]"  # golden mean: no two tokens 1 in a row
    config = config.replace("TENSOR", tensor).replace(CONTROL, "")
    sites = {"tokens": arrays["tokens"] % 2, "mlp": arrays["blocks.0.hook_resid_post"]}
    study, how = study_of(tmp_path, config, sites, "own.zarr")
    result = study.snakemake("results/own/pretrained/activations.zarr.zip", **how)
    assert result.returncode != 0
    assert "it cannot emit token 1 in sequence 36 at position 1, after the tokens before it" in result.stderr
