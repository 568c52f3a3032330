"""A training step of modular addition, folded to what follows the equals sign, beside the plain network."""

import sys

import numpy as np
import torch
from torch.nn import functional as F

from geometry.networks.input_layout import DenseSequences
from geometry.networks.transformer import Transformer, TransformerConfig
from geometry.tasks.modular_arithmetic import ModularArithmetic
from geometry.training.batches import pair_batch
from geometry.training.engines import gradient_engine
from geometry.training.train import Recipe, TrainingRun
from timing import alternate, report, seconds

ROUNDS = 7
SHAPES = {113: (4, 128, 32, 512), 53: (4, 64, 16, 256)}


def measure(modulus: int) -> dict:
    """Seconds of one gradient on the training pairs by either network, and how far the gradients lie apart."""
    task = ModularArithmetic(modulus)
    network = Transformer(TransformerConfig(task.n_tokens, 3, 1, *SHAPES[modulus], "relu", "none", "mlp"))
    network.initialize(torch.Generator().manual_seed(0))
    batch = pair_batch(task)
    run = TrainingRun(network, Recipe("full_distribution", "adamw", 0.005, 2.0, "one_cycle", 0.05, sys.maxsize))
    engine = gradient_engine(network, run.vector, batch.kind)
    first, second, answer = batch.trained
    tokens = torch.from_numpy(np.stack([first, second, np.full_like(first, task.equals)], axis=1))

    def plain() -> torch.Tensor:
        logits = network(tokens.flatten(), DenseSequences(len(tokens), 3, tokens.device))[2::3]
        gradients = torch.autograd.grad(F.cross_entropy(logits, torch.from_numpy(answer)), run.parameters)
        return torch.cat([gradient.flatten() for gradient in gradients])

    def folded() -> torch.Tensor:
        return engine(batch).gradient

    apart = float((plain() - folded()).norm() / plain().norm())
    found = alternate({f.__name__: lambda f=f: seconds(f) for f in (folded, plain)}, ROUNDS)
    row = {"modulus": modulus, "pairs": len(tokens), **{f"{name}_seconds": value for name, value in found.items()}}
    return {**row, "speedup": found["plain"] / found["folded"], "relative_difference": apart}


if __name__ == "__main__":
    torch.set_num_threads(1)
    report([measure(modulus) for modulus in SHAPES], sys.argv[1])
