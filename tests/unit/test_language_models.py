"""Language models of Hugging Face: the states that a direct call gives, and what is refused before anything runs."""

import json
import struct

import numpy as np
import pytest
import torch

from geometry.networks.checkpoint_layouts import CheckpointError
from geometry.networks.language_files import language_model_files
from geometry.networks.language_model import load, recorded
from geometry.networks.language_tokens import MISSING, token_ids
from geometry.networks.language_tokens import transformers as transformers_package

CPU = torch.device("cpu")
WORDS = np.random.default_rng(0).integers(3, size=(5, 12))
IDS = [7, 3, 11]


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="needs the packages of envs/language.txt (make language)")


def toy(transformers, kind):
    """A network of toy size with random weights."""
    configs = {
        "gpt2": transformers.GPT2Config(n_layer=2, n_head=2, n_embd=16, n_positions=32, vocab_size=20),
        "llama": transformers.LlamaConfig(
            hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            vocab_size=20,
        ),
        "mamba": transformers.MambaConfig(hidden_size=16, num_hidden_layers=2, state_size=4, vocab_size=20),
    }  # fmt: skip
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(configs[kind]).eval()


@pytest.mark.parametrize("kind", ["gpt2", "llama", "mamba"])
@pytest.mark.parametrize("beginning", [False, True])
def test_states_and_predictions_are_those_of_a_direct_call(kind, beginning, transformers, tmp_path):
    network = toy(transformers, kind)
    network.config.bos_token_id = 5
    network.save_pretrained(tmp_path)
    files = language_model_files(str(tmp_path))
    assert (files.n_layers, files.d_model, files.gguf) == (network.config.num_hidden_layers, 16, None)
    layers = list(range(files.n_layers + 1))
    found = list(recorded(load(files, CPU), WORDS, IDS, beginning, layers, 2))
    assert [(part.start, part.stop) for part, _, _ in found] == [(0, 2), (2, 4), (4, 5)]
    tokens = torch.tensor(IDS)[torch.from_numpy(WORDS)]
    if beginning:
        tokens = torch.cat([torch.full((5, 1), 5), tokens], dim=1)
    with torch.no_grad():
        expected = network(tokens, output_hidden_states=True)
    assert len(expected.hidden_states) == len(layers)
    for layer in layers:
        states = torch.cat([states[layer] for _, states, _ in found])
        torch.testing.assert_close(states, expected.hidden_states[layer][:, int(beginning) :], rtol=0, atol=1e-5)
    probability = expected.logits[:, int(beginning) :].softmax(-1)[..., IDS]
    log_probability = torch.cat([predicted for _, _, predicted in found])
    torch.testing.assert_close(log_probability.exp(), probability / probability.sum(-1, keepdim=True))


def test_normalized_states_are_those_that_the_next_layer_reads_but_for_its_scale(transformers, tmp_path):
    network = toy(transformers, "llama")
    network.save_pretrained(tmp_path)
    read = []
    network.model.layers[1].input_layernorm.variance_epsilon = 0  # its scale is one, as nothing has trained it
    network.model.layers[1].input_layernorm.register_forward_hook(lambda *of: read.append(of[2]))
    with torch.no_grad():
        network(torch.tensor(IDS)[torch.from_numpy(WORDS)])
    loaded = load(language_model_files(str(tmp_path)), CPU)
    ((_, (plain,), predicted),) = recorded(loaded, WORDS, IDS, False, [1], 5)
    ((_, (states,), same),) = recorded(loaded, WORDS, IDS, False, [1], 5, normalized=True)
    torch.testing.assert_close(states, read[0], rtol=0, atol=1e-3)
    assert (states - plain).abs().max() > 1 and torch.equal(predicted, same)


def test_random_network_has_the_same_shape_and_other_weights(transformers, tmp_path):
    network = toy(transformers, "llama")
    network.save_pretrained(tmp_path)
    files = language_model_files(str(tmp_path))
    one, again, other = (load(files, CPU, seed).state_dict() for seed in (1, 1, 2))
    name = "model.layers.0.self_attn.q_proj.weight"
    assert one.keys() == network.state_dict().keys() and torch.equal(one[name], again[name])
    assert not torch.equal(one[name], other[name]) and not torch.equal(one[name], network.state_dict()[name])


def test_a_text_must_be_one_token_of_the_tokenizer(transformers, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    toy(transformers, "gpt2").save_pretrained(tmp_path)
    vocabulary = {name: number for number, name in enumerate(["a", "b", "Ġ", "Ġa"])}
    words = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [("Ġ", "a")]))
    words.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    transformers.PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(tmp_path)
    files = language_model_files(str(tmp_path))
    assert token_ids(files, [" a", "b"]) == [3, 1]
    with pytest.raises(CheckpointError, match=r"splits ' b' into 2 tokens \(\['Ġ', 'b'\]\); it must be one"):
        token_ids(files, [" a", " b"])


def test_weights_that_are_not_there_or_too_few_are_refused(transformers, tmp_path):
    network = toy(transformers, "llama")
    network.save_pretrained(tmp_path / "short", state_dict={
        name: tensor for name, tensor in network.state_dict().items() if "layers.1." not in name
    })  # fmt: skip
    with pytest.raises(CheckpointError, match=r"no weights 'model.layers.1.*', which would stay random"):
        load(language_model_files(str(tmp_path / "short")), CPU)
    network.save_pretrained(tmp_path / "tall")
    config = json.loads((tmp_path / "tall/config.json").read_text(encoding="utf-8"))
    (tmp_path / "tall/config.json").write_text(json.dumps(config | {"vocab_size": 10**9}), encoding="utf-8")
    for seed in (None, 0):
        with pytest.raises(CheckpointError, match=r"its configuration has \d{11} weights, for which its files are too"):
            load(language_model_files(str(tmp_path / "tall")), CPU, seed)


def folder_with(path, **files):
    """A folder with some files, whose names have __ for the dot."""
    path.mkdir()
    for name, content in files.items():
        (path / name.replace("__", ".")).write_bytes(content)
    return str(path)


CONFIG = json.dumps({"num_hidden_layers": 2, "hidden_size": 16}).encode()


def gguf(*entries, version=3):
    """The header of a GGUF file with entries (name, type, bytes of the value)."""
    header = b"GGUF" + struct.pack("<IQQ", version, 0, len(entries))
    for name, kind, value in entries:
        header += struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value
    return header


SIZES = (b"llama.block_count", 4, struct.pack("<I", 2)), (b"llama.embedding_length", 4, struct.pack("<I", 16))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "it has no config.json and 0 files"),
        ({"a__gguf": gguf(*SIZES), "b__gguf": gguf(*SIZES)}, "it has no config.json and 2 files"),
        ({"config__json": CONFIG}, "it has no weights in safetensors; pickled ones"),
        ({"config__json": CONFIG, "pytorch_model__bin": b"\x80"}, "it has no weights in safetensors; pickled ones"),
        (
            {"config__json": b'{"auto_map": {}}', "a__safetensors": b""},
            "code of its own (auto_map), which is never run",
        ),
        (
            {"config__json": CONFIG, "tokenizer_config__json": b'{"auto_map": {}}', "a__safetensors": b""},
            "code of its own (auto_map), which is never run",
        ),
        ({"config__json": b"{", "a__safetensors": b""}, "config.json cannot be read (JSONDecodeError)"),
        ({"config__json": b"[" * 100_000, "a__safetensors": b""}, "config.json cannot be read (RecursionError)"),
        ({"config__json": b"[]", "a__safetensors": b""}, "config.json holds a list; it must be a mapping"),
        ({"config__json": b"{}", "a__safetensors": b""}, "its configuration has None layers; allowed are 1 to 256"),
        (
            {"config__json": CONFIG.replace(b"16", b"1000000000"), "a__safetensors": b""},
            "its configuration has 1000000000 features; allowed are 1 to 8192",
        ),
        ({"a__gguf": b"PK"}, "a.gguf does not begin as GGUF does"),
        ({"a__gguf": gguf(*SIZES)[:40]}, "a.gguf is cut short, or its header is damaged"),
        ({"a__gguf": gguf((b"x", 9, struct.pack("<IQ", 4, 10**18)))}, "a.gguf declares 1000000000000000000 values"),
        ({"a__gguf": gguf((b"x", 8, struct.pack("<Q", 10**18)))}, "a.gguf declares a text of 1000000000000000000 by"),
        ({"a__gguf": gguf((b"x", 77, b""))}, "a.gguf has a value of the unknown type 77 in its header"),
    ],
)
def test_folder_that_is_no_language_model_is_refused_in_a_sentence(files, sentence, tmp_path):
    with pytest.raises(CheckpointError) as error:
        language_model_files(folder_with(tmp_path / "model", **files))
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_sizes_in_gguf_are_read_from_its_header(tmp_path):
    texts = struct.pack("<IQ", 8, 2) + 2 * (struct.pack("<Q", 1) + b"x")
    content = gguf((b"general.tags", 9, texts), *SIZES, (b"tokenizer.ggml.model", 8, struct.pack("<Q", 4) + b"gpt2"))
    found = language_model_files(folder_with(tmp_path / "model", a__gguf=content))
    assert (found.n_layers, found.d_model, found.gguf) == (2, 16, "a.gguf")
    assert found.sites == ["layers.0", "layers.1", "layers.2"]


def test_packages_that_are_not_installed_are_told_with_the_command(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr("geometry.networks.language_tokens.import_module", absent)
    with pytest.raises(CheckpointError, match="make language"):
        transformers_package()
    assert "envs/language.txt" in MISSING
