"""A study of a language model of toy size, end to end; and what stops before anything is written."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import yaml
from harness import Study

from geometry.networks.recording import Recording
from geometry.tables import read_table, select

STUDY = {
    "seeds": [1, 2],
    "experiments": {
        "words": {
            "task": {"process": "z1r", "context": 12, "first_position": 4},
            "model": {"checkpoint": "toy", "format": "huggingface", "token_ids": [7, 3], "sequences": 30},
            "probe": {"sites": ["layers.0", "layers.2"], "folds": 3, "random_networks": 2},
        }
    },
    "only": ["words"],
    "figures": {"dpi": 60, "explainer": None},
}


def study_of(folder, **model):
    """A study of a model in the folder `toy` of its working directory, and how to call it."""
    study, settings = Study(folder / "study"), json.loads(json.dumps(STUDY))
    own = settings["experiments"]["words"]
    own["model"] = {key: value for key, value in (own["model"] | model).items() if value is not None}
    (folder / "words.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return study, {"configs": [folder / "words.yaml"]}


def test_toy_model_is_recorded_as_a_direct_call_gives_and_judged(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the packages of envs/language.txt (make language)")
    study, how = study_of(tmp_path)
    sizes = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    network = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, vocab_size=20)).eval()
    network.save_pretrained(study.folder / "toy")
    study.run(**how)
    recordings = [Recording(study.folder / f"results/words/seed_{seed}/recording.zarr.zip") for seed in (1, 2)]
    recording = recordings[0]
    assert recording.sites == ["layers.0", "layers.2"] and recording.has_random_network
    words = recording.tokens(2)
    with torch.no_grad():
        expected = network(torch.tensor([7, 3])[torch.from_numpy(words)], output_hidden_states=True)
    for site in recording.sites:
        states = expected.hidden_states[int(site[-1])]
        np.testing.assert_allclose(recording.rows(site, 0, 30), states, rtol=0, atol=1e-5)
    predicted = expected.logits[..., [7, 3]].log_softmax(-1)
    np.testing.assert_allclose(recording.rows("log_probability", 0, 30), predicted, rtol=0, atol=1e-5)
    assert (words != recordings[1].tokens(2)).any()  # each seed reads other words beside another random network
    random = [one.rows("random_init/layers.0", 0, 30) for one in recordings]
    assert np.unique(random[0].reshape(-1, 8), axis=0).shape == (2, 8) and random[0].std() != random[1].std()
    claims = read_table(study.folder / "results/claims.csv")
    assert set(claims["experiment"]) == {"words"} and "predict worse than" in claims["caution"].iloc[0]
    assert set(claims["unit"]) == {"sample of words"} and set(claims["n_seeds"]) == {2}
    assert "2 samples of words, one network" in (study.folder / "results/findings.md").read_text(encoding="utf-8")
    probe = select(read_table(study.folder / "results/words/seed_2/probe.csv"), features="activations", metric="r2")
    splits = {origin: set(rows["split"]) for origin, rows in probe.groupby("origin")}
    assert splits["random_init"] == splits["pretrained"] >= {"held_out_subtree", "held_out_sequence"}
    assert "Sound: " in study.run("audit", **how) and study.planned(**how) == {}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({}, "model.checkpoint 'toy': it is no folder"),
        ({"sequences": None}, "model.sequences is missing, the number of sequences that the model reads"),
        ({"tokens": [" A", " B"]}, "model needs either tokens, texts of one token each, or token_ids, their numbers"),
        ({"d_model": 8}, "model.d_model is 8; the model's own folder tells of its network"),
        ({"format": "transformer_lens"}, "model.sequences is set, which only the format huggingface has; remove it"),
    ],
)
def test_bad_language_model_stops_before_anything_is_written(model, sentence, tmp_path):
    study, how = study_of(tmp_path, **model)
    assert any(f"experiment 'words': {sentence}" in line for line in study.refusal(**how))


@pytest.mark.skipif(find_spec("transformers") is not None, reason="the packages of envs/language.txt are installed")
def test_packages_that_are_missing_are_told_before_any_job_runs(tmp_path):
    study, how = study_of(tmp_path)
    (study.folder / "toy").mkdir()
    config = {"num_hidden_layers": 2, "hidden_size": 8}
    (study.folder / "toy/config.json").write_text(json.dumps(config), encoding="utf-8")
    (study.folder / "toy/model.safetensors").write_bytes(b"")
    result = study.snakemake("--dry-run", **how)
    assert result.returncode != 0 and "Traceback" not in result.stderr
    output = result.stdout + result.stderr  # a dry run tells all on the former
    assert "format huggingface needs the packages of envs/language.txt; run: make language" in output
