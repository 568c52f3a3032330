"""Networks made by TransformerLens 2.16.1, with what it computes on a few words: the files of tests/data/.

Run by hand, in the environment of the benchmarks' peers:

    python3 -m venv .venv-peers && .venv-peers/bin/pip install -r benchmarks/peers.txt
    .venv-peers/bin/python tests/make_transformer_lens.py

`plain` and `bare` have random weights, biases and scales, so that none is trivially zero or one. `mess3` is trained on
words of the process mess3 and then folded by `process_weights_`, as the library's own pretrained networks are.
`exported` is a network that this project trained: `results/mess3/seed_1/model.safetensors` of tests/config.yaml,
which must lie in tests/data/ already and which a `HookedTransformer` loads as docs/extending.md shows.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformer_lens import HookedTransformer, HookedTransformerConfig

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

from geometry.networks.hook_points import hook_point_names  # noqa: E402

FOLDER = ROOT / "tests/data"
SHAPES = {
    "plain": {"n_heads": 2, "d_model": 12, "d_head": 5, "d_mlp": 20, "act_fn": "relu", "normalization_type": "LN"},
    "bare": {"n_heads": 3, "d_model": 8, "d_head": 4, "d_mlp": 16, "act_fn": "gelu_new", "normalization_type": None},
    "mess3": {"n_heads": 2, "d_model": 16, "d_head": 8, "d_mlp": 32, "act_fn": "gelu", "normalization_type": "LN"},
}


def network_of(shape: dict, n_ctx: int = 8, d_vocab: int = 3, n_layers: int = 2) -> HookedTransformer:
    """A network in float32 on the CPU."""
    sizes = {"n_ctx": n_ctx, "d_vocab": d_vocab, "n_layers": n_layers}
    return HookedTransformer(HookedTransformerConfig(**shape, **sizes, device="cpu", seed=0)).eval()


@torch.no_grad()
def randomize(network: HookedTransformer, generator: torch.Generator) -> None:
    """Every parameter random, the scales of LayerNorm around one."""
    for name, parameter in network.named_parameters():
        is_scale = name.endswith(("ln1.w", "ln2.w", "ln_final.w"))
        parameter.normal_(mean=float(is_scale), std=0.4, generator=generator)


def mess3_words(n_sequences: int, length: int, generator: torch.Generator, x: float = 0.05, alpha: float = 0.85):
    """Sequences of the process mess3, token by token: shape (word, position)."""
    emission = torch.full((3, 3), (1 - alpha) / 2).fill_diagonal_(alpha)  # [state, token]
    transition = torch.full((3, 3), x).fill_diagonal_(1 - 2 * x)
    state = torch.randint(3, (n_sequences,), generator=generator)
    words = torch.empty(n_sequences, length, dtype=torch.long)
    for position in range(length):
        state = torch.multinomial(transition[state], 1, generator=generator)[:, 0]
        words[:, position] = torch.multinomial(emission[state], 1, generator=generator)[:, 0]
    return words


def train(network: HookedTransformer, generator: torch.Generator, steps: int = 3000) -> None:
    """Adam on sampled words, the rate falling to zero."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        words = mess3_words(256, network.cfg.n_ctx + 1, generator)
        logits = network(words[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), words[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"mess3: loss of the last batch {loss.item():.4f} nats")


@torch.no_grad()
def answers(network: HookedTransformer, words: torch.Tensor) -> dict[str, torch.Tensor]:
    """The activations at every hook point that this project names, and the logits."""
    normalization = "LN" if network.cfg.normalization_type else "none"
    model = {"architecture": "transformer", "n_layers": network.cfg.n_layers, "normalization": normalization}
    names = hook_point_names(model)
    logits, cache = network.run_with_cache(words, names_filter=names)
    of_every_word = {name: cache[name].expand(len(words), -1, -1) for name in names}
    return {"words": words, "logits": logits, **{name: value.clone() for name, value in of_every_word.items()}}


def make(name: str) -> None:
    """One network's file and that of its answers."""
    network, generator = network_of(SHAPES[name]), torch.Generator().manual_seed(1)
    if name == "mess3":
        train(network, generator)
        network.process_weights_(fold_ln=True, center_writing_weights=True, center_unembed=True)
        network.setup()  # folding puts new modules in place of LayerNorm, whose hook points have no names yet
    else:
        randomize(network, generator)
    words = torch.randint(3, (3, network.cfg.n_ctx), generator=generator)
    save_file(network.state_dict(), FOLDER / f"{name}.safetensors")
    save_file(answers(network, words), FOLDER / f"{name}.answers.safetensors")
    if name == "bare":
        torch.save(network.state_dict(), FOLDER / f"{name}.pt")


def exported() -> HookedTransformer:
    """The network that this project trained, loaded into one of TransformerLens."""
    shape = {"n_heads": 1, "d_model": 16, "d_head": 8, "d_mlp": 32, "act_fn": "relu", "normalization_type": "LN"}
    network = network_of(shape, n_ctx=4)
    keys = network.load_state_dict(load_file(FOLDER / "exported.safetensors"), strict=False)
    assert not keys.unexpected_keys and all(key.endswith(("mask", "IGNORE")) for key in keys.missing_keys)
    return network


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in SHAPES:
        make(name)
    network = exported()
    words = torch.randint(3, (3, network.cfg.n_ctx), generator=torch.Generator().manual_seed(1))
    save_file(answers(network, words), FOLDER / "exported.answers.safetensors")
