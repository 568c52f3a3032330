"""Arrays in a file from elsewhere: a Zarr group, NumPy's .npz or safetensors, read as data and some rows at a time.

At first only headers are read; the format is recognised by the content. Nothing in a file is executed: no pickle is
loaded, and of Zarr's codecs only those that are named here are called. A file that cannot be used raises a
`RecordingError` of one sentence.
"""

import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError, safe_open

SAFETENSORS_TYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"} | {
    f"{kind}{8 * size}": f"{name}{8 * size}" for kind, name in (("I", "int"), ("U", "uint")) for size in (1, 2, 4, 8)
}

PACKING = {"zstd", "blosc"}
CODECS = {"bytes", "crc32c", *PACKING}
"""Codecs of Zarr that are called; those that pack state in a header how much they unpack to."""

MOST_BYTES_AT_ONCE = 2**29
"""Bytes that are stored together, as a chunk of Zarr, at most."""

LARGEST_RATIO = 200
"""Bytes that one byte of a zip file may become; those of zeros become a thousand."""


class RecordingError(ValueError):
    """A file of activations that cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class StoredArray:
    """An array in a file: `rows` reads those from one row to before another; `step` rows are stored together."""

    shape: tuple[int, ...]
    dtype: str
    rows: Callable[[int, int], ndarray]
    step: int = 1


def stored_arrays(path: str | Path) -> dict[str, StoredArray]:
    """The arrays in a file by name, those of a group of Zarr as `group/name`; only headers are read."""
    with _in_a_sentence():
        if not os.path.lexists(path):
            where = f"a path is relative to the working directory, {os.getcwd()!r}"
            raise RecordingError(f"there is no such file or folder ({where})")
        if os.path.isdir(path):
            return _zarr_arrays(path, "")
        with open(path, "rb") as file:
            start = file.read(9)
        if start.startswith(b"PK\x03\x04"):
            return _arrays_of_zip(path)
        if start[8:] == b"{":
            return _safetensors_arrays(path)
        raise RecordingError("it is neither Zarr (a folder or a zip file) nor .npz nor safetensors")


@contextmanager
def _in_a_sentence() -> Iterator[None]:
    """Errors of whatever reads a damaged file as a `RecordingError`; its readers raise many kinds."""
    try:
        yield
    except RecordingError:
        raise
    except Exception as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        raise RecordingError(f"it cannot be read ({text[:120] or type(error).__name__})") from None


def _reader(read: Callable[[int, int], ndarray]) -> Callable[[int, int], ndarray]:
    def rows(start: int, stop: int) -> ndarray:
        with _in_a_sentence():
            return read(start, stop)

    return rows


def of_bfloat16(data: bytes | bytearray) -> ndarray:
    """Numbers in bfloat16, which is the upper half of a float32 and which NumPy lacks."""
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def _from_bytes(data: bytes, dtype: str, shape: tuple[int, ...]) -> ndarray:
    return (of_bfloat16(data) if dtype == "bfloat16" else np.frombuffer(data, np.dtype(dtype))).reshape(shape)


def _safetensors_arrays(path: str | Path) -> dict[str, StoredArray]:
    try:
        with safe_open(path, framework="numpy") as file:  # checks that header and file fit each other
            names = list(file.keys())
    except SafetensorError as error:
        raise RecordingError(f"it cannot be read ({error})") from None
    with open(path, "rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(start - 8))

    def array(entry: dict) -> StoredArray:
        shape, dtype = tuple(entry["shape"]), SAFETENSORS_TYPES.get(entry["dtype"], entry["dtype"])
        size = np.dtype("u2" if dtype == "bfloat16" else dtype).itemsize if dtype != entry["dtype"] else 1
        row = size * math.prod(shape[1:])

        def rows(first: int, last: int) -> ndarray:
            with open(path, "rb") as file:
                file.seek(start + entry["data_offsets"][0] + first * row)
                return _from_bytes(file.read((last - first) * row), dtype, (last - first, *shape[1:]))

        return StoredArray(shape, dtype, _reader(rows))

    return {name: array(header[name]) for name in names}


def _arrays_of_zip(path: str | Path) -> dict[str, StoredArray]:
    """The arrays of an .npz or of Zarr in a zip file, whose entries must not unpack to much more than they are."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    for entry in entries:
        if entry.file_size > MOST_BYTES_AT_ONCE // 8 and entry.file_size > LARGEST_RATIO * entry.compress_size:
            raise RecordingError(
                f"{entry.filename!r} unpacks {entry.compress_size} bytes to {entry.file_size}; "
                f"at most {LARGEST_RATIO} times as many are allowed"
            )
    names = {entry.filename for entry in entries}
    if names & {"zarr.json", ".zgroup"}:
        largest = max(entries, key=lambda entry: entry.file_size)
        if largest.file_size > MOST_BYTES_AT_ONCE:
            raise _too_large(largest.filename, largest.file_size)
        return _zarr_arrays(path, "zip")
    others = [entry.filename for entry in entries if not entry.filename.endswith(".npy")]
    if others or not entries:
        raise RecordingError(f"it is a zip file with {others[0] if others else 'nothing'!r}, neither .npz nor Zarr")
    return {entry.filename.removesuffix(".npy"): _npy_array(path, entry) for entry in entries}


def _too_large(name: str, size: int) -> RecordingError:
    return RecordingError(f"{name!r} is stored in pieces of {size} bytes; at most {MOST_BYTES_AT_ONCE} are allowed")


def _npy_array(path: str | Path, entry: zipfile.ZipInfo) -> StoredArray:
    """An array of an .npz; its rows are read on from where the last ones ended, as they may be compressed."""
    name = entry.filename.removesuffix(".npy")
    archive = zipfile.ZipFile(path)
    stream = archive.open(entry)
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, in_fortran_order, dtype = readers[version](stream)
    if dtype.hasobject:
        raise RecordingError(f"{name!r} holds Python objects (a pickle), and to load that could run code")
    if in_fortran_order and len(shape) > 1:
        raise RecordingError(f"{name!r} is in Fortran order; save numpy.ascontiguousarray of it")
    start, row = stream.tell(), dtype.itemsize * math.prod(shape[1:])
    if entry.file_size != start + row * (shape[0] if shape else 1):
        raise RecordingError(f"{name!r} declares the shape {shape} of {dtype}, but has {entry.file_size - start} bytes")

    def rows(first: int, last: int) -> ndarray:
        stream.seek(start + first * row)
        data = b"".join(iter(lambda: stream.read(start + last * row - stream.tell()), b""))
        return np.frombuffer(data, dtype).reshape(last - first, *shape[1:])

    return StoredArray(shape, dtype.name, _reader(rows))


def _zarr_arrays(path: str | Path, kind: str) -> dict[str, StoredArray]:
    import zarr  # takes a second, and few studies need it while they are planned

    store = zarr.storage.ZipStore(path, mode="r") if kind == "zip" else zarr.storage.LocalStore(path, read_only=True)
    members = zarr.open_group(store, mode="r").members(max_depth=1)
    return {name: _zarr_array(name, array, path, kind) for name, array in members if isinstance(array, zarr.Array)}


def _beginnings(path: str | Path, kind: str, name: str) -> Iterator[bytes]:
    """The first bytes of each file of an array of Zarr."""
    if kind == "zip":
        with zipfile.ZipFile(path) as archive:
            for entry in archive.namelist():
                if entry.startswith(f"{name}/") and not entry.endswith("/"):
                    with archive.open(entry) as file:
                        yield file.read(18)
    else:
        for part in filter(Path.is_file, Path(path, name).rglob("*")):
            with open(part, "rb") as file:
                yield file.read(18)


def unpacked_bytes(start: bytes, codec: str) -> int | float:
    """The size that the header of what a codec has packed names; infinity if none.

    That of zstd: RFC 8878, section 3.1.1; of Blosc: its README_CHUNK_FORMAT.
    """
    if codec == "blosc":
        return int.from_bytes(start[4:8], "little")
    descriptor = start[4]
    flag, is_single = descriptor >> 6, descriptor >> 5 & 1
    size = 2**flag if flag else is_single
    place = 5 + (1 - is_single) + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(start[place : place + size], "little") + 256 * (flag == 1) if size else math.inf


def _zarr_array(name: str, array, path: str | Path, kind: str) -> StoredArray:
    found = array.metadata.to_dict()
    steps = found.get("codecs") or [*(found["filters"] or ()), *([found["compressor"]] * bool(found["compressor"]))]
    codecs = [codec.get("name", codec.get("id")) for codec in steps]
    packing = [codec for codec in codecs if codec in PACKING]
    if wrong := [codec for codec in codecs if codec not in CODECS] or packing[1:]:
        allowed = f"{', '.join(sorted(CODECS))}, and of {' and '.join(sorted(PACKING))} one"
        raise RecordingError(f"{name!r} is stored with the codec {wrong[0]!r}; allowed are {allowed}")
    if (size := math.prod(array.chunks) * array.dtype.itemsize) > MOST_BYTES_AT_ONCE:
        raise _too_large(name, size)

    @cache
    def check_chunks() -> None:
        for codec, start in product(packing, _beginnings(path, kind, name)):
            if not start.startswith(b"{") and unpacked_bytes(start, codec) > size:  # a header is JSON
                raise RecordingError(f"{name!r} has a chunk that unpacks to more than its {size} bytes")

    def rows(start: int, stop: int) -> ndarray:
        check_chunks()
        return np.asarray(array[start:stop])

    return StoredArray(tuple(array.shape), array.dtype.name, _reader(rows), array.chunks[0] if array.chunks else 1)
