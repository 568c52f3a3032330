"""TransformerLens through its public interface, in a process of its own: a question a line, the seconds as answer."""

import json
import sys
import time

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig

from timing import MODELS, SITES


def hooked_transformer(model: str) -> HookedTransformer:
    ours, context = MODELS[model]
    shape = {key: ours[key] for key in ("n_layers", "n_heads", "d_model", "d_head", "d_mlp")}
    config = {**shape, "n_ctx": context, "d_vocab": 3, "act_fn": "relu", "normalization_type": "LN"}
    return HookedTransformer(HookedTransformerConfig(**config, device="cpu", seed=0))


def train(model: str, batch: int, steps: int) -> float:
    """Seconds a step of plain gradient descent on sequences of one token more than the context."""
    network = hooked_transformer(model)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    batches = torch.randint(0, 3, (steps, batch, MODELS[model][1] + 1))
    begin = time.perf_counter()
    for tokens in batches:
        logits = network(tokens[:, :-1], return_type="logits")
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - begin) / steps


@torch.no_grad()
def extract(model: str, n_sequences: int, batch: int) -> float:
    """Seconds to have the sites' activations for some sequences."""
    network, sequences = hooked_transformer(model), torch.randint(0, 3, (n_sequences, MODELS[model][1]))
    begin = time.perf_counter()
    kept = [network.run_with_cache(part, names_filter=SITES)[1] for part in sequences.split(batch)]
    return (time.perf_counter() - begin) * bool(kept)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        question = json.loads(line)
        print({"train": train, "extract": extract}[question.pop("task")](**question), flush=True)
