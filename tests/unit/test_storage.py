"""Artefacts: whole or not at all, the same bytes for the same content, and what went in comes out."""

import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geometry.storage import (
    atomic_path,
    open_dataset,
    read_table,
    read_tensors,
    together,
    write_dataset,
    write_table,
    write_tensors,
    zarr_archive,
)


def dataset():
    return xr.Dataset(
        {"value": (("row", "name"), np.arange(6.0).reshape(3, 2), {"units": "nats"})},
        coords={"name": ["a", "bb"]},
        attrs={"rate": 0.1, "task": "x"},
    )


def test_dataset_comes_back_as_it_was(tmp_path):
    write_dataset(dataset(), tmp_path / "a.zarr.zip")
    with open_dataset(tmp_path / "a.zarr.zip") as found:
        xr.testing.assert_identical(found.load(), dataset())


def test_same_content_gives_the_same_bytes(tmp_path):
    write_dataset(dataset(), tmp_path / "a.zarr.zip")
    time.sleep(2.1)  # a zip entry's date has a resolution of two seconds
    write_dataset(dataset(), tmp_path / "b.zarr.zip")
    assert (tmp_path / "a.zarr.zip").read_bytes() == (tmp_path / "b.zarr.zip").read_bytes()


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.zarr.zip"
    path.write_text("old")
    with pytest.raises(RuntimeError), zarr_archive(path) as archive:
        archive.write_chunk(archive.add_array("x", ("row",), (4,), np.float32, (2,)), (0,), np.ones(2))
        raise RuntimeError
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr.zip"] and path.read_text() == "old"


def test_array_written_in_chunks_is_labelled(tmp_path):
    values = np.arange(35).reshape(5, 7)
    with zarr_archive(tmp_path / "a.zarr.zip") as archive:
        array = archive.add_array("x", ("row", "column"), values.shape, np.float32, (2, 3), units="nats")
        for i, j in np.ndindex(3, 3):
            archive.write_chunk(array, (i, j), values[2 * i : 2 * i + 2, 3 * j : 3 * j + 3])
    with open_dataset(tmp_path / "a.zarr.zip") as found:
        assert found["x"].dims == ("row", "column") and found["x"].attrs == {"units": "nats"}
        np.testing.assert_array_equal(found["x"].values, values)


def test_table_and_tensors_come_back_exactly(tmp_path):
    table = pd.DataFrame({"name": ["a", ""], "value": [1 / 3, np.nan]})
    write_table(table, tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), table)
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "step": np.array([0, 5])}
    write_tensors(tensors, tmp_path / "t.safetensors")
    for name, value in read_tensors(tmp_path / "t.safetensors").items():
        np.testing.assert_array_equal(value, tensors[name])


def test_table_without_rows_leaves_the_types_of_the_others(tmp_path):
    tables = {"empty.csv": pd.DataFrame(columns=["experiment", "value"])}
    tables["full.csv"] = pd.DataFrame({"experiment": ["e"], "value": [0.5]})
    for name, table in tables.items():
        write_table(table, tmp_path / name)
    found = together([str(tmp_path / name) for name in tables])
    assert found["value"].dtype == float and found["value"].tolist() == [0.5]
    assert list(together([str(tmp_path / "empty.csv")]).columns) == ["experiment", "value"]
    assert together([]).empty
