"""Studies that are run once for all tests."""

import fcntl
import os
import shutil
from itertools import islice

import pytest
from harness import SMALLEST, Study

LONGEST = [
    "test_study_on_slurm_is_the_study_at_home_byte_for_byte_whatever_befalls_it",
    "test_study_in_object_storage_is_the_study_at_home_and_is_made_once",
    "test_study_killed_in_each_of_its_rules_elsewhere_on_more_cores_ends_in_the_same_bytes",
]


def pytest_collection_modifyitems(config, items):
    """The longest tests begin first, on different workers: one that began last would keep the others waiting."""
    first = sorted((item for item in items if item.name in LONGEST), key=lambda item: LONGEST.index(item.name))
    others = iter([item for item in items if item.name not in LONGEST])
    left, n_workers, ordered = len(items), getattr(config, "workerinput", {}).get("workercount", 1), []
    for worker in range(n_workers):  # pytest-xdist gives each of them as many tests that follow one another
        own, size = first[worker::n_workers], left // (n_workers - worker)
        ordered += [*own, *islice(others, max(0, size - len(own)))]
        left -= size
    items[:] = [*ordered, *others]


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
