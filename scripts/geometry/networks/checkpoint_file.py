"""Checkpoint files: pretrained networks, as a state dict of one of the layouts in `checkpoint_names`.

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
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError, deserialize, safe_open

from geometry.networks.checkpoint_layouts import (
    BUFFER,
    HOW_TO_SAVE,
    CheckpointError,
    Shape,
    has_norm_weights,
    lacks_an_output,
    missing,
    parameter_shapes,
    prefix_of,
    shape_of,
    state_dict_in,
)
from geometry.networks.checkpoint_names import converted
from geometry.networks.stored_arrays import of_bfloat16

NEVER = -1e4
"""The unembedding bias of a token without an output, whose weights are 0: the exponential of this logit is 0.

No logit of a network comes near it, and every float type can represent it.
"""

PYTORCH = (b"PK\x03\x04", b"\x80")
"""The first bytes of a PyTorch file: of a zip archive or, in old versions, of a pickle."""

GIT_LFS = b"version https://git-lfs"

SAFETENSORS_TYPES = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}  # NumPy has no bfloat16
FLOATS = {*SAFETENSORS_TYPES, "float16", "bfloat16", "float32", "float64"}


def describe(path: str | Path, layout: str = "transformer_lens", n_heads: int | None = None) -> dict[str, Shape]:
    """The shapes of the parameters in a file, by the network's own names; of safetensors only the header is read.

    The number of heads is not in the file of every layout.
    """
    if _is_safetensors(path):
        try:
            with safe_open(path, framework="numpy") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
                headers = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
        except (OSError, SafetensorError) as error:
            raise _unreadable(error) from None
    else:
        headers = {name: (tuple(t.shape), str(t.dtype)) for name, t in _load_pytorch(path, layout).items()}
    weightless = {}
    for name, (shape, dtype) in _by_own_names(headers, layout).items():
        if dtype.removeprefix("torch.") not in FLOATS:
            raise CheckpointError(f"{name!r} is of type {dtype}; allowed are float16, bfloat16, float32 and float64")
        weightless[name] = np.broadcast_to(np.float32(0), shape)  # of any size, one number
    return {name: values.shape for name, values in converted(weightless, layout, n_heads).items()}


def read(path: str | Path, layout: str = "transformer_lens", n_heads: int | None = None) -> dict[str, ndarray]:
    """The parameters in a file as float32, by the network's own names, buffers left out."""
    if _is_safetensors(path):
        try:
            content = deserialize(Path(path).read_bytes())
        except (OSError, SafetensorError) as error:
            raise _unreadable(error) from None
        parts = _by_own_names(dict(content), layout)
        weights = {name: _from_bytes(part) for name, part in parts.items()}
    else:
        tensors = _by_own_names(_load_pytorch(path, layout), layout)
        weights = {name: tensor.float().numpy() for name, tensor in tensors.items()}
    return {name: np.ascontiguousarray(values) for name, values in converted(weights, layout, n_heads).items()}


def _by_own_names(content: Mapping, layout: str) -> dict:
    """A state dict without the prefix of its names, and without buffers."""
    length = len(prefix_of(content, layout))
    own = {name[length:]: value for name, value in content.items()}
    return {name: value for name, value in own.items() if not BUFFER.fullmatch(name)}


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
    text = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:120]
    return CheckpointError(f"it cannot be read ({text})")


def _from_bytes(part: Mapping) -> ndarray:
    if part["dtype"] == "BF16":
        return of_bfloat16(part["data"]).reshape(part["shape"])
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        return np.frombuffer(part["data"], SAFETENSORS_TYPES[part["dtype"]]).reshape(part["shape"]).astype(np.float32)


def _load_pytorch(path: str | Path, layout: str) -> dict:
    """The state dict in a PyTorch file."""
    import torch  # takes seconds, and only PyTorch files need it

    _check_zip_sizes(path)
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
    content = state_dict_in(content, layout)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise CheckpointError(f"it holds a {type(content).__name__}; it must be a state dict, tensors by name")
    for name, value in content.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(f"{name!r} is a {type(value).__name__}; it must be a tensor")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise CheckpointError(f"{name!r} is {value.layout} on {value.device}; it must be a dense tensor of floats")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(f"{name!r} has shape {tuple(value.shape)}, but fewer numbers; save it contiguous")
    return {name: tensor.detach() for name, tensor in content.items()}


def _check_zip_sizes(path: str | Path) -> None:
    """Raise an error if the parts of a zip archive are longer than the file, as torch.save never makes them."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return  # no zip, or a damaged one, of which PyTorch's reader tells
    if size > os.path.getsize(path):
        raise CheckpointError(f"its parts are {size} bytes, more than the file: they are compressed; {HOW_TO_SAVE}")


def check_shapes(shapes: Mapping[str, Shape], normalization: str) -> dict[str, int]:
    """The sizes of a network, after checking that exactly its parameters are there, of the right shape."""
    sizes, normalized = shape_of(shapes), has_norm_weights(shapes)
    if normalized and normalization == "none":
        raise CheckpointError("it has weights of LayerNorm, but model.normalization is 'none'; allowed is LN")
    outputs = {"d_vocab_out": sizes["d_vocab"] - 1} if lacks_an_output(shapes, sizes) else {}
    expected = dict(parameter_shapes({**sizes, **outputs}, normalized))
    for name, shape in expected.items():
        if name not in shapes:
            raise missing(name)
        if shapes[name] != shape:
            listed = ", ".join(f"{key} {size}" for key, size in sizes.items())
            raise CheckpointError(f"{name} has shape {shapes[name]}; it must be {shape} for {listed}")
    for name in shapes:
        if name not in expected:
            one_block = parameter_shapes({**sizes, "n_layers": 1}, True)
            allowed = ", ".join(known.replace("blocks.0", "blocks.*") for known, _ in one_block)
            raise CheckpointError(f"{name[:120]!r} is unknown; allowed are {allowed}")
    return sizes


def check_outputs(shapes: Mapping[str, Shape], sizes: Mapping[str, int], input_only: bool) -> None:
    """Raise an error if an output is missing, unless the last token is never predicted."""
    if lacks_an_output(shapes, sizes) and not input_only:
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
    shapes = {name: values.shape for name, values in tensors.items()}
    sizes = {**check_shapes(shapes, normalization), "n_ctx": n_ctx}
    wanted = parameter_shapes(sizes, normalization == "LN")
    if lacks_an_output(shapes, sizes):
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
