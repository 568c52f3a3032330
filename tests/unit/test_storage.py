"""Artefacts: whole or not at all, the same bytes for the same content, and what went in comes out."""

import os
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geometry.files import atomic_path, files_below, write_text
from geometry.storage import open_dataset, read_tensors, write_dataset, write_tensors, zarr_archive
from geometry.tables import Schema, read_table, together, write_table


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
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), zarr_archive(path) as archive:
        archive.write_chunk(archive.add_array("x", ("row",), (4,), np.float32, (2,)), (0,), np.ones(2))
        raise RuntimeError
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr.zip"] and path.read_text(encoding="utf-8") == "old"


def test_array_written_in_chunks_is_labelled(tmp_path):
    values = np.arange(35).reshape(5, 7)
    with zarr_archive(tmp_path / "a.zarr.zip") as archive:
        array = archive.add_array("x", ("row", "column"), values.shape, np.float32, (2, 3), units="nats")
        for i, j in np.ndindex(3, 3):
            archive.write_chunk(array, (i, j), values[2 * i : 2 * i + 2, 3 * j : 3 * j + 3])
    with open_dataset(tmp_path / "a.zarr.zip") as found:
        assert found["x"].dims == ("row", "column") and found["x"].attrs == {"units": "nats"}
        np.testing.assert_array_equal(found["x"].values, values)


class Named(Schema):
    key = ("name",)
    name: str
    value: float


def test_table_and_tensors_come_back_exactly(tmp_path):
    table = pd.DataFrame({"name": ["a", ""], "value": [1 / 3, np.nan]})
    write_table(table, tmp_path / "t.csv", Named)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), table)
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T, "step": np.array([0, 5])}
    write_tensors(tensors, tmp_path / "t.safetensors")
    for name, value in read_tensors(tmp_path / "t.safetensors").items():
        np.testing.assert_array_equal(value, tensors[name])


def test_text_is_utf8_with_the_same_line_ends_everywhere(tmp_path):
    write_text("雨 é\n\ud800\n", tmp_path / "a.md")
    assert (tmp_path / "a.md").read_bytes() == "雨 é\n\\ud800\n".encode()


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_below(folder, **settings):
    return [path.relative_to(folder).as_posix() for path in files_below(folder, **settings)]


def test_files_are_found_through_links_of_links_by_the_names_that_they_have_there(tmp_path):
    touch(tmp_path / "disk/one/b", tmp_path / "disk/one/deep/c", tmp_path / "results/a", tmp_path / "disk/file")
    (tmp_path / "again").symlink_to("disk/one")
    (tmp_path / "results/one").symlink_to(tmp_path / "again")
    (tmp_path / "results/file").symlink_to("../disk/file")
    (tmp_path / "link").symlink_to("results")
    for folder in ("results", "link"):
        assert names_below(tmp_path / folder) == ["a", "file", "one/b", "one/deep/c"]


def test_links_that_lead_nowhere_or_back_are_told_themselves(tmp_path):
    results = tmp_path / "results"
    touch(results / "a/file", results / "b/file", tmp_path / "beside")
    links = {"a/up": "..", "a/self": "self", "a/over": "../..", "b/dead": "/nowhere", "b/here": ".", "b/top": "/"}
    for name, target in links.items():
        (results / name).symlink_to(target)
    assert names_below(results) == sorted(["a/file", "b/file", *links])
    assert names_below(tmp_path / "nothing") == []
    (tmp_path / "dead").symlink_to("nowhere")
    assert list(files_below(tmp_path / "dead")) == [tmp_path / "dead"]


def test_folders_that_all_link_to_one_another_are_walked_a_few_times_only(tmp_path):
    names = [f"{number:02}" for number in range(20)]
    for name in names:
        touch(tmp_path / name / "file")
        for other in names:
            (tmp_path / name / f"to_{other}").symlink_to(tmp_path / other)
    found = names_below(tmp_path)
    assert {f"{name}/file" for name in names} <= set(found) and len(found) < 10_000


def test_link_that_is_not_entered_is_told_itself(tmp_path):
    touch(tmp_path / "disk/file", tmp_path / "results/a")
    (tmp_path / "results/link").symlink_to("../disk")
    assert names_below(tmp_path / "results", is_entered=lambda link: link.name != "link") == ["a", "link"]


def test_what_an_operating_system_leaves_is_not_told(tmp_path):
    left = [".DS_Store", "._model.safetensors", ".nfs000000000123abcd00000001", "Thumbs.db", "desktop.ini"]
    left += [".fuse_hidden0000001a00000001", ".directory", "lost+found/x", ".Trash-1000/files/y", "Desktop.ini"]
    kept = [".hidden", "nfs", "DS_Store", "thumbs.db.csv", ".nfsmine", "lost"]
    touch(*(tmp_path / "results" / name for name in (*left, *kept)))
    assert names_below(tmp_path / "results") == sorted(kept)


def test_folder_that_cannot_be_read_is_told_itself(tmp_path, monkeypatch):
    touch(tmp_path / "results/locked/file", tmp_path / "results/open")
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda p: refuse(p) if str(p).endswith("locked") else listed(p))
    assert names_below(tmp_path / "results") == ["locked", "open"]


def refuse(path):
    raise PermissionError(path)


def test_table_without_rows_leaves_the_types_of_the_others(tmp_path):
    tables = {"empty.csv": pd.DataFrame(columns=["experiment", "value"])}
    tables["full.csv"] = pd.DataFrame({"experiment": ["e"], "value": [0.5]})
    for name, table in tables.items():
        table.to_csv(tmp_path / name, index=False)
    found = together([str(tmp_path / name) for name in tables])
    assert found["value"].dtype == float and found["value"].tolist() == [0.5]
    assert list(together([str(tmp_path / "empty.csv")]).columns) == ["experiment", "value"]
    assert together([]).empty
