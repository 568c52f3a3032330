"""Networks from elsewhere: the same activations as TransformerLens gives, and every bad file refused in a sentence."""

import json
import os
import pickle
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from geometry.checkpoints import check_entries, describe, network_parameters, read
from geometry.experiments import ConfigError, canonical_config, merged, resolve_experiments
from geometry.paths import Words
from geometry.sites import hook_point_names
from geometry.transformer import Transformer, TransformerConfig

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data"
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
SCHEMA = yaml.safe_load((ROOT / "rules/schemas/config.schema.yaml").read_text(encoding="utf-8"))
TASK = {"process": "mess3", "parameters": {"x": 0.05, "alpha": 0.85}, "context": 8}
NETWORKS = [
    ("plain.safetensors", "relu", "LN"),
    ("mess3.safetensors", "gelu", "LN"),  # folded: LayerNorm without weights
    ("bare.safetensors", "gelu_new", "none"),
    ("bare.pt", "gelu_new", "none"),
    ("exported.safetensors", "relu", "LN"),  # trained by this project, the answers by TransformerLens
]


def load(path, activation, normalization, n_ctx=None):
    """This project's network with the parameters of a checkpoint."""
    sizes = check_entries(describe(path), normalization)
    sizes["n_ctx"] = n_ctx or sizes["n_ctx"]
    network = Transformer(TransformerConfig(**sizes, activation=activation, normalization=normalization))
    parameters = network_parameters(read(path), sizes["n_ctx"], normalization)
    network.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in parameters.items()})
    return network


@torch.no_grad()
def answers(network, words):
    """Activations at every hook point and logits, shape (word, position, feature)."""
    names = hook_point_names({"architecture": "transformer", **vars(network.config)})
    with network.recording(names) as record:
        logits = network(words.flatten(), Words(*words.shape, torch.device("cpu")))
    return {name: value.view(*words.shape, -1).numpy() for name, value in {**record, "logits": logits}.items()}


@pytest.mark.parametrize(("file", "activation", "normalization"), NETWORKS)
def test_every_hook_point_holds_what_transformer_lens_computes(file, activation, normalization):
    expected = load_file((DATA / file).with_suffix(".answers.safetensors"))
    found = answers(load(DATA / file, activation, normalization), torch.from_numpy(expected.pop("words")))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert np.abs(values).max() > 0.1
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-5, err_msg=name)


def test_network_of_a_longer_context_is_cut(tmp_path):
    expected = load_file(DATA / "plain.answers.safetensors")
    words = torch.from_numpy(expected["words"][:, :5].copy())
    found = answers(load(DATA / "plain.safetensors", "relu", "LN", n_ctx=5), words)
    np.testing.assert_allclose(found["logits"], expected["logits"][:, :5], rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_other_floats_become_float32(dtype, suffix, tmp_path):
    tensors = {name: torch.from_numpy(values).to(dtype) for name, values in parameters().items()}
    path = tmp_path / f"network{suffix}"
    save_torch(tensors, path) if suffix == ".safetensors" else torch.save({"state_dict": tensors}, path)
    for name, values in read(path).items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, tensors[name].float().numpy())


def parameters(**changes):
    """A good state dict, changed: None leaves a name out."""
    good = {name: values for name, values in load_file(DATA / "plain.safetensors").items()}
    changed = {**good, **{name.replace("__", "."): values for name, values in changes.items()}}
    return {name: values for name, values in changed.items() if values is not None}


def resolve(path, model=None, seeds=(1,), **sections):
    """The experiment that a study has on a checkpoint of mess3's tokens."""
    model = {"checkpoint": str(path), "format": "transformer_lens", **(model or {})}
    experiment = {"task": TASK, "model": model, **sections}
    others = dict.fromkeys(CONFIG["experiments"])
    override = {"seeds": list(seeds), "experiments": {**others, "mine": experiment}, "figures": {"explainer": None}}
    return resolve_experiments(canonical_config(merged(CONFIG, override), SCHEMA), SCHEMA)["mine"]


def refusal(path, **settings):
    """The sentence that refuses an experiment on a checkpoint."""
    with pytest.raises(ConfigError) as error:
        resolve(path, **settings)
    sentence = str(error.value)
    assert sentence.startswith("experiment 'mine': ") and "\n" not in sentence and len(sentence) < 1000
    return sentence


def test_shape_is_read_from_the_file_and_nothing_is_trained():
    experiment = resolve(DATA / "plain.safetensors")
    sizes = {"architecture": "transformer", "n_layers": 2, "n_heads": 2, "d_model": 12, "d_head": 5, "d_mlp": 20}
    assert experiment["model"] == {**sizes, "activation": "relu", "normalization": "LN", "biases": "all", "bos": False}
    assert experiment["checkpoint"] == {"path": str(DATA / "plain.safetensors"), "format": "transformer_lens"}
    assert "training" not in experiment
    assert resolve(DATA / "plain.safetensors", model={"d_model": 12}) == experiment
    assert resolve(DATA / "bare.pt", model={"normalization": "none", "activation": "gelu_new"})["model"]["d_model"] == 8


def test_reading_a_configuration_with_safetensors_needs_no_torch():
    code = "import sys; from geometry import experiments; from geometry.checkpoints import read"
    code += "; read(sys.argv[1]); assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", code, DATA / "plain.safetensors"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")})


def test_each_seed_has_a_file_of_its_own(tmp_path):
    for seed in (3, 5):
        save_file(parameters(), tmp_path / f"network_{seed}.safetensors")
    assert resolve(tmp_path / "network_{seed}.safetensors", seeds=[3, 5])["model"]["d_model"] == 12
    sentence = refusal(tmp_path / "network_{seed}.safetensors", seeds=[3, 4])
    assert "network_4.safetensors': there is no such file" in sentence
    narrow = load_file(DATA / "mess3.safetensors")
    save_file(narrow, tmp_path / "network_4.safetensors")
    assert "network_4.safetensors' has d_model 16; it must have 12, as" in refusal(
        tmp_path / "network_{seed}.safetensors", seeds=[3, 4]
    )
    assert "of braces only {seed} is allowed" in refusal(tmp_path / "{run}.safetensors")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": {"n_layers": 4}}, r"model.n_layers is 4; model.checkpoint '.*plain.safetensors' has 2"),
        (
            {"model": {"bos": True}},
            "d_vocab is 3; it must be 4, the task's 3 tokens and, as model.bos is true, one for",
        ),
        ({"model": {"normalization": "none"}}, "weights of LayerNorm, but model.normalization is 'none'"),
        ({"model": {"format": "gpt2"}}, "model.format is 'gpt2'; allowed are transformer_lens"),
        ({"model": {"checkpoint": 5}}, "model.checkpoint is 5, a int; it must be of type string"),
        ({"task": {**TASK, "context": 9}}, "n_ctx is 8; task.context is 9 and must be at most 8"),
        (
            {"task": {"process": "rrxor", "context": 8}},
            "d_vocab is 3; it must be 2, the task's 2 tokens .3 with model.bos.",
        ),
        ({"training": {"steps": 5}}, "training is set, but the network of model.checkpoint is not trained here"),
    ],
)
def test_study_that_contradicts_the_file_is_refused(settings, sentence):
    assert re.search(sentence, refusal(DATA / "plain.safetensors", **settings))


def test_file_that_the_study_itself_may_delete_is_refused(tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    monkeypatch.chdir(tmp_path)
    save_file(parameters(), "results/model.safetensors")
    assert "it is under results/, whose files come and go" in refusal("results/model.safetensors")


def test_shape_of_one_experiment_is_not_that_of_the_next():
    model = {"checkpoint": str(DATA / "plain.safetensors"), "format": "transformer_lens"}
    experiments = {**dict.fromkeys(CONFIG["experiments"]), "one": {}, "other": {"model": {"d_model": 16}}}
    override = {"defaults": {"task": TASK, "model": model}, "experiments": experiments, "figures": {"explainer": None}}
    experiments["other"]["model"]["checkpoint"] = str(DATA / "mess3.safetensors")
    found = resolve_experiments(canonical_config(merged(CONFIG, override), SCHEMA), SCHEMA)
    assert [found[name]["model"]["d_model"] for name in ("one", "other")] == [12, 16]


def test_checkpoint_and_format_belong_together():
    experiment = {"model": {"checkpoint": "x.safetensors"}}
    with pytest.raises(ConfigError, match="key 'format' is missing at model"):
        resolve_experiments(merged(CONFIG, {"experiments": {"mess3": experiment}}), SCHEMA)


def test_approximate_gelu_is_for_checkpoints_only():
    override = {"experiments": {"mess3": {"model": {"activation": "gelu_new"}}}}
    with pytest.raises(ConfigError, match="'gelu_new', which only a checkpoint may have; allowed are relu, gelu"):
        resolve_experiments(merged(CONFIG, override), SCHEMA)


def holding(value):
    """A scale of LayerNorm with this number in it."""
    return np.array([1.0] * 11 + [value], np.float32)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"unembed__W_U": None}, "unembed.W_U is missing"),
        ({"embed__W_E": None}, "embed.W_E is missing"),
        ({"blocks__1__ln2__b": None}, "blocks.1.ln2.b is missing"),
        ({"blocks__0__attn__W_G": np.ones(3, np.float32)}, "'blocks.0.attn.W_G' is unknown; allowed are embed.W_E"),
        ({"blocks__7__ln1__w": np.ones(3, np.float32)}, "'blocks.7.ln1.w' is unknown"),
        ({"blocks__x\n__ln1__w": np.ones(3, np.float32)}, r"'blocks.x\n.ln1.w' is unknown"),
        ({"a\nb" * 99: np.ones(3, np.float32)}, r"'a\nba\nb"),
        ({"unembed__b_U": np.ones(4, np.float32)}, "unembed.b_U has shape (4,); it must be (3,) for n_layers 2"),
        ({"embed__W_E": np.ones((3, 2, 2), np.float32)}, "embed.W_E has shape (3, 2, 2); it must have 2 dimensions"),
        ({"unembed__b_U": np.ones(3, np.int64)}, "'unembed.b_U' is of type I64; allowed are float16, bfloat16"),
        ({"unembed__b_U": np.array([0, np.nan, 0], np.float32)}, "unembed.b_U has the value nan"),
        ({"ln_final__w": holding(-np.inf)}, "ln_final.w has the value -inf"),
        ({"ln_final__w": np.full(12, 1e200)}, "ln_final.w has the value inf (as float32)"),
    ],
)
def test_bad_state_dict_is_refused(changes, sentence, tmp_path):
    save_file(parameters(**changes), tmp_path / "bad.safetensors")
    assert sentence in refusal(tmp_path / "bad.safetensors")


class Hostile:
    """What runs a command where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def broken_files(folder):
    """Files that are no checkpoint, each with what must be said of it."""
    good = (DATA / "plain.safetensors").read_bytes()
    pytorch = (DATA / "bare.pt").read_bytes()
    huge = {"embed.W_E": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 2**60]}}
    header = json.dumps(huge).encode()
    contents = {
        "truncated.safetensors": good[:-100],
        "empty.safetensors": b"",
        "text.safetensors": b"# not a network",
        "header.safetensors": struct.pack("<Q", 2**62) + b"{}",
        "sizes.safetensors": struct.pack("<Q", len(header)) + header,
        "pickle.safetensors": pickle.dumps(Hostile(folder / "pwned")),
        "pickle.pt": pickle.dumps(Hostile(folder / "pwned")),
        "truncated.pt": pytorch[: len(pytorch) // 2],
        "empty.pt": b"",
        "text.pth": b"# not a network",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        yield (
            name,
            "it cannot be read" if name.endswith(".safetensors") else "it is damaged, or holds more than tensors",
        )
    torch.save({"embed.W_E": Hostile(folder / "pwned")}, folder / "code.pt")
    yield "code.pt", "it is damaged, or holds more than tensors (UnpicklingError)"
    torch.save(torch.nn.Linear(2, 2), folder / "module.pt")
    yield "module.pt", "save it with torch.save(network.state_dict(), path)"
    torch.save([1, 2], folder / "list.pt")
    yield "list.pt", "it holds a list; it must be a state dict"
    torch.save({"step": 5}, folder / "number.pt")
    yield "number.pt", "'step' is a int; it must be a tensor"
    torch.save({"embed.W_E": torch.eye(3).to_sparse()}, folder / "sparse.pt")
    yield "sparse.pt", "'embed.W_E' is torch.sparse_coo on cpu; it must be a dense"
    (folder / "folder.safetensors").mkdir()
    yield "folder.safetensors", "there is no such file"
    yield "absent.safetensors", "there is no such file; a path is relative to the working directory"
    yield "network.bin", "the name ends in '.bin'; allowed are .safetensors, .pt and .pth"


def test_broken_and_hostile_files_are_refused_and_never_run(tmp_path):
    for name, sentence in broken_files(tmp_path):
        assert sentence in refusal(tmp_path / name), name
    assert not (tmp_path / "pwned").exists()


def test_a_pickle_with_code_would_have_run_it(tmp_path):
    pickle.loads(pickle.dumps(Hostile(tmp_path / "pwned")))
    assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "value", [None, "", [], {}, True, 1.5, "\0", "a\nb.pt", "x" * 5000 + ".pt", ".", "/", "~/x.pt"]
)
def test_no_slip_in_a_path_escapes_as_another_error(value):
    for key in ("checkpoint", "format"):
        with pytest.raises(ConfigError) as error:
            resolve(DATA / "plain.safetensors", model={key: value})
        assert "\n" not in str(error.value)
