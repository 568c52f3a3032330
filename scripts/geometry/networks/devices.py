"""The device on which a network runs, set up so that equal inputs give equal bytes."""

import os
import tempfile
from pathlib import Path

import torch

from geometry.machine import try_lock
from geometry.networks.input_layout import PackedTree
from geometry.networks.transformer import Transformer, TransformerConfig


class DeviceError(RuntimeError):
    """A device that is missing or computes wrong numbers; the message is one sentence."""


def select_device(name: str, threads: int) -> torch.device:
    """The device of that name (auto: CUDA where there is one, else the CPU), set up to be deterministic.

    MPS is used only if requested by name, and only if a small network gives the same result there as on
    the CPU: some versions of PyTorch have returned wrong numbers there without an error.
    """
    torch.set_num_threads(threads)  # those of NumPy are set by Snakemake, in the environment of each job
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device is 'cuda', but PyTorch finds no CUDA device; use 'auto' or 'cpu'")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise DeviceError("device is 'mps', but PyTorch finds no MPS device; use 'auto' or 'cpu'")
        error = disagreement_with_cpu(torch.device("mps"))
        if not error < 1e-3:
            raise DeviceError(f"device 'mps' disagrees with the CPU by {error:.2g} in a self-check; use 'cpu'")
    if name != "cpu":  # on the CPU, a fixed number of threads is enough; the setting imports a compiler
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    return free_cuda_device() if name == "cuda" else torch.device(name)


def free_cuda_device() -> torch.device:
    """The first GPU of this machine that no other job of a study holds a lock on; the lock ends with this process.

    Where there are more jobs than GPUs (`--resources gpu=N` limits them to N), or no file locks, jobs share GPUs.
    """
    n_devices = torch.cuda.device_count()
    for index in range(n_devices):
        path = Path(tempfile.gettempdir()) / f"belief-geometry-{torch.cuda.get_device_properties(index).uuid}.lock"
        try:
            lock = path.open("ab")
        except OSError:  # another user's
            continue
        if try_lock(lock):
            GPU_LOCKS.append(lock)
            return torch.device("cuda", index)
        lock.close()
    return torch.device("cuda", os.getpid() % n_devices)


GPU_LOCKS = []
"""The locked files of the GPUs that this process holds, open until it ends."""


def describe_device(device: torch.device) -> str:
    """The name of a device: cpu, mps, or the model of a CUDA device."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def disagreement_with_cpu(device: torch.device) -> float:
    """The largest relative difference between a device and the CPU, over the loss and gradients of a small network."""
    config = TransformerConfig(3, 6, 2, 2, 16, 8, 32, "relu", "LN")
    tokens = torch.tensor([0, 1, 2, 1, 0, 2])
    parent, position = torch.arange(-1, 5), torch.arange(6)
    results = []
    for place in (torch.device("cpu"), device):
        model = Transformer(config)
        model.initialize(torch.Generator().manual_seed(0))
        model.to(place)
        branch = PackedTree(parent.to(place), position.to(place), context=6)
        loss = model(tokens.to(place), branch).logsumexp(1).mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        results.append(torch.cat([loss.detach().view(1), *(g.flatten() for g in gradients)]).cpu())
    return float((results[1] - results[0]).abs().max() / results[0].abs().max())
