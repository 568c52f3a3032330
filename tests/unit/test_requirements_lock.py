"""The environment: one lock, two ways to install it."""

import os
import re
import site
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from geometry.provenance.requirements_lock import (
    HOW_TO_INSTALL,
    covering_folders,
    hidden_package,
    installed_version,
    read_lock,
    wrong_version,
)

ENVS = Path(__file__).parents[2] / "envs"
LOCK = re.findall(r"^([A-Za-z][^ \n]*)", (ENVS / "requirements.txt").read_text(encoding="utf-8"), re.M)


def test_conda_environment_has_the_same_pins():
    assert yaml.safe_load((ENVS / "study.yaml").read_text(encoding="utf-8"))["dependencies"][-1]["pip"] == LOCK


def test_every_package_is_pinned_exactly_and_installed_so():
    pins = dict(pin.split("==") for pin in LOCK)
    for name in re.findall(r"^([A-Za-z0-9_-]+)", (ENVS / "requirements.in").read_text(encoding="utf-8"), re.M):
        (pinned,) = (pin for pin in pins if pin.lower() == name.lower())
        assert version(name).split("+")[0] == pins[pinned]


NUMPY = read_lock(ENVS / "requirements.txt")["numpy"]


@pytest.fixture
def covered(tmp_path, monkeypatch):
    """A function: what is said of NumPy when a folder with some files comes before the environment."""

    def said(files, variable="PYTHONPATH"):
        folder = tmp_path / "before"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        if variable == "PYTHONPATH":
            monkeypatch.setenv("PYTHONPATH", f"/nowhere{os.pathsep}{folder}")
        else:
            monkeypatch.setattr(site, "ENABLE_USER_SITE", True)
            monkeypatch.setattr(site, "getusersitepackages", lambda: str(folder))
        return hidden_package.__wrapped__("numpy", NUMPY)

    return said


def metadata(version):
    return {f"numpy-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: numpy\nVersion: {version}\n"}


@pytest.mark.parametrize(
    ("files", "version"),
    [
        (metadata("1.19.5"), "numpy 1.19.5 in "),
        ({"numpy-1.19.5.dist-info/INSTALLER": ""}, "numpy of unknown version in "),
        ({"numpy/__init__.py": ""}, "numpy of unknown version in "),
        ({"numpy.py": ""}, "numpy of unknown version in "),
        ({"numpy.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n"}, "numpy 1.0 in "),
    ],
)
def test_package_that_another_one_hides_is_told_with_the_folder_and_the_variable(files, version, covered, tmp_path):
    sentence = covered(files)
    assert sentence.startswith(f"{version}{tmp_path / 'before'} hides")
    assert sentence.endswith(f"pins {NUMPY.version}: unset PYTHONPATH") and HOW_TO_INSTALL not in sentence


def test_package_that_the_user_s_own_hides_is_told_with_its_variable(covered):
    assert covered(metadata("1.19.5"), "user site").endswith("set PYTHONNOUSERSITE=1")


@pytest.mark.parametrize(
    "files", [{}, metadata(NUMPY.version), metadata(f"{NUMPY.version}+local"), {"numpy/notes.txt": ""}, {"num.py": ""}]
)
def test_folder_that_hides_no_other_version_is_let_pass(files, covered):
    assert covered(files) is None


def test_environment_itself_on_the_path_hides_nothing(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p.endswith("site-packages")))
    assert covering_folders() == {}


def test_version_that_is_not_the_pinned_one_is_told_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr(
        "geometry.provenance.requirements_lock.version", lambda package: None
    )  # of metadata that is cut short
    assert installed_version("numpy") == "none"
    assert wrong_version("numpy", NUMPY).endswith(HOW_TO_INSTALL)
