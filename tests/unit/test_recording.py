"""Files of activations that somebody else made: what is read of them, and what is refused in a sentence."""

import io
import json
import pickle
import resource
import shutil
import zipfile
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from safetensors.torch import save_file as save_torch

from geometry.networks.hook_points import in_forward_order, is_layer_output
from geometry.networks.recorded_prefixes import COMPONENTS, Places, n_fitting, prefix_rows
from geometry.networks.recording import Recording
from geometry.networks.stored_arrays import RecordingError
from geometry.processes.catalog import PROCESSES
from geometry.processes.prefix_tree import tree_of_sequences
from geometry.processes.process import ProcessError
from geometry.processes.sampling import sample_process
from geometry.tasks.ground_truth import markov_ground_truth
from recordings import save

ENDINGS = ["npz", "safetensors", "zarr.zip", "zarr"]
MESS3 = PROCESSES["mess3"](0.05, 0.85)


def arrays_of(n_sequences=12, n_positions=5, n_features=3, process=MESS3, dtype=np.float32):
    """A recording of a causal network: its activations are a random function of the prefix."""
    rng = np.random.default_rng(0)
    tokens = sample_process(process, n_sequences, n_positions, rng).astype(np.int16)
    tree, nodes = tree_of_sequences(tokens)
    sites = {f"layers.{k}": rng.standard_normal((len(tree), n_features)).astype(dtype)[nodes] for k in (10, 2)}
    probability = rng.dirichlet(np.ones(process.n_tokens), len(tree))
    return {"tokens": tokens, **sites, "log_probability": np.log(probability).astype(dtype)[nodes]}


def places_of(tokens, scored=0):
    nodes = tree_of_sequences(tokens.astype(np.int64))[1]
    return Places(nodes, np.bincount(nodes.ravel()) / len(tokens), scored)


@pytest.mark.parametrize("ending", ENDINGS)
def test_arrays_are_read_as_they_were_saved_in_every_format(ending, tmp_path):
    arrays = arrays_of()
    arrays |= {f"random_init/{name}": 2 * values for name, values in arrays.items() if name.startswith("layers")}
    arrays["random_init/log_probability"] = arrays["log_probability"]
    save(arrays, tmp_path / f"own.{ending}")
    found = Recording(tmp_path / f"own.{ending}")
    assert (found.sites, found.has_predictions, found.has_random_network) == (["layers.2", "layers.10"], True, True)
    assert (found.n_sequences, found.n_positions, found.n_features, found.n_tokens) == (12, 5, 3, 3)
    assert (found.tokens(3) == arrays["tokens"]).all()
    for name in arrays.keys() - {"tokens"}:
        assert all((found.rows(name, *part) == arrays[name][slice(*part)]).all() for part in ((4, 9), (0, 3)))


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("of_random", [True, False])
def test_either_network_may_lack_predictions(own, of_random, tmp_path):
    arrays = arrays_of()
    predictions = arrays.pop("log_probability")
    arrays |= {f"random_init/{name}": values for name, values in arrays.items() if name.startswith("layers")}
    arrays |= {"log_probability": predictions} if own else {}
    arrays |= {"random_init/log_probability": predictions} if of_random else {}
    save(arrays, tmp_path / "own.npz")
    found = Recording(tmp_path / "own.npz")
    assert found.has_random_network and found.has_predictions == own and found.all_predict == (own and of_random)


@pytest.mark.parametrize("ending", ["npz", "zarr"])
def test_compressed_arrays_are_read_again_from_their_beginning(ending, tmp_path):
    arrays = arrays_of(n_sequences=100)
    if ending == "npz":
        np.savez_compressed(tmp_path / "own.npz", **arrays)
    else:
        group = zarr.open_group(tmp_path / "own.zarr", mode="w")
        for name, values in arrays.items():
            group.create_array(name, data=values, chunks=(7, *values.shape[1:]))
    found = Recording(tmp_path / f"own.{ending}")
    for _ in range(2):
        assert (found.rows("layers.2", 50, 60) == arrays["layers.2"][50:60]).all()


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path):
    import torch

    values = torch.tensor([[[1.5, -3.0], [0.1, 1e30]]])
    tokens = torch.zeros(1, 2, dtype=torch.int32)
    save_torch({"tokens": tokens, "mlp": values.bfloat16()}, tmp_path / "own.safetensors")
    found = Recording(tmp_path / "own.safetensors").rows("mlp", 0, 1)
    assert (found == values.bfloat16().float().numpy()).all()


def test_each_prefix_has_the_row_of_its_first_place(tmp_path):
    arrays = arrays_of(n_sequences=40)
    save(arrays, tmp_path / "own.npz")
    places = places_of(arrays["tokens"], scored=3)
    rows = prefix_rows(Recording(tmp_path / "own.npz"), "layers.2", places)
    assert (rows[places.nodes[:, 2] - 3] == arrays["layers.2"][:, 2]).all() and len(rows) == places.nodes.max() - 2


def test_many_features_become_their_leading_principal_components(tmp_path):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 3, (40, 30)).astype(np.int16)
    places = places_of(tokens)
    n_nodes, spread = places.nodes.max() + 1, np.r_[np.full(20, 10.0), np.full(1180, 0.1)]
    values = (5 + rng.standard_normal((n_nodes, 1200)) * spread).astype(np.float32)
    save({"tokens": tokens, "mlp": values[places.nodes]}, tmp_path / "own.npz")
    rows = prefix_rows(Recording(tmp_path / "own.npz"), "mlp", places)
    assert rows.shape == (n_nodes, COMPONENTS)
    mean = places.weight @ values / places.weight.sum()
    found = np.linalg.lstsq(np.c_[rows, np.ones(n_nodes)], values[:, :20] - mean[:20], rcond=None)[0]
    left = values[:, :20] - mean[:20] - np.c_[rows, np.ones(n_nodes)] @ found
    assert (places.weight @ rows[:, 0] ** 2) > 50 * (places.weight @ rows[:, 21] ** 2) and left.std() < 0.1


def test_only_sequences_that_fit_in_the_tree_are_read():
    tokens = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])  # 3, then 1, then 3 new prefixes, then none
    assert [n_fitting(tokens, most) for most in (7, 6, 4, 3, 1)] == [4, 2, 2, 1, 1]


def test_sites_are_in_the_order_of_a_forward_pass():
    names = ["ln_final.hook_normalized", "blocks.10.hook_resid_post", "blocks.2.hook_resid_post", "hook_embed"]
    names += ["blocks.2.hook_resid_pre", "layers.10", "layers.9"]
    order = [3, 4, 2, 1, 6, 5, 0]
    assert in_forward_order(names) == [names[place] for place in order]
    assert is_layer_output("layers.9") and is_layer_output("mlp_out") and not is_layer_output("output")
    assert not is_layer_output("blocks.1.hook_mlp_out") and not is_layer_output("concatenated")


class Opened:
    """A pickle that would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def with_object(arrays, folder):
    save(arrays, folder / "own.npz")
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": (12, 5, 3)})
    with zipfile.ZipFile(folder / "own.npz", "a") as archive:
        archive.writestr("mlp.npy", buffer.getvalue() + pickle.dumps(Opened(folder / "executed")))


def with_declared_rows(arrays, folder):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<i2", "fortran_order": False, "shape": (10**9, 5)})
    with zipfile.ZipFile(folder / "own.npz", "w") as archive:
        archive.writestr("tokens.npy", buffer.getvalue())


def with_bomb(arrays, folder):
    archive = zipfile.ZipFile(folder / "own.npz", "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("mlp.npy", "w") as bomb:
        for _ in range(400):
            bomb.write(bytes(2**20))


def with_pickled_chunks(arrays, folder):
    group = zarr.open_group(folder / "own.npz", mode="w", zarr_format=2)
    for name, values in arrays.items():
        group.create_array(name, data=values)
    path = folder / "own.npz/layers.2/.zarray"
    header = json.loads(path.read_bytes()) | {"compressor": {"id": "pickle", "protocol": 5}}
    path.write_text(json.dumps(header), encoding="utf-8")


def with_gzipped_chunks(arrays, folder):
    group = zarr.open_group(folder / "own.npz", mode="w")
    for name, values in arrays.items():
        group.create_array(name, data=values, compressors=zarr.codecs.GzipCodec())


@pytest.mark.parametrize(("codec", "ending"), [("zstd", "zarr"), ("zstd", "zarr.zip"), ("blosc", "zarr")])
def test_chunk_that_unpacks_to_more_than_a_chunk_is_never_unpacked(codec, ending, tmp_path):
    arrays, path = arrays_of(), tmp_path / "own.zarr"
    packer = {"zstd": zarr.codecs.ZstdCodec(), "blosc": zarr.codecs.BloscCodec()}[codec]
    group = zarr.open_group(path, mode="w")
    for name, values in arrays.items():
        group.create_array(name, data=values, compressors=packer)
    assert (Recording(path).rows("layers.2", 0, 12) == arrays["layers.2"]).all()
    bomb = {"zstd": numcodecs.Zstd(), "blosc": numcodecs.Blosc()}[codec].encode(bytes(10_000))
    (path / "layers.2/c/0/0/0").write_bytes(bomb)
    if ending == "zarr.zip":
        shutil.make_archive(tmp_path / "own", "zip", path)
        path = tmp_path / "own.zip"
    with pytest.raises(RecordingError, match=r"'layers\.2' has a chunk that unpacks to more than its 720 bytes"):
        Recording(path).rows("layers.2", 0, 12)


def with_huge_zarr(arrays, folder):
    group = zarr.open_group(folder / "own.npz", mode="w")
    group.create_array("tokens", shape=(10**9, 5), chunks=(100, 5), dtype="i2")


BAD_FILES = {
    with_object: r"'mlp' holds Python objects \(a pickle\), and to load that could run code",
    with_declared_rows: r"'tokens' declares the shape \(1000000000, 5\) of int16, but has 0 bytes",
    with_bomb: r"'mlp.npy' unpacks \d+ bytes to 419430400; at most 200 times as many are allowed",
    with_pickled_chunks: r"it cannot be read \(No Zarr data type",
    with_gzipped_chunks: r"'\w+[.\w]*' is stored with the codec 'gzip'; allowed are ",
    with_huge_zarr: r"'tokens' has the shape \(1000000000, 5\); at most 10000000 positions in all are allowed",
}


@pytest.mark.parametrize("spoil", BAD_FILES, ids=lambda spoil: spoil.__name__)
def test_files_that_lie_are_refused_by_their_headers(spoil, tmp_path):
    spoil(arrays_of(), tmp_path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RecordingError, match=BAD_FILES[spoil]):
        Recording(tmp_path / "own.npz")
    assert not (tmp_path / "executed").exists() and {path.name for path in tmp_path.iterdir()} == {"own.npz"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


BAD_ARRAYS = {
    "'layers.2' has the shape (12, 4, 3); it must be (12, 5, 3), by 'tokens' and 'layers.2'": lambda a: {
        "layers.2": a["layers.2"][:, :4]
    },
    "'layers.10' has the shape (12, 5, 2); it must be (12, 5, 3)": lambda a: {"layers.10": a["layers.10"][:, :, :2]},
    "'layers.2' has the shape (12, 5); it must be (sequence, position, feature)": lambda a: {
        "layers.2": a["layers.2"][:, :, 0]
    },
    "'layers.2' is of type int64; allowed are float16": lambda a: {"layers.2": a["layers.2"].astype(int)},
    "'tokens' is of type float32; it must be of integers": lambda a: {"tokens": a["tokens"].astype(np.float32)},
    "'tokens' has the shape (60,); it must be (sequence, position)": lambda a: {"tokens": a["tokens"].ravel()},
    "'output' cannot name a site": lambda a: {"output": a["layers.2"]},
    "it has 'layers.10' but no 'random_init/layers.10'; the random network needs the same sites": lambda a: {
        "random_init/layers.2": a["layers.2"],
        "random_init/log_probability": a["log_probability"],
    },
}


@pytest.mark.parametrize("sentence", BAD_ARRAYS)
def test_arrays_that_do_not_fit_each_other_are_refused_by_their_headers(sentence, tmp_path):
    arrays = arrays_of()
    save(arrays | BAD_ARRAYS[sentence](arrays), tmp_path / "own.npz")
    with pytest.raises(RecordingError) as error:
        Recording(tmp_path / "own.npz")
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("retained", "sentence"),
    [(["tokens", "log_probability"], "it has no site: "), (["layers.2"], "it has no array 'tokens'; it has layers.2")],
)
def test_what_is_missing_is_named(retained, sentence, tmp_path):
    save({name: values for name, values in arrays_of().items() if name in retained}, tmp_path / "own.npz")
    with pytest.raises(RecordingError, match=sentence):
        Recording(tmp_path / "own.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but no zip", b"\x00" * 8 + b"{", b"a text"])
def test_what_is_no_such_file_is_refused(content, tmp_path):
    (tmp_path / "own").write_bytes(content)
    with pytest.raises(RecordingError, match=r"it cannot be read|it is neither Zarr"):
        Recording(tmp_path / "own")


def test_wrong_values_are_named_with_their_place(tmp_path):
    arrays = arrays_of()
    arrays["layers.2"][7, 3, 1] = np.nan
    arrays["tokens"][2, 4] = 3
    save(arrays, tmp_path / "own.npz")
    recording = Recording(tmp_path / "own.npz")
    with pytest.raises(RecordingError, match=r"'layers\.2' has the value nan in sequence 7 at position 3, column 1;"):
        recording.rows("layers.2", 5, 9)
    sentence = "'tokens' has 3 in sequence 2 at position 4; the task's tokens are 0 to 2"
    with pytest.raises(RecordingError, match=sentence):
        recording.tokens(3)


def test_activations_that_depend_on_later_tokens_are_refused_and_rounding_is_not(tmp_path):
    arrays = arrays_of(n_sequences=40)
    places, noise = places_of(arrays["tokens"]), np.random.default_rng(1).standard_normal((40, 5, 3))
    for name, scale in (("rounded", 0.01), ("bidirectional", 1)):
        arrays[name] = (arrays["layers.2"] + scale * noise).astype(np.float16)
    save(arrays, tmp_path / "own.npz")
    prefix_rows(Recording(tmp_path / "own.npz"), "rounded", places)
    sentence = r"'bidirectional' differs at position \d between the sequences \d+ and \d+"
    with pytest.raises(RecordingError, match=sentence):
        prefix_rows(Recording(tmp_path / "own.npz"), "bidirectional", places)


def test_predictions_must_be_normalised_over_the_tokens_of_the_task(tmp_path):
    arrays = arrays_of()
    arrays["log_probability"] = arrays["log_probability"] - np.float32(0.5)
    save(arrays, tmp_path / "own.npz")
    sentence = r"'log_probability' gives probabilities of 0.607 in all in sequence \d+ at"
    with pytest.raises(RecordingError, match=sentence):
        prefix_rows(Recording(tmp_path / "own.npz"), "log_probability", places_of(arrays["tokens"]))


def test_ground_truth_of_all_sequences_is_that_of_the_task_however_often_each_is_there():
    expected = markov_ground_truth(MESS3, 4, 1000, 0)
    sequences = np.array(np.meshgrid(*[range(3)] * 4)).reshape(4, -1).T
    found = markov_ground_truth(MESS3, 4, 1000, 0, np.vstack([sequences[::-1], sequences[5:9]]))
    assert found.attrs.pop("n_sequences") == 85 and found.attrs == expected.attrs
    assert found.equals(expected)


def test_weights_of_some_sequences_are_their_shares_and_0_before_the_first_scored_position():
    sequences = np.array([[0, 0, 1], [0, 0, 2], [0, 1, 1], [2, 2, 2]])
    truth = markov_ground_truth(MESS3, 3, 1000, 0, sequences, first_position=2)
    assert truth["weight"].values.tolist() == [0, 0, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25]
    assert truth.attrs["complete"] == 0


def test_sequence_that_the_process_cannot_emit_is_named():
    golden_mean = PROCESSES["golden_mean"](0.5)
    sequences = np.array([[0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0]])
    with pytest.raises(ProcessError, match="golden_mean: it cannot emit token 1 in sequence 1 at position 3, after"):
        markov_ground_truth(golden_mean, 4, 1000, 0, sequences)
