"""Reading and writing artefacts: whole or not at all, and the same bytes for the same content.

Everything is written under a temporary name beside its place and moved there when complete.
"""

import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from numpy import ndarray
from safetensors.numpy import load_file, save

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every entry in an archive, so that identical content gives identical bytes."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path that becomes `path` if the block succeeds and vanishes if it fails.

    It always has the same name, so that what a killed process has left is cleared by the next.
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


@contextmanager
def zarr_archive(path: str | Path) -> Iterator[zarr.Group]:
    """A Zarr group to be filled, which becomes one zip file at `path` if the block succeeds."""
    with atomic_path(path) as archive:
        folder = archive.parent / "store"
        yield zarr.open_group(folder, mode="w", zarr_format=3)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
            for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
                with open(file, "rb") as source, target.open(entry, "w", force_zip64=True) as sink:
                    shutil.copyfileobj(source, sink, 1 << 22)
                file.unlink()  # never two copies of a large array on disk


def add_variables(group: zarr.Group, dataset: xr.Dataset) -> None:
    """Write a small dataset (coordinates, attributes) into a group that is being filled."""
    texts = [name for name, variable in dataset.variables.items() if variable.dtype.kind == "U"]
    for name in texts:  # Zarr v3 specifies strings of any length, not of a fixed one
        dataset = dataset.assign_coords({name: dataset[name].astype(object)})
    dataset.to_zarr(group.store, mode="a", zarr_format=3, consolidated=False)


def add_array(
    group: zarr.Group, name: str, dims: tuple[str, ...], shape: tuple[int, ...], dtype, chunks: tuple[int, ...], **attrs
) -> zarr.Array:
    """An empty array to be filled slice by slice; stored uncompressed, as floats hardly compress."""
    chunks = tuple(min(chunk, size) for chunk, size in zip(chunks, shape, strict=True))
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        dimension_names=dims,
        attributes=attrs,
        compressors=None,
        fill_value=0,
        config={"write_empty_chunks": True},
    )


def write_dataset(dataset: xr.Dataset, path: str | Path) -> None:
    with zarr_archive(path) as group:
        add_variables(group, dataset)


def open_dataset(path: str | Path) -> xr.Dataset:
    """A dataset whose arrays are read from the archive when they are used."""
    return xr.open_zarr(zarr.storage.ZipStore(path, mode="r"), consolidated=False, chunks=None)


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """A CSV file whose numbers read back exactly."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", na_rep="nan")


def read_table(path: str | Path) -> pd.DataFrame:
    names = {"experiment": str}  # a name is text, also where it reads like a number
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"], converters=names)


def write_tensors(tensors: dict[str, ndarray], path: str | Path) -> None:
    """A safetensors file of named arrays."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({name: np.ascontiguousarray(array) for name, array in tensors.items()}))


def read_tensors(path: str | Path) -> dict[str, ndarray]:
    return load_file(path)
