"""Networks from elsewhere: the same activations as TransformerLens gives, and every bad file refused in a sentence."""

import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from configuration import CONFIG, ROOT
from configuration import resolve as resolved
from geometry.config.experiments import ConfigError
from geometry.networks.checkpoint_file import check_shapes, describe, network_parameters, read
from geometry.networks.checkpoint_layouts import parameter_shapes
from geometry.networks.hook_points import hook_point_names
from geometry.networks.input_layout import DenseSequences
from geometry.networks.transformer import Transformer, TransformerConfig

NORMS = [f"blocks__{layer}__{norm}" for layer in (0, 1) for norm in ("ln1", "ln2")] + ["ln_final"]
DATA = ROOT / "tests/data"
TASK = {"process": "mess3", "parameters": {"x": 0.05, "alpha": 0.85}, "context": 8}
RRXOR = {"process": "rrxor", "context": 8}
NETWORKS = [
    ("plain.safetensors", "relu", "LN"),
    ("mess3.safetensors", "gelu", "LN"),  # folded: LayerNorm without weights
    ("bare.safetensors", "gelu_new", "none"),
    ("bare.pt", "gelu_new", "none"),
    ("exported.safetensors", "relu", "LN"),  # trained by this project, the answers by TransformerLens
]


def load(path, activation, normalization, n_ctx=None):
    """This project's network with the parameters of a checkpoint."""
    sizes = check_shapes(describe(path), normalization)
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
        logits = network(words.flatten(), DenseSequences(*words.shape, torch.device("cpu")))
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
    changed = load_file(DATA / "plain.safetensors")
    changed |= {name.replace("__", "."): values for name, values in changes.items()}
    return {name: values for name, values in changed.items() if values is not None}


def resolve(path, model=None, seeds=(1,), **sections):
    """The experiment that a study has on a checkpoint of mess3's tokens."""
    model = {"checkpoint": str(path), "format": "transformer_lens", **(model or {})}
    experiment = {"task": TASK, "model": model, **sections}
    others = dict.fromkeys(CONFIG["experiments"])
    override = {"seeds": list(seeds), "experiments": {**others, "mine": experiment}, "figures": {"explainer": None}}
    return resolved(override)["mine"]


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
    options = {"activation": "relu", "normalization": "LN", "biases": "all", "output": "softmax", "bos": False}
    assert experiment["model"] == sizes | options
    assert experiment["checkpoint"] == {"path": str(DATA / "plain.safetensors"), "format": "transformer_lens"}
    assert "training" not in experiment
    assert resolve(DATA / "plain.safetensors", model={"d_model": 12}) == experiment
    assert resolve(DATA / "bare.pt", model={"normalization": "none", "activation": "gelu_new"})["model"]["d_model"] == 8


def test_reading_a_configuration_with_safetensors_needs_no_torch():
    code = "import sys; from geometry.config import experiments; from geometry.networks.checkpoint_file import read"
    code += "; read(sys.argv[1]); assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", code, DATA / "plain.safetensors"]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")})


def test_each_seed_has_a_file_of_its_own(tmp_path):
    for seed in (3, 5):
        save_file(parameters(), tmp_path / f"network_{seed}.safetensors")
    assert resolve(tmp_path / "network_{seed}.safetensors", seeds=[3, 5])["model"]["d_model"] == 12
    sentence = refusal(tmp_path / "network_{seed}.safetensors", seeds=[3, 4])
    assert "network_4.safetensors': there is no such file" in sentence
    shutil.copyfile(DATA / "mess3.safetensors", tmp_path / "network_4.safetensors")
    sentence = refusal(tmp_path / "network_{seed}.safetensors", seeds=[3, 4])
    assert "network_4.safetensors' has d_model 16; it must have 12, as" in sentence
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
        ({"model": {"format": "gpt2"}}, "model.format is 'gpt2'; allowed are transformer_lens, nanogpt, progress_meas"),
        ({"model": {"checkpoint": 5}}, "model.checkpoint is 5, a int; it must be of type string"),
        ({"task": {**TASK, "context": 9}}, "n_ctx is 8; task.context is 9 and must be at most 8"),
        ({"task": RRXOR}, "d_vocab is 3; it must be 2, the task's 2 tokens .3 with model.bos."),
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
    found = resolved(override)
    assert [found[name]["model"]["d_model"] for name in ("one", "other")] == [12, 16]


def test_checkpoint_and_format_belong_together():
    experiment = {"model": {"checkpoint": "x.safetensors"}}
    with pytest.raises(ConfigError, match="key 'format' is missing at model"):
        resolved({"experiments": {"mess3": experiment}})


def test_approximate_gelu_is_for_checkpoints_only():
    override = {"experiments": {"mess3": {"model": {"activation": "gelu_new"}}}}
    with pytest.raises(ConfigError, match="'gelu_new', which only a checkpoint may have; allowed are relu, gelu"):
        resolved(override)


def holding(value):
    """A scale of LayerNorm with this number in it."""
    return np.array([1.0] * 11 + [value], np.float32)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"unembed__W_U": None}, "unembed.W_U is missing"),
        ({"embed__W_E": None}, "embed.W_E or blocks.0.attn.q.weight is missing, which the format transformer_lens has"),
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


def compress(path, tensor):
    """A PyTorch file whose zeros take a thousandth of their size."""
    torch.save({"embed.W_E": tensor}, path)
    with zipfile.ZipFile(path) as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name, content in parts.items():
            bomb.writestr(name, content)


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
    nothing, damaged = "it is neither a safetensors nor a PyTorch file", "it is damaged, or holds more than tensors"
    of_text = {name: nothing for name in ("empty.safetensors", "text.safetensors", "empty.pt", "text.pth", "index.bin")}
    contents |= {"index.bin": b'{"weight_map": {}}', "pointer.bin": b"version https://git-lfs.github.com/spec/v1\n"}
    of_text |= {"pointer.bin": "it is a pointer of Git LFS; fetch the file itself with git lfs pull"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        is_pytorch = content.startswith((b"PK", b"\x80"))
        yield name, of_text.get(name, damaged if is_pytorch else "it cannot be read")
    torch.save({"embed.W_E": Hostile(folder / "pwned")}, folder / "code.pt")
    yield "code.pt", f"it holds a '{os.system.__module__}.system' beside tensors, and to load that could run code; save"
    torch.save({"state_dict": tensors(), "loss": np.float64(1)}, folder / "numpy.pt")
    yield "numpy.pt", "multiarray.scalar' beside tensors, and to load that could run code; save it with torch.save(netw"
    torch.save({"state_dict": tensors(), "cfg": SimpleNamespace(d_model=12)}, folder / "cfg.pt")
    yield "cfg.pt", "it holds a 'types.SimpleNamespace' beside tensors, and to load that could run code; save it with"
    torch.save(torch.nn.Linear(2, 2), folder / "module.pt")
    yield "module.pt", "save it with torch.save(network.state_dict(), path)"
    torch.save([1, 2], folder / "list.pt")
    yield "list.pt", "it holds a list; it must be a state dict"
    torch.save({"step": 5}, folder / "number.pt")
    yield "number.pt", "'step' is a int; it must be a tensor"
    torch.save({"embed.W_E": torch.ones(1).expand(10**9, 12)}, folder / "expanded.pt")
    yield "expanded.pt", "'embed.W_E' has shape (1000000000, 12), but fewer numbers; save it contiguous"
    compress(folder / "bomb.pt", torch.zeros(2**26))
    yield "bomb.pt", "its parts are 26843"
    torch.save({"embed.W_E": torch.eye(3).to_sparse()}, folder / "sparse.pt")
    yield "sparse.pt", "'embed.W_E' is torch.sparse_coo on cpu; it must be a dense"
    (folder / "folder.safetensors").mkdir()
    yield "folder.safetensors", "it is a folder; it must be a file"
    os.mkfifo(folder / "pipe.pt")
    yield "pipe.pt", "it is a device or pipe; it must be a file"
    (folder / "link.pt").symlink_to("nowhere.pt")
    yield "link.pt", "it is a link to 'nowhere.pt', which does not exist"
    yield "absent.safetensors", f"there is no such file in {str(folder)!r} (a path is relative to the working directory"
    yield "no/such/network.bin", f"there is no such file in {str(folder / 'no/such')!r} (a path is relative to"


def test_broken_and_hostile_files_are_refused_and_never_run(tmp_path):
    for name, sentence in broken_files(tmp_path):
        assert sentence in refusal(tmp_path / name), name
    assert not (tmp_path / "pwned").exists()


def test_a_pickle_with_code_would_have_run_it(tmp_path):
    pickle.loads(pickle.dumps(Hostile(tmp_path / "pwned")))
    assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize("path", [None, "", [], {}, True, 1.5, "\0", "a\nb.pt", "x" * 5000 + ".pt", ".", "/", "~/x.pt"])
def test_no_slip_in_a_path_escapes_as_another_error(path):
    for key in ("checkpoint", "format"):
        with pytest.raises(ConfigError) as error:
            resolve(DATA / "plain.safetensors", model={key: path})
        assert "\n" not in str(error.value)


def test_file_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    shutil.copyfile(DATA / "plain.safetensors", tmp_path / "network.pt")
    monkeypatch.setattr("geometry.networks.checkpoint_file.open", refuse, raising=False)
    assert "network.pt': it cannot be read (Permission denied)" in refusal(tmp_path / "network.pt")


def tensors(prefix="", **changes):
    """A good state dict as PyTorch saves it, every name behind a prefix."""
    return {f"{prefix}{name}": torch.from_numpy(values.copy()) for name, values in parameters(**changes).items()}


OPTIMIZER = {"state": {0: {"step": torch.tensor(5.0), "exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
WRAPPERS = {
    **{prefix: tensors(prefix) for prefix in ("module.", "_orig_mod.", "_orig_mod.module.", "model.", "any.other.")},
    "epoch": {"epoch": 3, "model_state_dict": tensors(), "optimizer_state_dict": OPTIMIZER, "loss": 0.5},
    "cfg": {"state_dict": tensors(), "cfg": {"n_layers": 2, "act_fn": "relu"}},
    "lightning": {"epoch": 3, "state_dict": tensors("model."), "optimizer_states": [OPTIMIZER], "loops": {}},
    "optimizer": {"model": tensors(), "optimizer": OPTIMIZER, "epoch": 3},
    "nested": {"model": {"state_dict": tensors()}},
    "one of a list": {"state_dicts": [tensors()], "losses": [0.5]},
    "activations": {"cache": {"blocks.0.hook_resid_post": torch.ones(3)}, "weights": tensors("module.")},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_state_dict_is_found_behind_what_it_was_saved_in(wrapper, tmp_path):
    torch.save(WRAPPERS[wrapper], tmp_path / "network.pt")
    expected = {
        name: values for name, values in parameters().items() if "attn.mask" not in name and "IGNORE" not in name
    }
    found = read(tmp_path / "network.pt")
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert resolve(tmp_path / "network.pt")["model"]["d_model"] == 12


def test_header_whose_length_begins_like_a_pickle_is_one_of_safetensors(tmp_path):
    for size in range(256):
        save_file(parameters(), tmp_path / "network.bin", {"padding": "x" * size})
        if (tmp_path / "network.bin").read_bytes().startswith(b"\x80"):
            break
    assert size < 255 and resolve(tmp_path / "network.bin")["model"]["d_model"] == 12


def test_prefix_is_taken_off_in_safetensors_too(tmp_path):
    save_file({f"module.{name}": values for name, values in parameters().items()}, tmp_path / "network.safetensors")
    assert resolve(tmp_path / "network.safetensors")["model"]["d_model"] == 12
    assert "embed.W_E" in read(tmp_path / "network.safetensors")


@pytest.mark.parametrize("name", ["network.ckpt", "network.bin", "network", "network.safetensors", "network.pt"])
@pytest.mark.parametrize("zipped", [True, False, None])
def test_content_and_not_the_name_of_a_file_tells_what_it_is(name, zipped, tmp_path):
    if zipped is None:
        save_file(parameters(), tmp_path / name)
    else:
        torch.save(tensors(), tmp_path / name, _use_new_zipfile_serialization=zipped)
    assert resolve(tmp_path / name)["model"]["d_model"] == 12


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"state_dicts": [tensors(), tensors()], "losses": [2.0, 1.0]},
            "it holds 2 networks, at ['state_dicts'][0], ['state_dicts'][1]; save one of them in a file",
        ),
        ([tensors() for _ in range(6)], "it holds 6 networks, at [0], [1], [2], [3], ...; save one"),
        ({"model": tensors(), "ema": tensors()}, "it holds 2 networks, at ['model'], ['ema']; save one of them"),
        (
            tensors("student.") | tensors("teacher."),
            "it holds 2 networks, with 'student.embed.W_E', 'teacher.embed.W_E'",
        ),
        (
            tensors("model.") | {"criterion.weight": torch.ones(3)},
            "'criterion.weight' does not begin with 'model.', as every parameter does; save it with",
        ),
        ({**tensors(), "epoch": 3}, "'epoch' is a int; it must be a tensor"),
        ({}, "embed.W_E or blocks.0.attn.q.weight is missing"),
        (torch.ones(3), "it holds a Tensor; it must be a state dict"),
    ],
)
def test_no_network_is_chosen_among_several(content, sentence, tmp_path):
    torch.save(content, tmp_path / "network.pt")
    assert sentence in refusal(tmp_path / "network.pt")


def test_a_container_that_holds_itself_or_is_deep_is_looked_through(tmp_path):
    content, deep = {"model": tensors()}, []
    content["self"] = content
    for _ in range(200):
        deep = [deep, deep]
    content["deep"] = deep
    torch.save(content, tmp_path / "network.pt")
    assert resolve(tmp_path / "network.pt")["model"]["d_model"] == 12


ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["transformer.wte.weight", "transformer.h.0.attn.c_attn.weight"], "a GPT-2 of Hugging Face, or of nanoGPT"),
        (["h.0.attn.c_attn.weight"], "a GPT-2 of Hugging Face, or of nanoGPT ('h.0.attn.c_attn.weight')"),
        (["gpt_neox.layers.0.attention.query_key_value.weight"], "a GPT-NeoX (Pythia) of Hugging Face"),
        (
            ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"],
            "a Llama, or one like it, of Hugging",
        ),
        (["layers.0.self_attn.in_proj_weight", "layers.0.linear1.weight"], "a torch.nn.Transformer"),
        (["bert.encoder.layer.0.attention.self.query.weight"], "a BERT of Hugging Face"),
        (["rnn.weight_ih_l0", "rnn.weight_hh_l0"], "a recurrent network"),
    ],
)
def test_another_layout_is_named(names, sentence, tmp_path):
    save_file(dict.fromkeys(names, ONE), tmp_path / "network.safetensors")
    torch.save({"model_state_dict": {name: torch.ones(1) for name in names}, "epoch": 3}, tmp_path / "network.pt")
    for file in ("network.safetensors", "network.pt"):
        said = refusal(tmp_path / file)
        assert f"it looks like the state dict of {sentence}" in said
        assert "but model.format is 'transformer_lens'; the formats are transformer_lens, nanogpt, prog" in said


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pos_embed__W_pos": None}, "it has no learned positions (pos_embed.W_pos); only a network with lear"),
        (
            {"blocks__0__attn__rotary_sin": ONE, "pos_embed__W_pos": None},
            "it has rotary positions (blocks.0.attn.rotary",
        ),
        (
            {f"blocks__1__mlp__{n}": None for n in ("W_in", "b_in", "W_out", "b_out")},
            "blocks.1.mlp.W_in is missing",
        ),
        ({"blocks__0__attn__W_O": np.ones((12, 10), np.float32)}, "whose model.format is progress_measures"),
        ({"blocks__0__attn__W_K": np.ones((1, 12, 5), np.float32)}, "fewer heads of keys than of queries (1, 2)"),
        (
            {"blocks__0__attn___W_K": ONE, "blocks__0__attn__W_K": None},
            "fewer heads of keys and values than of queries",
        ),
        ({"blocks__0__mlp__W_gate": ONE}, "it has a gated MLP (blocks.0.mlp.W_gate)"),
        ({f"{n}__b": None for n in NORMS}, "blocks.0.ln1.w has no blocks.0.ln1.b, as in RMSNorm; only LayerNorm"),
        (
            {f"{n}__{k}": None for n in NORMS[:-1] for k in "wb"},
            "LayerNorm has weights at ln_final and none at blocks.0.ln1",
        ),
        ({f"{n}__{k}": None for n in NORMS[-1:] for k in "wb"}, "has weights at blocks.0.ln1 and none at ln_final"),
    ],
)
def test_a_variant_that_is_not_read_is_named(changes, sentence, tmp_path):
    save_file(parameters(**changes), tmp_path / "network.safetensors")
    assert sentence in refusal(tmp_path / "network.safetensors")


def without_last_output(network):
    """A network that cannot predict its last token, which it only reads."""
    cut = {"unembed.W_U": network["unembed.W_U"][:, :-1], "unembed.b_U": network["unembed.b_U"][:-1]}
    return {name: np.ascontiguousarray(values) for name, values in (network | cut).items()}


def random_network(normalized=False, **sizes):
    rng = np.random.default_rng(0)
    shapes = dict(parameter_shapes(sizes, normalized))
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


MODULAR = {"process": "modular_arithmetic", "parameters": {"modulus": 13, "train_fraction": 0.7}, "context": 3}
OF_13 = {"n_layers": 1, "n_heads": 2, "d_model": 16, "d_head": 8, "d_mlp": 32, "d_vocab": 14, "n_ctx": 3}
OF_BOS = {"n_layers": 1, "n_heads": 2, "d_model": 16, "d_head": 8, "d_mlp": 32, "d_vocab": 4, "n_ctx": 9}


@pytest.mark.parametrize(
    ("sizes", "task", "model"), [(OF_13, MODULAR, {"normalization": "none"}), (OF_BOS, TASK, {"bos": True})]
)
def test_token_that_is_an_input_only_is_never_predicted_and_all_else_stays(sizes, task, model, tmp_path):
    whole = random_network(**sizes)
    save_file(without_last_output(whole), tmp_path / "network.safetensors")
    probe = {"control_parameters": None}
    assert resolve(tmp_path / "network.safetensors", model=model, task=task, probe=probe)["model"]["d_model"] == 16
    words = torch.randint(sizes["d_vocab"], (50, sizes["n_ctx"]), generator=torch.Generator().manual_seed(0))
    found = answers(load(tmp_path / "network.safetensors", "relu", "none"), words)
    save_file(whole, tmp_path / "whole.safetensors")
    expected = answers(load(tmp_path / "whole.safetensors", "relu", "none"), words)
    probability = torch.from_numpy(found["logits"]).softmax(-1).numpy()
    found["logits"], expected["logits"] = found["logits"][..., :-1], expected["logits"][..., :-1]
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, atol=1e-6, err_msg=name)
    assert np.isfinite(found["logits"]).all() and (probability[..., -1] == 0).all()


def test_output_that_is_missing_of_another_token_is_refused(tmp_path):
    save_file(without_last_output(parameters()), tmp_path / "network.safetensors")
    sentence = "d_vocab_out is 2; it must be 3, as d_vocab: only of '=' in modular arithmetic, or of a token for the"
    assert sentence in refusal(tmp_path / "network.safetensors")
    save_file(without_last_output(without_last_output(parameters())), tmp_path / "network.safetensors")
    assert "unembed.W_U has shape (12, 1); it must be (12, 3) for" in refusal(tmp_path / "network.safetensors")
