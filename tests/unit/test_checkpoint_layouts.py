"""One network in the layouts of several libraries: the same function, and what only looks like a network is refused."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from test_checkpoints import DATA, MODULAR, answers, refusal, resolve
from torch.nn import functional as F

from geometry.networks.checkpoint_file import check_shapes, describe, network_parameters, read
from geometry.networks.checkpoint_layouts import parameter_shapes
from geometry.networks.transformer import ACTIVATIONS, Transformer, TransformerConfig

GPT2 = load_file(DATA / "gpt2.safetensors")
ANSWERS = load_file(DATA / "gpt2.answers.safetensors")
LAYER_OUTPUTS = {f"hidden.{n + 1}": f"blocks.{n}.hook_resid_post" for n in (0, 1)} | {"logits": "logits"}
LAYER_OUTPUTS["hidden.0"] = "blocks.0.hook_resid_pre"
NANOGPT = {"format": "nanogpt"}
MATRICES = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def network_in(path, layout, n_heads=None, activation="gelu_new", normalization="LN"):
    """This project's network with the weights of a file."""
    shapes, weights = describe(path, layout, n_heads), read(path, layout, n_heads)
    assert {name: values.shape for name, values in weights.items()} == shapes  # the headers tell the same
    sizes = check_shapes(shapes, normalization)
    network = Transformer(TransformerConfig(**sizes, activation=activation, normalization=normalization))
    parameters = network_parameters(weights, sizes["n_ctx"], normalization)
    network.set_parameters({name: values.copy() for name, values in parameters.items()})
    return network


def as_nanogpt(gpt2):
    """The matrices of nn.Linear, which are those of Hugging Face's Conv1D transposed; masks beside them."""
    masks = {f"transformer.h.{layer}.attn.bias": np.ones((1, 1, 8, 8), np.float32) for layer in (0, 1)}
    return masks | {
        name: np.ascontiguousarray(values.T) if name.endswith(MATRICES) else values for name, values in gpt2.items()
    }


def files_of_one_network(folder):
    """Files, each with its format, that hold the network of `ANSWERS`."""
    tied = {name: values for name, values in GPT2.items() if name != "lm_head.weight"}
    save_file(tied, folder / "tied.safetensors")
    save_file(as_nanogpt(GPT2), folder / "nanogpt.safetensors")
    compiled = {f"_orig_mod.{name}": torch.from_numpy(values) for name, values in as_nanogpt(GPT2).items()}
    checkpoint = {"model": compiled, "model_args": {"n_head": 2}, "iter_num": 9, "best_val_loss": 0.5}
    torch.save(checkpoint, folder / "ckpt.pt")
    save_file(read(DATA / "gpt2.safetensors", "nanogpt", 2), folder / "hooked.safetensors")
    yield DATA / "gpt2.safetensors", "nanogpt"
    yield DATA / "bridge.safetensors", "transformer_lens"
    yield folder / "hooked.safetensors", "transformer_lens"
    yield from ((folder / name, "nanogpt") for name in ("tied.safetensors", "nanogpt.safetensors", "ckpt.pt"))


def test_one_network_is_the_same_function_in_every_layout(tmp_path):
    words = torch.from_numpy(ANSWERS["words"])
    for path, layout in files_of_one_network(tmp_path):
        found = answers(network_in(path, layout, 2), words)
        for theirs, ours in LAYER_OUTPUTS.items():
            assert np.abs(ANSWERS[theirs]).max() > 0.1
            np.testing.assert_allclose(found[ours], ANSWERS[theirs], rtol=0, atol=1e-5, err_msg=f"{path.name} {ours}")


def test_nanogpt_without_biases_has_zeros_in_their_place(tmp_path):
    zeros = {name: np.zeros_like(values) for name, values in GPT2.items() if name.endswith("bias")}
    save_file(as_nanogpt({name: v for name, v in GPT2.items() if name not in zeros}), tmp_path / "without.safetensors")
    save_file(as_nanogpt(GPT2 | zeros), tmp_path / "zero.safetensors")
    words = torch.from_numpy(ANSWERS["words"])
    found, expected = (
        answers(network_in(tmp_path / f"{name}.safetensors", "nanogpt", 2, "gelu"), words)
        for name in ("without", "zero")
    )
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    some = {name: v for name, v in GPT2.items() if name != "transformer.h.1.attn.c_attn.bias"}
    save_file(some, tmp_path / "some.safetensors")
    model = {"format": "nanogpt", "n_heads": 2, "activation": "gelu"}
    assert "blocks.1.attn.b_Q is missing" in refusal(tmp_path / "some.safetensors", model=model)


@pytest.mark.parametrize(
    ("file", "model", "sentence"),
    [
        ("gpt2", NANOGPT | {"n_heads": 2}, "model.activation must be given with the format nanogpt: gelu"),
        ("gpt2", NANOGPT | {"activation": "gelu"}, "the file does not hold the number of heads; model.n_heads"),
        ("bridge", {}, "the file does not hold the number of heads; model.n_heads must be given with it"),
        ("bridge", {"n_heads": 5}, "has shape (12,), not one that is divided into heads"),
        ("gpt2", NANOGPT | {"n_heads": 8, "activation": "gelu"}, "not one that is divided into heads"),
        ("gpt2", {}, "it looks like the state dict of a GPT-2 of Hugging Face, or of nanoGPT"),
        ("plain", NANOGPT | {"activation": "gelu"}, "the state dict of a network of TransformerLens"),
        ("plain", {"format": "progress_measures"}, "blocks.0.attn.W_O is no matrix"),
    ],
)
def test_a_layout_that_is_not_the_stated_one_is_refused(file, model, sentence):
    assert sentence in refusal(DATA / f"{file}.safetensors", model=model)


def test_layouts_of_other_libraries_pass_the_checks_of_a_study():
    for file, model in (("gpt2", NANOGPT), ("bridge", {})):
        found = resolve(DATA / f"{file}.safetensors", model=model | {"activation": "gelu_new", "n_heads": 2})["model"]
        assert (found["n_layers"], found["d_head"], found["d_mlp"]) == (2, 6, 20)


def random_weights(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return {name: (0.4 * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}


def progress_measures_network(n_outputs, n_numbers=13, d_model=16, heads=2, d_head=8, d_mlp=32):
    """Random weights by the names and shapes of the code of Nanda et al. 2023, with its mask."""
    shapes = {"embed.W_E": (d_model, n_numbers + 1), "pos_embed.W_pos": (3, d_model)}
    shapes |= {f"blocks.0.attn.W_{letter}": (heads, d_head, d_model) for letter in "KQV"}
    shapes |= {"blocks.0.attn.W_O": (d_model, heads * d_head), "blocks.0.attn.mask": (3, 3)}
    shapes |= {"blocks.0.mlp.W_in": (d_mlp, d_model), "blocks.0.mlp.b_in": (d_mlp,)}
    shapes |= {"blocks.0.mlp.W_out": (d_model, d_mlp), "blocks.0.mlp.b_out": (d_model,)}
    return random_weights(shapes | {"unembed.W_U": (d_model, n_outputs)})


def progress_measures_logits(w, tokens):
    """What those weights compute, as the equations of that paper have it: (sequence, position) to logits."""
    x = w["embed.W_E"][:, tokens].permute(1, 2, 0) + w["pos_embed.W_pos"]
    q, k, v = (torch.einsum("hed,spd->shpe", w[f"blocks.0.attn.W_{letter}"], x) for letter in "QKV")
    scores = torch.einsum("shqe,shke->shqk", q, k) / q.shape[-1] ** 0.5
    pattern = scores.masked_fill(torch.ones(3, 3).triu(1).bool(), -1e10).softmax(-1)
    z = torch.einsum("shqk,shke->sqhe", pattern, v).flatten(2)
    x = x + torch.einsum("df,sqf->sqd", w["blocks.0.attn.W_O"], z)
    neurons = F.relu(torch.einsum("md,spd->spm", w["blocks.0.mlp.W_in"], x) + w["blocks.0.mlp.b_in"])
    x = x + torch.einsum("dm,spm->spd", w["blocks.0.mlp.W_out"], neurons) + w["blocks.0.mlp.b_out"]
    return x @ w["unembed.W_U"]


@pytest.mark.parametrize("n_outputs", [13, 14])
def test_network_of_nanda_computes_what_its_own_code_does(n_outputs, tmp_path):
    weights = progress_measures_network(n_outputs)
    save_file(weights, tmp_path / "network.safetensors")
    words = torch.randint(14, (50, 3), generator=torch.Generator().manual_seed(0))
    found = answers(network_in(tmp_path / "network.safetensors", "progress_measures", None, "relu", "none"), words)
    expected = progress_measures_logits({name: torch.from_numpy(values) for name, values in weights.items()}, words)
    np.testing.assert_allclose(found["logits"][..., :n_outputs], expected, rtol=0, atol=1e-5)


def test_network_of_nanda_is_one_of_modular_addition_and_the_last_of_its_history(tmp_path):
    model = {"format": "progress_measures", "normalization": "none"}
    settings = {"model": model, "task": MODULAR, "probe": {"control_parameters": None}}
    history = [{n: torch.from_numpy(v) for n, v in progress_measures_network(13, seed).items()} for seed in (14, 13)]
    torch.save({"state_dicts": history, "train_losses": [0.5, 0.1], "epochs": [0, 100]}, tmp_path / "full_run_data.pth")
    assert resolve(tmp_path / "full_run_data.pth", **settings)["model"]["d_mlp"] == 32
    found = read(tmp_path / "full_run_data.pth", "progress_measures")
    np.testing.assert_array_equal(found["embed.W_E"].T, history[1]["embed.W_E"])


def attention_only(n_heads=2):
    sizes = {"n_layers": 2, "n_heads": n_heads, "d_model": 12, "d_head": 6, "d_mlp": 0, "d_vocab": 3, "n_ctx": 8}
    return random_weights(dict(parameter_shapes(sizes, normalized=True)))


def test_attention_without_an_mlp_is_read_and_has_the_hook_points_of_transformer_lens(tmp_path):
    weights = attention_only()
    assert not any(".mlp." in name or ".ln2." in name for name in weights)
    save_file(weights, tmp_path / "network.safetensors")
    words = torch.from_numpy(ANSWERS["words"])
    found = answers(network_in(tmp_path / "network.safetensors", "transformer_lens"), words)
    assert "blocks.1.hook_resid_post" in found and "blocks.1.hook_resid_mid" not in found
    with_zeros = weights | {f"blocks.{i}.ln2.w": np.ones(12, np.float32) for i in (0, 1)}
    with_zeros |= {f"blocks.{i}.ln2.b": np.zeros(12, np.float32) for i in (0, 1)}
    for name, shape in {"W_in": (12, 4), "b_in": (4,), "W_out": (4, 12), "b_out": (12,)}.items():
        with_zeros |= {f"blocks.{i}.mlp.{name}": np.zeros(shape, np.float32) for i in (0, 1)}
    save_file(with_zeros, tmp_path / "zeros.safetensors")
    same = answers(network_in(tmp_path / "zeros.safetensors", "transformer_lens"), words)
    for name, values in found.items():
        np.testing.assert_array_equal(values, same[name])
    assert resolve(tmp_path / "network.safetensors")["model"]["d_mlp"] == 0
    said = refusal(tmp_path / "network.safetensors", attention=True)
    assert "attention is true, which needs an MLP behind it" in said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("solu", lambda x: x * np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        ("gelu_new", lambda x: x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))),
        ("relu", lambda x: x * (x > 0)),
    ],
)
def test_activation_functions_are_those_of_transformer_lens(name, expected):
    x = np.linspace(-4, 4, 60).reshape(5, 12)
    np.testing.assert_allclose(ACTIVATIONS[name](torch.from_numpy(x.copy())).numpy(), expected(x), atol=1e-12)
