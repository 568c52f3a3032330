"""Folders of language models, as Hugging Face's transformers reads them: their sizes, from headers alone.

A folder has either a ``config.json`` with weights in safetensors, or one file in GGUF. Nothing in it is ever run: a
model with code of its own (``auto_map``) and pickled weights are refused.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from geometry.networks.checkpoint_layouts import CheckpointError

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
WIDTHS = ("hidden_size", "n_embd", "d_model", "dim")
"""Names of the same two sizes in the configurations of different models."""

MOST_LAYERS, MOST_WIDTH = 256, 8192

LONGEST_TEXT = 100_000_000
"""Bytes of a configuration, at most."""

NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TEXT, ARRAY = 8, 9
"""Types of a value in GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md)."""


@dataclass(frozen=True)
class LanguageModelFiles:
    """The files of a language model, and its sizes."""

    folder: str
    gguf: str | None  # the name of the file with everything
    n_layers: int
    d_model: int
    weights: tuple[str, ...]  # the paths of the files with weights

    @property
    def sites(self) -> list[str]:
        """Layer outputs in their order: the embedding, then the state behind each layer, the last one normalised."""
        return [f"layers.{layer}" for layer in range(self.n_layers + 1)]

    @property
    def n_bytes(self) -> int:
        return sum(Path(path).stat().st_size for path in self.weights)


def language_model_files(folder: str) -> LanguageModelFiles:
    """The files in a folder; raises a `CheckpointError` of one sentence for what cannot be read, or would run code."""
    place = Path(folder)
    if not place.is_dir():
        raise CheckpointError("it is no folder; format huggingface needs one with config.json and safetensors, or GGUF")
    gguf = sorted(path.name for path in place.glob("*.gguf"))
    if not (place / "config.json").is_file():
        if len(gguf) != 1:
            raise CheckpointError(f"it has no config.json and {len(gguf)} files *.gguf; it needs one of either")
        found = dict(_gguf_numbers(place / gguf[0]))
        sizes = [found.get("block_count"), found.get("embedding_length")]
        weights, name = [place / gguf[0]], gguf[0]
    else:
        settings = [_json(path) for path in sorted(place.glob("*config.json"))]
        if any("auto_map" in one for one in settings):
            raise CheckpointError("it comes with code of its own (auto_map), which is never run")
        weights, name = sorted(place.glob("*.safetensors")), None
        if not weights:
            raise CheckpointError("it has no weights in safetensors; pickled ones (*.bin) are not read")
        config = _json(place / "config.json")
        config = config.get("text_config", config)
        sizes = [next((config[key] for key in keys if key in config), None) for keys in (LAYERS, WIDTHS)]
    for what, size, most in zip(("layers", "features"), sizes, (MOST_LAYERS, MOST_WIDTH), strict=True):
        if not isinstance(size, int) or not 0 < size <= most:
            raise CheckpointError(f"its configuration has {size!r} {what}; allowed are 1 to {most}")
    return LanguageModelFiles(folder, name, *sizes, tuple(map(str, weights)))


def _json(path: Path) -> Mapping:
    try:
        if path.stat().st_size > LONGEST_TEXT:
            raise CheckpointError(f"{path.name} has {path.stat().st_size} bytes; at most {LONGEST_TEXT} are read")
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} cannot be read ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path.name} holds a {type(found).__name__}; it must be a mapping")
    return found


def _gguf_numbers(path: Path) -> Iterator[tuple[str, int | float]]:
    """The numbers in the header of a GGUF file by the last part of their names, without their arrays and texts."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise CheckpointError(f"{path.name} does not begin as GGUF does")
        try:
            (_, _, n_entries) = _unpack(file, "<IQQ")
            for _ in range(min(n_entries, 10_000)):
                name = _text(file, path)
                value = _value(file, path, *_unpack(file, "<I"))
                if value is not None:
                    yield name.rpartition(".")[2], value
                if name.startswith("tokenizer."):  # behind the sizes
                    return
        except struct.error:
            raise CheckpointError(f"{path.name} is cut short, or its header is damaged") from None


def _unpack(file: BinaryIO, form: str) -> tuple:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _text(file: BinaryIO, path: Path) -> str:
    (length,) = _unpack(file, "<Q")
    if length > min(LONGEST_TEXT, path.stat().st_size):
        raise CheckpointError(f"{path.name} declares a text of {length} bytes in its header")
    return file.read(length).decode(errors="replace")


def _value(file: BinaryIO, path: Path, kind: int):
    """A number; of a text or an array, which are passed over, None."""
    if kind in NUMBERS:
        return _unpack(file, NUMBERS[kind])[0]
    if kind == TEXT:
        _text(file, path)
        return None
    if kind != ARRAY:
        raise CheckpointError(f"{path.name} has a value of the unknown type {kind} in its header")
    kind, n_values = _unpack(file, "<IQ")
    if n_values > path.stat().st_size:
        raise CheckpointError(f"{path.name} declares {n_values} values in its header, more than it has bytes")
    for _ in range(n_values):
        _value(file, path, kind)
    return None
