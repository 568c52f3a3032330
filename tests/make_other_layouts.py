"""One network as two libraries save it, with what they compute: `gpt2` and `bridge` of tests/data/.

Run by hand, with transformers 5.24 and TransformerLens 4.3:

    python3 -m venv .venv-layouts && .venv-layouts/bin/pip install transformers==5.24.0 transformer-lens==4.3.0
    .venv-layouts/bin/python tests/make_other_layouts.py

`gpt2` is a GPT2LMHeadModel with random weights, biases and scales; its answers are its hidden states, before the first
block and behind each, and its logits. `bridge` is the same function as a `TransformerBridge.boot_native`.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2Config, GPT2LMHeadModel

FOLDER = Path(__file__).parent / "data"
SIZES = {"n_layer": 2, "n_head": 2, "n_embd": 12, "n_inner": 20, "n_positions": 8, "vocab_size": 3}


@torch.no_grad()
def random_gpt2() -> GPT2LMHeadModel:
    """Every parameter random, the scales of LayerNorm around one."""
    network, generator = GPT2LMHeadModel(GPT2Config(**SIZES)).eval(), torch.Generator().manual_seed(1)
    for name, parameter in network.named_parameters():
        is_scale = ".ln_" in name and name.endswith("weight")
        parameter.normal_(mean=float(is_scale), std=0.4, generator=generator)
    return network


@torch.no_grad()
def as_bridge(gpt2: GPT2LMHeadModel) -> TransformerBridge:
    """The same function as a network of TransformerLens 4."""
    sizes = {"n_layers": 2, "n_heads": 2, "d_model": 12, "d_head": 6, "d_mlp": 20, "n_ctx": 8, "d_vocab": 3}
    bridge = TransformerBridge.boot_native({**sizes, "act_fn": "gelu_new", "normalization_type": "LN"})
    theirs, own = gpt2.state_dict(), bridge.state_dict()
    own["embed.weight"].copy_(theirs["transformer.wte.weight"])
    own["pos_embed.weight"].copy_(theirs["transformer.wpe.weight"])
    own["unembed.weight"].copy_(theirs["lm_head.weight"])
    own["unembed.bias"].zero_()
    for kind in ("weight", "bias"):
        own[f"ln_final.{kind}"].copy_(theirs[f"transformer.ln_f.{kind}"])
        for layer in range(2):
            block, into = f"transformer.h.{layer}", f"blocks.{layer}"
            for one, other in (("ln1", "ln_1"), ("ln2", "ln_2")):
                own[f"{into}.{one}.{kind}"].copy_(theirs[f"{block}.{other}.{kind}"])
            for part, values in zip("qkv", theirs[f"{block}.attn.c_attn.{kind}"].split(12, -1), strict=True):
                own[f"{into}.attn.{part}.{kind}"].copy_(values.t())
            for one, other in (("attn.o", "attn.c_proj"), ("mlp.in", "mlp.c_fc"), ("mlp.out", "mlp.c_proj")):
                own[f"{into}.{one}.{kind}"].copy_(theirs[f"{block}.{other}.{kind}"].t())
    return bridge


@torch.no_grad()
def main() -> None:
    gpt2, words = random_gpt2(), torch.randint(3, (3, 8), generator=torch.Generator().manual_seed(1))
    bridge, before_norm = as_bridge(gpt2), []
    gpt2.transformer.ln_f.register_forward_pre_hook(lambda _, inputs: before_norm.append(inputs[0]))
    output = gpt2(words, output_hidden_states=True)
    states = {f"hidden.{number}": state for number, state in enumerate((*output.hidden_states[:-1], *before_norm))}
    torch.testing.assert_close(bridge(words), output.logits, rtol=0, atol=1e-5)
    save_file({name: tensor.clone() for name, tensor in gpt2.state_dict().items()}, FOLDER / "gpt2.safetensors")
    save_file({name: tensor.clone() for name, tensor in bridge.state_dict().items()}, FOLDER / "bridge.safetensors")
    save_file({"words": words, "logits": output.logits, **states}, FOLDER / "gpt2.answers.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
