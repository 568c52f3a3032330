import errno
from types import SimpleNamespace

import pytest
import torch

from geometry import machine
from geometry.networks import devices


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"GPU-{index}"))
    monkeypatch.setattr(devices, "GPU_LOCKS", [])


def test_each_job_takes_a_gpu_of_its_own_until_it_ends(two_gpus):
    assert [devices.free_cuda_device().index for _ in range(2)] == [0, 1]
    assert devices.free_cuda_device().index in (0, 1)  # more jobs than GPUs: one is shared
    devices.GPU_LOCKS[1].close()
    assert devices.free_cuda_device().index == 1


def test_gpu_whose_lock_is_another_users_is_taken_last(two_gpus, tmp_path):
    (tmp_path / "belief-geometry-GPU-0.lock").mkdir()  # which cannot be opened, as another user's file cannot
    assert devices.free_cuda_device().index == 1


def test_gpu_is_taken_where_locks_cannot_be_had(two_gpus, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(machine.fcntl, "flock", flock)
    assert devices.free_cuda_device().index in (0, 1) and devices.GPU_LOCKS == []
