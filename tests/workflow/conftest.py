"""Studies that are run once for all tests."""

import fcntl
import os
import shutil

import pytest
from harness import SMALLEST, Study


def pytest_collection_modifyitems(items):
    """The test on a cluster begins first: it takes longest, and mostly waits."""
    items.sort(key=lambda item: item.path.name != "test_slurm.py")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A function: a folder that is filled by the first of pytest's workers that needs it, and copied for each."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def folder(name, fill):
        first, filled = shared / f"{name}_first", shared / f"{name}_filled"
        with open(shared / f"{name}_lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not filled.exists():
                first.mkdir()
                fill(first)
                filled.touch()
        return shutil.copytree(first, own / name, symlinks=True, dirs_exist_ok=True)

    return folder


@pytest.fixture(scope="session")
def finished(made_once) -> Study:
    """The tiny study, run to its end on two cores."""
    return Study(made_once("finished", lambda folder: Study(folder).run()))


@pytest.fixture(scope="session")
def smallest(made_once) -> Study:
    """The smallest study: what it is compared with where it runs elsewhere."""
    return Study(made_once("smallest", lambda folder: Study(folder).run(configs=[SMALLEST])))
