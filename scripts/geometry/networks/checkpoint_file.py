"""Checkpoint files: pretrained networks, as the state dict of a TransformerLens `HookedTransformer`.

A file is read as data, never as code: safetensors, or a PyTorch file of which PyTorch's restricted reader
loads tensors and plain values only; the format is recognised by the content. A file that cannot be used raises a
`CheckpointError` of one sentence.

A state dict determines neither the activation function, nor whether LayerNorm is applied where it has no weights
(TransformerLens's LNPre, after `fold_ln`); these are set in the configuration. LNPre is LayerNorm with
scale one and shift zero.
"""

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError, deserialize, safe_open

from geometry.networks.checkpoint_layouts import (
    HOW_TO_SAVE,
    CheckpointError,
    Entry,
    has_norm_weights,
    lacks_an_output,
    missing,
    parameter_shapes,
    prefix_of,
    shape_of,
    state_dict_in,
)

BUFFER = re.compile(r"blocks\.\d+\.attn\.(mask|IGNORE)")
"""Buffers that TransformerLens saves beside the parameters."""

NEVER = -1e4
"""The unembedding bias of a token without an output, whose weights are 0: the exponential of this logit is 0.

No logit of a network comes near it, and every float type can represent it.
"""

PYTORCH = (b"PK\x03\x04", b"\x80")
"""The first bytes of a PyTorch file: of a zip archive or, in old versions, of a pickle."""

GIT_LFS = b"version https://git-lfs"

SAFETENSORS_TYPES = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}  # NumPy has no bfloat16
FLOATS = "float16, bfloat16, float32 and float64"


def describe(path: str | Path) -> dict[str, Entry]:
    """The headers of the tensors in a file, by the network's own names; of safetensors only the header is read."""
    if _is_safetensors(path):
        try:
            with safe_open(path, framework="numpy") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
                found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
        except (OSError, SafetensorError) as error:
            raise _unreadable(error) from None
        entries = {name: Entry(shape, dtype in SAFETENSORS_TYPES, dtype) for name, (shape, dtype) in found.items()}
    else:
        tensors = _load_pytorch(path).items()
        entries = {name: Entry(tuple(t.shape), t.is_floating_point(), _dtype(t)) for name, t in tensors}
    return _by_own_names(entries)


def read(path: str | Path) -> dict[str, ndarray]:
    """The parameters in a file as float32, by the network's own names, buffers left out."""
    if _is_safetensors(path):
        try:
            content = deserialize(Path(path).read_bytes())
        except (OSError, SafetensorError) as error:
            raise _unreadable(error) from None
        parameters = _without_buffers(_by_own_names(dict(content)))
        return {name: _from_bytes(name, part) for name, part in parameters.items()}
    parameters = _without_buffers(_by_own_names(_load_pytorch(path)))
    return {name: tensor.float().numpy() for name, tensor in parameters.items()}


def _by_own_names(content: Mapping) -> dict:
    length = len(prefix_of(content))
    return {name[length:]: value for name, value in content.items()}


def _without_buffers(content: Mapping) -> dict:
    return {name: value for name, value in content.items() if not BUFFER.fullmatch(name)}


def _is_safetensors(path: str | Path) -> bool:
    """True for safetensors, False for a PyTorch file; raises a `CheckpointError` for anything else."""
    if not os.path.isfile(path):  # also False for a name that no file can have
        raise _no_file(path)
    try:
        with open(path, "rb") as file:
            start = file.read(len(GIT_LFS))
    except OSError as error:
        raise _unreadable(error) from None
    if start.startswith(GIT_LFS):
        raise CheckpointError("it is a pointer of Git LFS; fetch the file itself with git lfs pull")
    is_safetensors = start[8:9] == b"{"  # the header follows its length, which may begin like a pickle
    if not is_safetensors and not start.startswith(PYTORCH):
        raise CheckpointError("it is neither a safetensors nor a PyTorch file")
    return is_safetensors


def _no_file(path: str | Path) -> CheckpointError:
    """The error for a path that leads to no file."""
    if os.path.islink(path) and not os.path.exists(path):
        return CheckpointError(f"it is a link to {os.readlink(path)!r}, which does not exist")
    if os.path.lexists(path):
        return CheckpointError(f"it is {'a folder' if os.path.isdir(path) else 'a device or pipe'}; it must be a file")
    folder = os.path.dirname(os.path.abspath(path))
    hint = "a path is relative to the working directory"
    return CheckpointError(f"there is no such file in {folder!r} ({hint}, {os.getcwd()!r})")


def _unreadable(error: Exception) -> CheckpointError:
    text = error.strerror if isinstance(error, OSError) and error.strerror else _one_line(error)
    return CheckpointError(f"it cannot be read ({text})")


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:120]


def _from_bytes(name: str, part: Mapping) -> ndarray:
    if part["dtype"] not in SAFETENSORS_TYPES:
        raise _not_float(name, part["dtype"])
    array = np.frombuffer(part["data"], SAFETENSORS_TYPES[part["dtype"]]).reshape(part["shape"])
    if part["dtype"] == "BF16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        return array.astype(np.float32)


def _not_float(name: str, dtype: str) -> CheckpointError:
    return CheckpointError(f"{name!r} is of type {dtype}; allowed are {FLOATS}")


def _load_pytorch(path: str | Path) -> dict:
    """The state dict in a PyTorch file."""
    import torch  # takes seconds, and only PyTorch files need it

    try:
        with open(path, "rb") as file, warnings.catch_warnings(action="ignore"):  # a path's suffix would matter
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the restricted reader fails in as many ways as there are broken files
        refused = re.search(r"[Uu]nsupported (?:global: )?GLOBAL (\S+)", str(error))
        if refused:
            what = f"it holds a {refused[1][:80]!r} beside tensors, and to load that could run code"
        else:
            what = f"it is damaged, or holds more than tensors ({type(error).__name__})"
        raise CheckpointError(f"{what}; {HOW_TO_SAVE}") from None
    content = state_dict_in(content)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise CheckpointError(f"it holds a {type(content).__name__}; it must be a state dict, tensors by name")
    for name, value in content.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(f"{name!r} is a {type(value).__name__}; it must be a tensor")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise CheckpointError(f"{name!r} is {value.layout} on {value.device}; it must be a dense tensor of floats")
    return {name: tensor.detach() for name, tensor in content.items()}


def _dtype(tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def check_entries(entries: Mapping[str, Entry], normalization: str) -> dict[str, int]:
    """The sizes of a network, after checking that exactly its parameters are there, of the right shape and type."""
    sizes, normalized = shape_of(entries), has_norm_weights(entries)
    if normalized and normalization == "none":
        raise CheckpointError("it has weights of LayerNorm, but model.normalization is 'none'; allowed is LN")
    outputs = {"d_vocab_out": sizes["d_vocab"] - 1} if lacks_an_output(entries, sizes) else {}
    expected = dict(parameter_shapes({**sizes, **outputs}, normalized))
    for name, shape in expected.items():
        if name not in entries:
            raise missing(name)
        if entries[name].shape != shape:
            raise CheckpointError(f"{name} has shape {entries[name].shape}; it must be {shape} for {_listed(sizes)}")
        if not entries[name].is_float:
            raise _not_float(name, entries[name].dtype)
    for name in entries:
        if name not in expected and not BUFFER.fullmatch(name):
            raise CheckpointError(f"{name[:120]!r} is unknown; allowed are {', '.join(_allowed_names(sizes))}")
    return sizes


def _listed(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {size}" for name, size in sizes.items())


def _allowed_names(sizes: Mapping[str, int]) -> list[str]:
    one_block = parameter_shapes({**sizes, "n_layers": 1}, True)
    return [name.replace("blocks.0", "blocks.*") for name, _ in one_block]


def check_outputs(entries: Mapping[str, Entry], sizes: Mapping[str, int], input_only: bool) -> None:
    """Raise an error if an output is missing, unless the last token is never predicted."""
    if lacks_an_output(entries, sizes) and not input_only:
        raise CheckpointError(
            f"d_vocab_out is {sizes['d_vocab'] - 1}; it must be {sizes['d_vocab']}, as d_vocab: only of '=' in modular "
            "arithmetic, or of a token for the beginning (model.bos), may the output be missing"
        )


def check_task(sizes: Mapping[str, int], n_tokens: int, context: int, bos: bool) -> None:
    """Raise an error if the network's vocabulary or context does not fit the task."""
    if sizes["d_vocab"] != n_tokens + bos:
        start = "and, as model.bos is true, one for the beginning" if bos else f"({n_tokens + 1} with model.bos)"
        raise CheckpointError(
            f"d_vocab is {sizes['d_vocab']}; it must be {n_tokens + bos}, the task's {n_tokens} tokens {start}"
        )
    if sizes["n_ctx"] < context + bos:
        raise CheckpointError(
            f"n_ctx is {sizes['n_ctx']}; task.context is {context} and must be at most {sizes['n_ctx'] - bos}"
        )


def network_parameters(tensors: Mapping[str, ndarray], n_ctx: int, normalization: str) -> dict[str, ndarray]:
    """The parameters in this project's form: `n_ctx` positions, weights for every LayerNorm.

    A last token that is an input only gets an output of probability 0.
    """
    entries = {name: Entry(values.shape, True, "float32") for name, values in tensors.items()}
    sizes = {**check_entries(entries, normalization), "n_ctx": n_ctx}
    wanted = parameter_shapes(sizes, normalization == "LN")
    if lacks_an_output(entries, sizes):
        W_U, b_U = tensors["unembed.W_U"], tensors["unembed.b_U"]
        padded = np.pad(W_U, ((0, 0), (0, 1))), np.pad(b_U, (0, 1), constant_values=NEVER)
        tensors = {**tensors, "unembed.W_U": padded[0], "unembed.b_U": padded[1]}
    folded = {"w": np.ones(sizes["d_model"], np.float32), "b": np.zeros(sizes["d_model"], np.float32)}
    parameters = {name: tensors[name] if name in tensors else folded[name[-1]] for name, _ in wanted}
    parameters["pos_embed.W_pos"] = parameters["pos_embed.W_pos"][:n_ctx]
    for name, values in parameters.items():
        if not np.isfinite(values).all():
            wrong = values[~np.isfinite(values)][0]
            raise CheckpointError(f"{name} has the value {wrong} (as float32); all must be finite numbers")
    return parameters
