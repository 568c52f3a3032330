"""Reading and writing of artefacts: atomic, and the same bytes for the same content.

Files are written under a temporary name in the same folder and moved to their path when complete.
"""

import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from numpy import ndarray
from safetensors.numpy import load_file, save

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every entry in an archive, so that identical content gives identical bytes."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path that becomes `path` if the block succeeds and vanishes if it fails.

    It always has the same name, so that remains of a killed process are cleared by the next.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder / path.name
        os.replace(folder / path.name, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def files_below(folder: str | Path, is_entered: Callable[[Path], bool] = lambda link: True) -> Iterator[Path]:
    """Every file below a folder by its path there, sorted, through links to folders too.

    Paths that are not entered are yielded themselves: links without a target, to a parent folder, refused by
    `is_entered`, or behind a link and to the target of a previous one; unreadable folders. Files that operating
    systems create are left out.
    """
    entered = set()

    def walk(
        folder: Path, holders: tuple[str, ...]
    ) -> Iterator[Path]:  # holders: the real folders of the links on the path
        try:
            paths = sorted(folder.iterdir())
        except OSError:
            yield folder
            return
        for path in paths:
            if LEFT_BEHIND.fullmatch(path.name):
                continue
            if not os.path.isdir(path):
                yield path
                continue
            if not path.is_symlink():
                yield from walk(path, holders)
                continue
            place, behind = os.path.realpath(path), (*holders, os.path.realpath(folder))
            if leads_up(place, behind) or not is_entered(path) or (holders and place in entered):
                yield path
            else:
                entered.add(place)
                yield from walk(path, behind)

    yield from walk(Path(folder), ()) if os.path.lexists(folder) else ()


def leads_up(place: str, holders: Iterable[str]) -> bool:
    """True if a folder is or contains one of `holders`."""
    return any(Path(holder).is_relative_to(place) for holder in holders)


LEFT_BEHIND = re.compile(
    r"\.DS_Store|\._.*|\.AppleDouble|\.apdisk|\.localized|Icon\r|\.Spotlight-V100|\.fseventsd|\.TemporaryItems|\.Trashes"
    r"|Thumbs\.db|ehthumbs\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information"
    r"|\.nfs[0-9a-fA-F]+|\.fuse_hidden\w+|\.directory|\.Trash-\d+|lost\+found|\.snapshot|@eaDir",
    re.IGNORECASE | re.DOTALL,
)
"""Names of files that macOS, Windows and Linux, their desktops and network file systems create in folders."""


def write_text(text: str, path: str | Path) -> None:
    """Write a text file in UTF-8, whatever the locale; lone surrogates are escaped."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode(errors="backslashreplace"))


class Archive:
    """A Zarr group in one zip file, open for writing: small variables through xarray, large arrays chunk by chunk."""

    def __init__(self, target: zipfile.ZipFile, folder: Path):
        self.target, self.folder = target, folder
        self.group = zarr.open_group(folder, mode="w", zarr_format=3)

    def add_variables(self, dataset: xr.Dataset) -> None:
        """Write a small dataset (coordinates, attributes)."""
        texts = [name for name, variable in dataset.variables.items() if variable.dtype.kind == "U"]
        for name in texts:  # Zarr v3 specifies strings of any length, not of a fixed one
            dataset = dataset.assign_coords({name: dataset[name].astype(object)})
        dataset.to_zarr(self.group.store, mode="a", zarr_format=3, consolidated=False)

    def add_array(
        self, name: str, dims: tuple[str, ...], shape: tuple[int, ...], dtype, chunks: tuple[int, ...], **attrs
    ) -> zarr.Array:
        """Declare an array, to be written chunk by chunk; uncompressed, as floats hardly compress."""
        chunks = tuple(min(chunk, size) for chunk, size in zip(chunks, shape, strict=True))
        return self.group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype=np.dtype(dtype).newbyteorder("<"),
            dimension_names=dims,
            attributes=attrs,
            compressors=None,
            fill_value=0,
        )

    def write_chunk(self, array: zarr.Array, index: tuple[int, ...], values: ndarray) -> None:
        """Write one chunk by its place among the chunks, straight to the file; one at an edge may be smaller."""
        missing = [(0, size - given) for size, given in zip(array.chunks, values.shape, strict=True)]
        if any(size for _, size in missing):
            values = np.pad(values, missing)
        entry = zipfile.ZipInfo(f"{array.path}/{array.metadata.encode_chunk_key(index)}", EPOCH)
        with self.target.open(entry, "w", force_zip64=True) as sink:
            sink.write(np.ascontiguousarray(values, array.dtype).data)

    def finish(self) -> None:
        """Append the variables written through xarray after the chunks."""
        for file in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(self.folder).as_posix(), EPOCH)
            self.target.writestr(entry, file.read_bytes())


@contextmanager
def zarr_archive(path: str | Path) -> Iterator[Archive]:
    """A Zarr group to be filled, which becomes one zip file at `path` if the block succeeds."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as target:
        archive = Archive(target, temporary.parent / "store")
        yield archive
        archive.finish()


def write_dataset(dataset: xr.Dataset, path: str | Path) -> None:
    with zarr_archive(path) as archive:
        archive.add_variables(dataset)


def open_dataset(path: str | Path) -> xr.Dataset:
    """A dataset whose arrays are read from the archive on access."""
    return xr.open_zarr(zarr.storage.ZipStore(path, mode="r"), consolidated=False, chunks=None)


def write_tensors(tensors: dict[str, ndarray], path: str | Path) -> None:
    """Write a safetensors file of named arrays."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({name: np.ascontiguousarray(array) for name, array in tensors.items()}))


def read_tensors(path: str | Path) -> dict[str, ndarray]:
    return load_file(path)
