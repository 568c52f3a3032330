"""Arrays and weights on disk, Zarr archives and safetensors: the same bytes for the same content."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from numpy import ndarray
from safetensors.numpy import load_file, save

from geometry.files import atomic_path

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every entry in an archive, so that identical content gives identical bytes."""


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
