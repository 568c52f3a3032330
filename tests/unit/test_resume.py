"""The state of an unfinished job: what was saved, only of the same job, and only whole."""

import numpy as np
import pytest

from geometry.training.resume import ResumeState

ARRAYS = {"step": np.array(7), "weights": np.arange(6, dtype=np.float32).reshape(2, 3)}
JOB = {"learning_rate": 0.1, "code": "abc"}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "folder/state.safetensors"
    ResumeState(path, JOB).save(ARRAYS)
    return path


def test_state_comes_back_as_it_was(saved):
    found = ResumeState(saved, JOB).load()
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_state_of_another_job_is_no_state(saved):
    assert ResumeState(saved, {**JOB, "learning_rate": 0.2}).load() is None


@pytest.mark.parametrize("place", [0, 9, 100, -1])
def test_damaged_state_is_no_state(saved, place):
    content = bytearray(saved.read_bytes())
    content[place] ^= 1
    saved.write_bytes(content)
    assert ResumeState(saved, JOB).load() is None


def test_half_a_state_or_none_is_no_state(saved):
    saved.write_bytes(saved.read_bytes()[:-3])
    assert ResumeState(saved, JOB).load() is None
    ResumeState(saved, JOB).discard()
    assert ResumeState(saved, JOB).load() is None
