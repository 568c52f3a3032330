"""TransformerLens through its public interface, in a process of its own: a question a line, the seconds as answer."""

import itertools
import json
import sys
import time

import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig

from timing import CONTEXT, PUBLISHED_MODEL, SITES


def published_network() -> HookedTransformer:
    shape = {key: PUBLISHED_MODEL[key] for key in ("n_layers", "n_heads", "d_model", "d_head", "d_mlp")}
    config = {**shape, "n_ctx": CONTEXT, "d_vocab": 3, "act_fn": "relu", "normalization_type": "LN"}
    return HookedTransformer(HookedTransformerConfig(**config, device="cpu", seed=0))


def train(network: HookedTransformer, batch: int, steps: int) -> float:
    """Seconds a step of plain gradient descent on words of `CONTEXT` + 1 tokens."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    words = torch.randint(0, 3, (steps, batch, CONTEXT + 1))
    begin = time.perf_counter()
    for word in words:
        logits = network(word[:, :-1], return_type="logits")
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), word[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - begin) / steps


@torch.no_grad()
def extract(network: HookedTransformer, batch: int) -> float:
    """Seconds to have the sites' activations for all words of `CONTEXT` tokens."""
    words = torch.tensor(list(itertools.product(range(3), repeat=CONTEXT)))
    begin = time.perf_counter()
    kept = [network.run_with_cache(part, names_filter=SITES)[1] for part in words.split(batch)]
    return (time.perf_counter() - begin) * bool(kept)


if __name__ == "__main__":
    torch.set_num_threads(1)
    network = published_network()
    for line in sys.stdin:
        question = json.loads(line)
        print({"train": train, "extract": extract}[question.pop("task")](network, **question), flush=True)
