"""The whole workflow on the tiny configuration: what it makes, what it makes again, what it refuses."""

import hashlib
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from harness import ROOT, Study
from PIL import Image

from geometry.experiments import canonical, merged, resolve_experiments
from geometry.storage import open_dataset, read_table, read_tensors
from geometry.transformer import Transformer, transformer_config

FIGURES = [
    "belief_simplex.png",
    "distances.png",
    "emergence.png",
    "emergence.gif",
    "loss.png",
    "r2_by_site.png",
    "sites.png",
]
EXPERIMENTS = ["mess3", "rrxor"]


def hashes(study: Study) -> dict[str, str]:
    """The digest of every artefact; the report alone carries times."""
    results = study.folder / "results"
    files = [p for p in results.rglob("*") if p.is_file() and p.name != "report.html"]
    return {p.relative_to(results).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_every_figure_is_drawn_and_small(finished):
    paths = [finished.folder / "results/figures" / e / name for e in EXPERIMENTS for name in FIGURES]
    for path in [*paths, finished.folder / "results/figures/explainer.png"]:
        assert path.stat().st_size < 2_000_000
        pixels = np.asarray(Image.open(path).convert("L"))
        assert min(pixels.shape) > 100 and pixels.std() > 5, f"{path} is blank"
    assert Image.open(paths[3]).n_frames == 10  # four snapshots, two frames between each


def test_report_holds_claims_and_figures(finished):
    text = (finished.folder / "results/report.html").read_text()
    assert text.count("belief_simplex.png") and text.count("claims.csv") and "optimal" in text


def test_claims_have_estimate_interval_floor_and_verdict(finished):
    claims = read_table(finished.folder / "results/claims.csv")
    assert set(claims["experiment"]) == set(EXPERIMENTS) and (claims["n_seeds"] == 2).all()
    assert (claims["ci_low"] <= claims["estimate"]).all() and (claims["estimate"] <= claims["ci_high"]).all()
    assert claims["verdict"].isin(["supported", "not supported", "undecided"]).all()


def test_probe_table_has_every_control_at_every_site_and_step(finished):
    probe = read_table(finished.folder / "results/mess3/seed_1/probe.csv")
    keys = ["step", "site", "target", "weighting", "split", "metric"]
    assert not probe.duplicated(keys).any()
    levels = {key: probe[key].nunique() for key in keys[:-1]}
    assert levels == {"step": 4, "site": 5, "target": 2, "weighting": 2, "split": 2}
    assert 0 in probe["step"].values and "residual_streams" in probe["site"].values
    assert len(probe[probe["metric"].isin(["r2", "mse", "rmse"])]) == 4 * 5 * 2 * 2 * 2 * 3


def test_activations_are_labelled_and_belong_to_the_snapshots(finished):
    run = finished.folder / "results/rrxor/seed_2"
    model, snapshots = read_tensors(run / "model.safetensors"), read_tensors(run / "snapshots.safetensors")
    assert all((snapshots[name][-1] == value).all() for name, value in model.items())
    with open_dataset(run / "activations.zarr.zip") as found:
        assert found["activation"].dims == ("snapshot", "site", "prefix", "feature")
        assert found["step"].values.tolist() == snapshots["step"].tolist()
        total = np.exp(found["log_probability"].values.astype(float)).sum(axis=-1)
        assert (total < 1).all()  # the rest is the beginning-of-sequence token's
        assert found["length"].values.tolist() == sorted(found["length"].values)


@pytest.mark.parametrize(("experiment", "bos"), [("mess3", False), ("rrxor", True)])
def test_activations_are_those_of_a_forward_pass_on_one_word(finished, experiment, bos):
    config = canonical(merged(*(yaml.safe_load((ROOT / n).read_text()) for n in ("config.yaml", "tests/config.yaml"))))
    schema = yaml.safe_load((ROOT / "rules/schemas/config.schema.yaml").read_text())
    settings = resolve_experiments(config, schema)[experiment]
    assert settings["model"]["bos"] == bos
    run = finished.folder / "results" / experiment / "seed_1"
    (truth,) = (finished.folder / "results/tasks").glob(f"{experiment}_*/ground_truth.zarr.zip")
    with open_dataset(truth) as theory, open_dataset(run / "activations.zarr.zip") as found:
        n_tokens, row = theory.sizes["token"], theory.sizes["prefix"] - 2
        word, node = [], row
        while node >= 0:
            word.insert(0, int(theory["last_token"][node]))
            node = int(theory["parent"][node])
        word = [n_tokens] * bos + word
        network = Transformer(transformer_config(n_tokens, settings["task"]["context"], settings["model"]))
        network.load_state_dict({k: torch.from_numpy(v) for k, v in read_tensors(run / "model.safetensors").items()})
        n = len(word)
        chain = torch.where(torch.ones(n, n).tril().bool(), torch.arange(n), -1)
        with network.recording(list(found["site"].values)) as record:
            logits = network(torch.tensor(word), chain)
        for place, site in enumerate(found["site"].values):
            expected = record[site][-1].detach().numpy()
            np.testing.assert_allclose(found["activation"][-1, place, row].values, expected, rtol=1e-4, atol=1e-5)
        expected = logits.log_softmax(1)[-1, :n_tokens].detach().numpy()
        np.testing.assert_allclose(found["log_probability"][-1, row].values, expected, rtol=1e-4, atol=1e-5)


def test_exact_loss_agrees_with_the_training_curve(finished):
    run = finished.folder / "results/mess3/seed_1"
    loss, training = read_table(run / "loss.csv"), read_table(run / "training.csv")
    exact = loss[loss["step"] == 0]["gap_nats"].mean()
    assert training["gap_nats"].iloc[0] == pytest.approx(exact, rel=0.15)
    assert (training["gap_nats"] >= 0).all() and (loss["gap_nats"] >= 0).all()
    pd.testing.assert_series_equal(
        training["loss_nats"] - training["optimal_loss_nats"], training["gap_nats"], check_names=False
    )


def test_finished_study_has_nothing_to_do(finished):
    assert finished.planned() == {}


def test_same_study_elsewhere_on_one_core_gives_the_same_bytes(finished, tmp_path):
    again = Study(tmp_path / "a folder with spaces")
    result = again.snakemake(cores=1)
    assert result.returncode == 0, result.stderr[-5000:]
    assert hashes(again) == hashes(finished)


def test_added_experiment_is_all_that_is_built(finished):
    override = {"experiments": {"golden_mean": {"task": {"process": "golden_mean"}, "probe": {"folds": 3}}}}
    assert finished.planned(override=override) == {
        "all": 1,
        "animate_emergence": 1,
        "build_ground_truth": 1,
        "collect_claims": 1,
        "extract_activations": 2,
        "measure_distances": 1,
        "measure_loss": 2,
        "plot_belief_simplex": 1,
        "plot_distances": 1,
        "plot_emergence": 1,
        "plot_loss": 1,
        "plot_r2_by_site": 1,
        "plot_sites": 1,
        "probe_beliefs": 2,
        "sample_sequences": 2,
        "train_model": 2,
        "write_report": 1,
    }


def test_figure_setting_redraws_what_it_shows_in_and_recomputes_nothing(finished):
    after = {"plot_explainer": 1, "write_report": 1, "all": 1}
    names = ["belief_simplex", "distances", "emergence", "loss", "r2_by_site", "sites"]
    assert finished.planned(override={"figures": {"dpi": 61}}) == {f"plot_{name}": 2 for name in names} | after
    clouds = {f"plot_{name}": 2 for name in ("belief_simplex", "emergence", "sites")} | {"animate_emergence": 2}
    assert finished.planned(override={"figures": {"max_points": 400}}) == clouds | after


def test_touched_files_rerun_nothing(finished, tmp_path):
    copy = Study(tmp_path / "copy")
    shutil.copytree(finished.folder, copy.folder, dirs_exist_ok=True)
    for path in (copy.folder / "results").rglob("*"):
        os.utime(path)
    for path in [*(ROOT / "scripts").rglob("*.py"), *(ROOT / "rules").rglob("*")]:
        os.utime(path)
    assert copy.planned() == {}


def test_unknown_target_is_refused(finished):
    result = finished.snakemake("--dry-run", "results/nothing/seed_1/probe.csv")
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "Traceback" not in said
    assert "results/nothing/seed_1/probe.csv" in said


def test_published_recipe_is_planned_in_full(tmp_path):
    study = Study(tmp_path / "paper")
    result = study.snakemake("--dry-run", configs=[ROOT / "studies/paper.yaml"])
    assert result.returncode == 0, result.stderr
    base, paper, schema = (
        yaml.safe_load((ROOT / name).read_text())
        for name in ("config.yaml", "studies/paper.yaml", "rules/schemas/config.schema.yaml")
    )
    experiments = resolve_experiments(canonical(merged(base, paper)), schema)
    assert {name: e["training"]["steps"] for name, e in experiments.items()} == {
        "mess3_paper": 983_140,
        "rrxor_paper": 795_900,
    }
    for experiment in experiments.values():
        training = experiment["training"]
        assert (training["optimizer"], training["learning_rate"], training["weight_decay"]) == ("sgd", 0.01, 0)
        assert (training["schedule"], training["batch_size"], training["labels"]) == ("constant", 64, "sampled")


@pytest.mark.parametrize("experiment", ["mess3_paper", "rrxor_paper"])
def test_first_thousand_steps_of_the_published_recipe_learn(experiment, tmp_path):
    study = Study(tmp_path / "paper")
    override = {"experiments": {experiment: {"training": {"steps": 1000, "log_rows": 11}}}}
    table = f"results/{experiment}/seed_1/training.csv"
    result = study.snakemake(table, configs=[ROOT / "studies/paper.yaml"], override=override)
    assert result.returncode == 0, result.stderr[-5000:]
    training = read_table(study.folder / table)
    assert training["tokens_seen"].iloc[-1] == 1000 * 64 * 10
    assert training["gap_nats"].iloc[-1] < 0.5 * training["gap_nats"].iloc[0]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            {"experiments": {"mess3": {"training": {"learning_rat": 1}}}},
            "experiment 'mess3': unknown key 'learning_rat'",
        ),
        ({"experiments": {"mess3": {"task": {"process": "mes3"}}}}, "process is 'mes3'; allowed are mess3"),
        ({"experiments": {"a/../b": {}}}, "'a/../b'"),
        ({"seeds": [-1]}, "seeds.0 is -1; it must be at least 0"),
        (
            {
                "experiments": {
                    "m": {"task": {"process": "custom", "parameters": {"transition_tensor": [[[0.5]], [[0.4]]]}}}
                }
            },
            "experiment 'm': task.process: custom: the probabilities of leaving state 0 sum to 0.9",
        ),
    ],
)
def test_bad_configuration_stops_before_anything_is_written(override, sentence, tmp_path):
    study = Study(tmp_path / "bad")
    result = study.snakemake(override=override)
    assert result.returncode != 0
    assert [line for line in result.stderr.splitlines() if sentence in line], result.stderr
    assert "Traceback" not in result.stderr
    assert not {p.name for p in study.folder.iterdir()} - {".snakemake"}


def test_failed_job_names_its_cause_in_its_log(finished, tmp_path):
    copy = Study(tmp_path / "copy")
    shutil.copytree(finished.folder, copy.folder, dirs_exist_ok=True)
    broken = copy.folder / "results/mess3/seed_1/sequences.zarr.zip"
    broken.write_bytes(broken.read_bytes()[:100])
    (copy.folder / "results/mess3/seed_1/model.safetensors").unlink()
    result = copy.snakemake("results/mess3/seed_1/model.safetensors")
    assert result.returncode != 0
    assert "BadZipFile" in (copy.folder / "logs/train_model/mess3_seed_1.log").read_text()
