"""The second task end to end, tiny: modular arithmetic, its circuit, and a network re-cut for another modulus."""

import shutil

import numpy as np
import pytest
import torch
from harness import Study
from PIL import Image

from geometry.networks.one_layer import folded_logits
from geometry.storage import open_dataset, read_tensors
from geometry.tables import read_table
from research_object import problems

ADDITION = """
seeds: [1]
only: [sums]
figures: {dpi: 60}
analysis: {surgery: {largest_modulus: 9, large_moduli: [20], sampled_pairs: 50}}
experiments:
  sums:
    task: {process: modular_arithmetic, parameters: {modulus: 11, train_fraction: 0.7}, context: 3}
    model: {n_layers: 1, n_heads: 2, d_model: 24, d_head: 8, d_mlp: 32, normalization: none, biases: mlp}
    training: {labels: full_distribution, learning_rate: 0.02, weight_decay: 0.5, steps: 200, snapshots: 4}
    probe: {folds: 3, random_networks: 2, snapshots: 3, sites: [blocks.0.hook_resid_mid, blocks.0.hook_resid_post]}
"""
RECUT = """
only: [sums_of_7]
experiments:
  sums_of_7:
    task: {process: modular_arithmetic, parameters: {modulus: 7, train_fraction: 1}, context: 3}
    model: {checkpoint: recut.safetensors, format: transformer_lens, normalization: none}
    probe: {folds: 3, random_networks: 2}
"""
PRODUCTS = """
seeds: [1]
only: [products]
figures: {explainer: null}
experiments:
  products:
    task: {process: modular_arithmetic, parameters: {modulus: 11, operation: multiplication}, context: 3}
    model: {n_layers: 1, n_heads: 2, d_model: 24, d_head: 8, d_mlp: 32, normalization: none, biases: mlp}
    training: {labels: full_distribution, learning_rate: 0.02, weight_decay: 0.5, steps: 50, snapshots: 2}
    probe: {folds: 3, random_networks: 1}
"""
NANDA = """
seeds: [1]
only: [published]
analysis: {surgery: {largest_modulus: 9, large_moduli: [20], sampled_pairs: 50}}
experiments:
  published:
    task: {process: modular_arithmetic, parameters: {modulus: 11, train_fraction: 0.7}, context: 3}
    model: {checkpoint: final.pth, format: progress_measures, normalization: none}
    probe: {folds: 3, random_networks: 2}
"""


def study_of(folder, config):
    path = folder / "modular.yaml"
    path.write_text(config, encoding="utf-8")
    return Study(folder / "study"), {"configs": [path]}


@pytest.fixture(scope="session")
def sums(made_once):
    """The study of sums modulo 11, run to its end."""

    def run(folder):
        study, how = study_of(folder, ADDITION)
        study.run(**how)

    folder = made_once("modular", run)
    return Study(folder / "study"), {"configs": [folder / "modular.yaml"]}


def test_task_without_surgery_has_claims_and_findings(tmp_path):
    study, how = study_of(tmp_path, PRODUCTS)
    study.run("results/findings.md", **how)
    assert "Fourier-sparse in the logarithm" in set(read_table(study.folder / "results/claims.csv")["claim"])
    assert "seed 1" in (study.folder / "results/findings.md").read_text(encoding="utf-8")


def test_every_figure_and_claim_of_the_circuit_is_there_and_nothing_runs_again(sums):
    study, how = sums
    results = study.folder / "results"
    names = {"progress.png", "spectrum.png", "circles.png", "bases.png", "surgery.png", "shift_symmetry.png"}
    assert {path.name for path in (results / "figures/sums").iterdir()} == names
    for name in names:
        pixels = np.asarray(Image.open(results / "figures/sums" / name).convert("L"))
        assert min(pixels.shape) > 100 and pixels.std() > 5, f"{name} is blank"
    claims = set(read_table(results / "claims.csv")["claim"])
    assert {"frequencies causal", "surgery transfers to other moduli", "holds the answer on circles"} <= claims
    assert {"has the symmetry of its task", "its frequencies are the angles of that symmetry"} <= claims
    assert "### circuit" in (results / "findings.md").read_text(encoding="utf-8")
    assert problems(results) == []
    assert "Sound: " in study.run("audit", **how) and study.planned(**how) == {}


def test_activations_and_losses_are_of_the_asked_prefixes(sums):
    results = sums[0].folder / "results/sums"
    model = {k: torch.from_numpy(array) for k, array in read_tensors(results / "seed_1/model.safetensors").items()}
    first, second = np.divmod(np.arange(121), 11)
    logits = folded_logits(model, torch.from_numpy(first), torch.from_numpy(second), 11)
    with open_dataset(results / "seed_1/activations.zarr.zip") as found:
        assert found.sizes["prefix"] == 121 and found.sizes["snapshot"] == 3
        said = torch.from_numpy(found["log_probability"][-1].values)
        torch.testing.assert_close(said, logits.log_softmax(1), rtol=1e-3, atol=1e-4)
    loss = -logits.log_softmax(1)[torch.arange(121), torch.from_numpy((first + second) % 11)].mean()
    table, training = read_table(results / "seed_1/loss.csv"), read_table(results / "seed_1/training.csv")
    assert table["position"].unique().tolist() == [3]
    assert table["loss_nats"].iloc[-1] == pytest.approx(float(loss), rel=1e-3)
    assert training["loss_nats"].iloc[-1] == pytest.approx(float(loss), rel=1e-3)
    assert read_tensors(results / "seed_1/model.safetensors")["unembed.b_U"].any() == np.False_  # biases: mlp


def test_recut_network_is_an_ordinary_checkpoint(sums, tmp_path):
    study, how = sums
    recut = "results/sums/seed_1/modulus_7.safetensors"
    study.run(recut, **how)
    expected = {name: torch.from_numpy(array) for name, array in read_tensors(study.folder / recut).items()}
    foreign, settings = study_of(tmp_path, RECUT)
    shutil.copyfile(study.folder / recut, foreign.folder / "recut.safetensors")
    assert foreign.planned(**settings)["plot_circles"] == 1
    activations = "results/sums_of_7/pretrained/activations.zarr.zip"
    foreign.run(activations, **settings)
    first, second = np.divmod(np.arange(49), 7)
    logits = folded_logits(expected, torch.from_numpy(first), torch.from_numpy(second), 7)
    with open_dataset(foreign.folder / activations) as found:
        said = torch.from_numpy(found["log_probability"][-1].values)
        torch.testing.assert_close(said, logits.log_softmax(1), rtol=1e-3, atol=1e-3)


def as_nanda(own):
    """Weights of this project by the names and shapes of the code of Nanda et al. 2023, without an output for '='."""
    of_block = {name.removeprefix("blocks.0."): values for name, values in own.items()}
    found = {"embed.W_E": own["embed.W_E"].T, "pos_embed.W_pos": own["pos_embed.W_pos"]}
    found |= {f"blocks.0.attn.W_{letter}": of_block[f"attn.W_{letter}"].swapaxes(1, 2) for letter in "QKV"}
    width = own["embed.W_E"].shape[1]
    found |= {"blocks.0.attn.W_O": of_block["attn.W_O"].reshape(-1, width).T, "blocks.0.attn.mask": np.tri(3)}
    found |= {f"blocks.0.mlp.{name}": of_block[f"mlp.{name}"].T for name in ("W_in", "b_in", "W_out", "b_out")}
    found["unembed.W_U"] = own["unembed.W_U"][:, :-1]
    return {name: torch.from_numpy(np.ascontiguousarray(values)).float() for name, values in found.items()}


def test_surgery_on_a_network_in_the_layout_of_nanda_is_that_on_the_network_itself(sums, tmp_path):
    results = sums[0].folder / "results/sums/seed_1"
    study, how = study_of(tmp_path, NANDA)
    weights = as_nanda(read_tensors(results / "model.safetensors"))
    torch.save({"model": weights, "train_loss": 0.1, "epoch": 200}, study.folder / "final.pth")
    surgery, recut = ("results/published/pretrained/" + name for name in ("surgery.csv", "modulus_7.safetensors"))
    study.run(surgery, recut, **how)
    found, expected = (read_table(path) for path in (study.folder / surgery, results / "surgery.csv"))
    rows = [table[(table["network"] == "surgery") & (table["measure"] == "accuracy")] for table in (found, expected)]
    last = [table[table["step"] == table["step"].max()] for table in rows]
    accuracies = [table.set_index(["modulus", "n_pairs"])["value"] for table in last]
    assert len(accuracies[0]) == 9 and accuracies[0].equals(accuracies[1])
    assert len(read_tensors(study.folder / recut)["embed.W_E"]) == 8
