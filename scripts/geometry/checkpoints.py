"""Checkpoints: networks that were trained elsewhere, as the state dict of a TransformerLens `HookedTransformer`.

A file is read as data, never as code: safetensors, or a PyTorch file of which PyTorch's restricted reader
takes tensors and nothing else. What cannot be used is told in one sentence, a `CheckpointError`.

A state dict does not tell the activation function, nor whether LayerNorm is applied where it has no weights
(TransformerLens's LNPre, after `fold_ln`); these are up to the configuration. LNPre is LayerNorm with the
scale one and the shift zero.
"""

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError, deserialize, safe_open

BUFFER = re.compile(r"blocks\.\d+\.attn\.(mask|IGNORE)")
"""What TransformerLens saves beside the parameters."""

NORMS = ("ln1", "ln2", "ln_final")

SAFETENSORS_TYPES = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}  # NumPy has no bfloat16
FLOATS = "float16, bfloat16, float32 and float64"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class Entry:
    """A tensor of a file, unread."""

    shape: tuple[int, ...]
    is_float: bool
    dtype: str


def describe(path: str | Path) -> dict[str, Entry]:
    """What a file holds; of safetensors only the header is read."""
    if _is_safetensors(path):
        try:
            with safe_open(path, framework="numpy") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
                found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
        except (OSError, SafetensorError) as error:
            raise _unreadable(error) from None
        return {name: Entry(shape, dtype in SAFETENSORS_TYPES, dtype) for name, (shape, dtype) in found.items()}
    tensors = _load_pytorch(path).items()
    return {name: Entry(tuple(t.shape), t.is_floating_point(), _dtype(t)) for name, t in tensors}


def read(path: str | Path) -> dict[str, ndarray]:
    """The parameters in a file as float32, buffers left out."""
    if _is_safetensors(path):
        try:
            content = deserialize(Path(path).read_bytes())
        except (OSError, SafetensorError) as error:
            raise _unreadable(error) from None
        return {name: _from_bytes(name, part) for name, part in content if not BUFFER.fullmatch(name)}
    tensors = _load_pytorch(path).items()
    return {name: tensor.float().numpy() for name, tensor in tensors if not BUFFER.fullmatch(name)}


def _is_safetensors(path: str | Path) -> bool:
    suffix = Path(path).suffix
    if suffix not in (".safetensors", ".pt", ".pth"):
        raise CheckpointError(f"the name ends in {suffix!r}; allowed are .safetensors, .pt and .pth")
    if not os.path.isfile(path):  # which also answers for a name that no file can have
        raise CheckpointError("there is no such file; a path is relative to the working directory")
    return suffix == ".safetensors"


def _unreadable(error: Exception) -> CheckpointError:
    return CheckpointError(f"it cannot be read ({_one_line(error)})")


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
    """The state dict in a PyTorch file, which is it or has it under `model` or `state_dict`."""
    import torch  # takes seconds, which no study without such a file should wait for

    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the restricted reader fails in as many ways as there are broken files
        kind, how = type(error).__name__, "save it with torch.save(network.state_dict(), path)"
        raise CheckpointError(f"it is damaged, or holds more than tensors ({kind}); {how}") from None
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
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


def shape_of(entries: Mapping[str, Entry]) -> dict[str, int]:
    """The sizes of the network in a state dict, by TransformerLens's names."""
    d_vocab, d_model = _sizes(entries, "embed.W_E", 2)
    n_ctx, _ = _sizes(entries, "pos_embed.W_pos", 2)
    n_heads, _, d_head = _sizes(entries, "blocks.0.attn.W_Q", 3)
    _, d_mlp = _sizes(entries, "blocks.0.mlp.W_in", 2)
    layers = {name.split(".")[1] for name in entries if name.startswith("blocks.")}
    n_layers = next(layer for layer in count() if str(layer) not in layers)
    sizes = {"n_layers": n_layers, "n_heads": n_heads, "d_model": d_model, "d_head": d_head, "d_mlp": d_mlp}
    return {**sizes, "d_vocab": d_vocab, "n_ctx": n_ctx}


def _sizes(entries: Mapping[str, Entry], name: str, n_dims: int) -> tuple[int, ...]:
    if name not in entries:
        raise _missing(name)
    if len(entries[name].shape) != n_dims:
        raise CheckpointError(f"{name} has shape {entries[name].shape}; it must have {n_dims} dimensions")
    return entries[name].shape


def _missing(name: str) -> CheckpointError:
    return CheckpointError(f"{name} is missing; a HookedTransformer with learned positions, attention and MLP has it")


def has_norm_weights(names: Mapping[str, object]) -> bool:
    """Whether LayerNorm has weights of its own; none are left of it once they are folded into what follows."""
    return any(name.split(".")[-2:-1] in [[norm] for norm in NORMS] for name in names)


def parameter_shapes(sizes: Mapping[str, int], normalized: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every parameter of a network of some sizes, in the order of its forward pass."""
    heads, d_model, d_head, d_mlp = (sizes[name] for name in ("n_heads", "d_model", "d_head", "d_mlp"))
    norm = {"w": (d_model,), "b": (d_model,)} if normalized else {}
    block = {f"ln1.{name}": shape for name, shape in norm.items()}
    for letter in "QKV":
        block |= {f"attn.W_{letter}": (heads, d_model, d_head), f"attn.b_{letter}": (heads, d_head)}
    block |= {"attn.W_O": (heads, d_head, d_model), "attn.b_O": (d_model,)}
    block |= {f"ln2.{name}": shape for name, shape in norm.items()}
    block |= {
        "mlp.W_in": (d_model, d_mlp),
        "mlp.b_in": (d_mlp,),
        "mlp.W_out": (d_mlp, d_model),
        "mlp.b_out": (d_model,),
    }
    yield "embed.W_E", (sizes["d_vocab"], d_model)
    yield "pos_embed.W_pos", (sizes["n_ctx"], d_model)
    for layer in range(sizes["n_layers"]):
        yield from ((f"blocks.{layer}.{name}", shape) for name, shape in block.items())
    yield from ((f"ln_final.{name}", shape) for name, shape in norm.items())
    yield "unembed.W_U", (d_model, sizes["d_vocab"])
    yield "unembed.b_U", (sizes["d_vocab"],)


def check_entries(entries: Mapping[str, Entry], normalization: str) -> dict[str, int]:
    """The sizes of a network whose parameters are all there, of the right shape and type, and no others."""
    sizes, normalized = shape_of(entries), has_norm_weights(entries)
    if normalized and normalization == "none":
        raise CheckpointError("it has weights of LayerNorm, but model.normalization is 'none'; allowed is LN")
    expected = dict(parameter_shapes(sizes, normalized))
    for name, shape in expected.items():
        if name not in entries:
            raise _missing(name)
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


def check_task(sizes: Mapping[str, int], n_tokens: int, context: int, bos: bool) -> None:
    """Raise a vocabulary or a context that the network was not made for."""
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
    """The parameters as this project's network has them: as many positions as needed, every LayerNorm with weights."""
    entries = {name: Entry(values.shape, True, "float32") for name, values in tensors.items()}
    sizes = {**check_entries(entries, normalization), "n_ctx": n_ctx}
    wanted = parameter_shapes(sizes, normalization == "LN")
    folded = {"w": np.ones(sizes["d_model"], np.float32), "b": np.zeros(sizes["d_model"], np.float32)}
    parameters = {name: tensors[name] if name in tensors else folded[name[-1]] for name, _ in wanted}
    parameters["pos_embed.W_pos"] = parameters["pos_embed.W_pos"][:n_ctx]
    for name, values in parameters.items():
        if not np.isfinite(values).all():
            wrong = values[~np.isfinite(values)][0]
            raise CheckpointError(f"{name} has the value {wrong} (as float32); all must be finite numbers")
    return parameters
