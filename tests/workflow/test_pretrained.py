"""A study of a network from elsewhere, end to end; and a bad one, which stops before anything is written."""

import os
import shutil
import time

import numpy as np
import pytest
from harness import ROOT, Study
from safetensors.numpy import load_file

from geometry.provenance.audit import broken_links
from geometry.provenance.records import makers, read_record, record_paths
from geometry.storage import open_dataset, read_tensors
from geometry.tables import read_table
from research_object import problems

DATA = ROOT / "tests/data"
MINE = """
experiments:
  mine:
    task: {process: mess3, parameters: {x: 0.05, alpha: 0.85}, context: 5}
    model: {checkpoint: network.safetensors, format: transformer_lens, activation: gelu_new, normalization: none}
only: [mine]
figures: {dpi: 60, max_points: 500}
"""


def study_of(folder, config=MINE, network="bare.safetensors", names=("network.safetensors",)):
    """A study with the files of its networks in its working directory, dated tomorrow, and how to call it."""
    study = Study(folder / "study")
    path = folder / "mine.yaml"
    path.write_text(config, encoding="utf-8")
    for name in names:
        shutil.copyfile(DATA / network, study.folder / name)
        os.utime(study.folder / name, (time.time() + 86_400,) * 2)
    return study, {"configs": [path]}


@pytest.fixture(scope="session")
def finished_foreign(made_once):
    """A study of one network, run to its end from a configuration of under ten lines."""

    def run(folder):
        study, how = study_of(folder)
        study.run(**how)

    folder = made_once("foreign", run)
    return Study(folder / "study"), {"configs": [folder / "mine.yaml"]}


def test_it_has_claims_and_figures_but_none_over_training(finished_foreign):
    results = finished_foreign[0].folder / "results"
    drawn = {path.name for path in (results / "figures/mine").iterdir()}
    names = ["belief_simplex", "sites", "r2_by_site", "controls", "components", "distances", "steering"]
    names += ["recovery", "symmetry", "convergence", "process"]
    assert drawn == {f"{name}.png" for name in names}
    claims = read_table(results / "claims.csv")
    assert set(claims["experiment"]) == {"mine"} and (claims["n_seeds"] == 1).all()
    assert (results / "report.html").read_text(encoding="utf-8").count("belief_simplex.png")
    assert problems(results) == []


def test_that_it_predicts_worse_than_chance_stands_beside_every_claim(finished_foreign):
    folder = finished_foreign[0].folder
    (caution,) = set(read_table(folder / "results/claims.csv")["caution"])
    assert caution.startswith("seed 0: positions 1 to 5 predict worse than uniform (")
    for job in ("import_model", "measure_loss"):
        assert f"CAUTION: {caution}" in (folder / f"logs/{job}/mine_pretrained.log").read_text(encoding="utf-8")
    for name in ("findings.md", "findings.html"):
        text = (folder / "results" / name).read_text(encoding="utf-8")
        assert f"Caution: {caution}" in text and " (caution)" in text


def test_its_activations_are_those_of_transformer_lens(finished_foreign):
    results = finished_foreign[0].folder / "results"
    expected = load_file(DATA / "bare.answers.safetensors")
    (truth,) = results.glob("tasks/mess3_*/ground_truth.zarr.zip")
    with open_dataset(truth) as theory, open_dataset(results / "mine/pretrained/activations.zarr.zip") as found:
        parents, tokens, node = theory["parent"].values.tolist(), theory["last_token"].values.tolist(), -1
        for position, token in enumerate(expected["words"][0, :5].tolist()):
            node = next(n for n, parent in enumerate(parents) if parent == node and tokens[n] == token)
            for place, site in enumerate(found["site"].values):
                values = found["activation"][1, place, node].values
                np.testing.assert_allclose(values, expected[site][0, position], rtol=0, atol=1e-5)


def test_audit_passes_until_the_file_changes_which_is_then_imported_again(finished_foreign, tmp_path, monkeypatch):
    study, how = finished_foreign
    study = study.copy(tmp_path / "study")
    assert "Sound: " in study.run("audit", **how) and study.planned(**how) == {}
    network, model = study.folder / "network.safetensors", "results/mine/pretrained/model.safetensors"
    embedding = load_file(network)["embed.W_E"]
    network.write_bytes(network.read_bytes().replace(embedding.tobytes(), embedding[::-1].tobytes()))
    os.utime(network, (0, 0))  # content decides, not the date
    assert {"import_model": 1, "probe_beliefs": 1}.items() <= study.planned(**how).items()
    monkeypatch.chdir(study.folder)
    records = [read_record(path) for path in record_paths()]
    (sentence,) = broken_links(records, makers(records), {model})
    assert sentence.startswith(f"{model}: made from another network.safetensors than is there. Make it again:")
    network.unlink()
    (sentence,) = broken_links(records, makers(records), {model})
    assert sentence == f"{model}: made from network.safetensors, which is gone. Put it back"


def test_networks_of_several_seeds_stand_beside_trained_ones(tmp_path):
    config = "seeds: [1, 2]" + MINE.replace("network.safetensors", "'{seed}.pt'").replace("[mine]", "[mine, z1r]")
    study, how = study_of(tmp_path, config, "bare.pt", ["1.pt", "2.pt"])
    planned = study.planned(**how)
    assert planned["import_model"] == 2 and planned["train_model"] == 2 and planned["plot_loss"] == 1
    study.run("results/mine/seed_2/model.safetensors", **how)
    expected = load_file(DATA / "bare.safetensors")
    found = read_tensors(study.folder / "results/mine/seed_2/model.safetensors")
    assert (found["unembed.W_U"] == expected["unembed.W_U"]).all() and len(found["pos_embed.W_pos"]) == 5


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("context: 5", "context: 9", "'network.safetensors': n_ctx is 8; task.context is 9 and must be at most 8"),
        ("network.safetensors", "absent.pt", "'absent.pt': there is no such file in "),
    ],
)
def test_bad_checkpoint_stops_before_anything_is_written(old, new, sentence, tmp_path):
    study, how = study_of(tmp_path, MINE.replace(old, new))
    assert any("experiment 'mine': model.checkpoint" in line and sentence in line for line in study.refusal(**how))
