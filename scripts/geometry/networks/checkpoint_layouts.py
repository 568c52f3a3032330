"""The layout of a state dict: its place in a file, the prefix of its names, their convention, and all shapes.

Everything is checked by the names and shapes of a TransformerLens `HookedTransformer`, into which `checkpoint_names`
converts other layouts. Further known layouts are named in the error; unknown ones are refused.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count

ANCHORS = {
    "transformer_lens": ("embed.W_E", "blocks.0.attn.q.weight"),
    "nanogpt": ("transformer.wte.weight",),
    "progress_measures": ("embed.W_E",),
}
"""By the value of ``model.format``: names that identify a state dict, which has one of them."""

BUFFER = re.compile(r"blocks\.\d+\.attn\.(mask|IGNORE)|transformer\.h\.\d+\.attn\.(masked_)?bias")
"""Masks, which are saved beside the parameters."""

DEEPEST = 4
"""The deepest nesting of containers in which a state dict is searched for."""

HOW_TO_SAVE = "save it with torch.save(network.state_dict(), path)"

OTHER_LAYOUTS = {
    r"\b(embed\.W_E|blocks\.\d+\.attn\.q\.weight)$": "a network of TransformerLens",
    r"\bh\.\d+\.attn\.c_attn\.": "a GPT-2 of Hugging Face, or of nanoGPT",
    r"_original_component\.": "a TransformerBridge that was saved as a part of another module",
    r"\bh\.\d+\.attn\.(attention\.)?[qkv]_proj\.": "a GPT-Neo or GPT-J of Hugging Face",
    r"\bgpt_neox\.|\battention\.query_key_value\.": "a GPT-NeoX (Pythia) of Hugging Face",
    r"\blayers\.\d+\.self_attn\.[qkv]_proj\.": "a Llama, or one like it, of Hugging Face",
    r"\blayers\.\d+\.attention\.w[qkv]\.": "a Llama of Meta",
    r"\bencoder\.layer\.\d+\.attention\.": "a BERT of Hugging Face",
    r"\bin_proj_(weight|bias)$": "a torch.nn.Transformer (MultiheadAttention)",
    r"\bweight_(ih|hh)(_l\d+)?$": "a recurrent network",
    r"\bmixer\.(in|x|dt)_proj\.": "a Mamba",
}
"""Patterns of names that identify other layouts, and what these are."""

VARIANTS = {
    r"\.attn\.rotary_(sin|cos)$": "rotary positions",
    r"\.rel_pos_bias\.": "relative positions",
    r"\.attn\._W_[KV]$": "fewer heads of keys and values than of queries",
    r"\.attn\.[qk]_norm\.": "normalized queries and keys",
    r"\.mlp\.experts\.": "a mixture of experts",
    r"\.mlp\.(W_gate$|gate\.)": "a gated MLP",
    r"\.mlp\.ln\.": "a LayerNorm inside the MLP",
    r"\.ln[12]_post\.": "a LayerNorm behind attention or MLP",
    r"^embed\.ln\.": "a LayerNorm behind the embedding",
    r"\.cross_attn\.": "cross-attention",
}
"""Patterns of names that identify variants of a HookedTransformer which are not supported."""

NORMS = ("ln1", "ln2", "ln_final")

NORM = re.compile(r"((?:blocks\.\d+\.ln[12])|ln_final)\.([wb])")


Shape = tuple[int, ...]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message is one sentence."""


def state_dict_in(content, layout: str):
    """The one state dict within the content of a PyTorch file, however nested; the whole content if there is none.

    Raises a `CheckpointError` where there are several networks, rather than choose one silently. Only of the history
    that Nanda et al. save in a list called ``state_dicts``, it is the last.
    """
    if layout == "progress_measures" and isinstance(content, Mapping) and isinstance(content.get("state_dicts"), list):
        content = content["state_dicts"][-1:]
    found = list(_dictionaries(content, lambda name, _: _is_anchor(name, layout)))
    if len(found) > 1:
        places = ["".join(f"[{key!r:.40}]" for key in keys) for keys, _ in found[:4]] + ["..."] * (len(found) > 4)
        raise CheckpointError(f"it holds {len(found)} networks, at {', '.join(places)}; save one of them in a file")
    others = _dictionaries(content, lambda name, value: "." in name and hasattr(value, "dtype"))
    return next((value for _, value in [*found, *others]), content)


def _is_anchor(name: str, layout: str) -> bool:
    return f".{name}".endswith(tuple(f".{anchor}" for anchor in ANCHORS[layout]))


def _dictionaries(content, has: Callable) -> Iterator[tuple[tuple, Mapping]]:
    """The outermost dictionaries with an item for which ``has(name, value)`` is true, and the keys that lead there."""
    pending, seen = [((), content)], set()
    for keys, container in pending:  # which grows in the loop
        if not isinstance(container, Mapping | list | tuple) or id(container) in seen or len(keys) > DEEPEST:
            continue
        seen.add(id(container))
        items = list(container.items() if isinstance(container, Mapping) else enumerate(container))
        if isinstance(container, Mapping) and any(isinstance(name, str) and has(name, value) for name, value in items):
            yield keys, container
        else:
            pending += [((*keys, name), value) for name, value in items]


def prefix_of(names: Iterable[str], layout: str) -> str:
    """The prefix of all names of a network, such as ``module.`` in ``module.embed.W_E``.

    Raises a `CheckpointError` if a name lacks it, if there are several networks, or none of this layout.
    """
    names = list(names)
    found = [name for name in names if _is_anchor(name, layout)]
    if len(found) > 1:
        listed = ", ".join(repr(name[:60]) for name in found[:4])
        raise CheckpointError(f"it holds {len(found)} networks, with {listed}; save one of them in a file")
    if not found:
        raise _other_layout(names, layout)
    prefix = next(found[0].removesuffix(anchor) for anchor in ANCHORS[layout] if found[0].endswith(anchor))
    for name in names:
        if not name.startswith(prefix):
            raise CheckpointError(
                f"{name[:120]!r} does not begin with {prefix[:60]!r}, as every parameter does; {HOW_TO_SAVE}"
            )
    return prefix


def _other_layout(names: list[str], layout: str) -> CheckpointError:
    """The error that names the layout of a state dict which is not that of ``model.format``."""
    for name, what in _known_by(names, OTHER_LAYOUTS):
        return CheckpointError(
            f"it looks like the state dict of {what} ({name[:80]!r}), but model.format is {layout!r}; the formats are "
            f"{', '.join(ANCHORS)}"
        )
    return CheckpointError(f"{' or '.join(ANCHORS[layout])} is missing, which the format {layout} has")


def _check_variant(shapes: Mapping[str, Shape]) -> None:
    """Raise an error that names an unsupported variant of a HookedTransformer."""
    variants = [f"{what} ({name[:80]})" for name, what in _known_by(shapes, VARIANTS)]
    if "pos_embed.W_pos" not in shapes:
        variants.append("no learned positions (pos_embed.W_pos)")
    if len(shapes.get("blocks.0.attn.W_O", ())) == 2:
        variants.append("the matrices of Nanda et al., whose model.format is progress_measures (blocks.0.attn.W_O)")
    n_queries, n_keys = (shapes.get(f"blocks.0.attn.W_{letter}", ())[:1] for letter in "QK")
    if n_keys < n_queries and n_keys:
        variants.append(f"fewer heads of keys than of queries ({n_keys[0]}, {n_queries[0]})")
    if variants:
        raise CheckpointError(
            f"it has {variants[0]}; only a network with learned positions and, in each block, attention and an MLP or "
            "attention alone is read"
        )
    _check_norms(shapes)


def _known_by(names: Iterable[str], patterns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The names that match a pattern, each with the pattern's meaning, in the order of the patterns."""
    return ((name, what) for pattern, what in patterns.items() for name in names if re.search(pattern, name))


def _check_norms(names: Iterable[str]) -> None:
    """Raise an error if only some LayerNorms have weights, or none has a shift, as in RMSNorm."""
    found = [match.groups() for match in map(NORM.fullmatch, names) if match]
    if found and not any(kind == "b" for _, kind in found):
        raise CheckpointError(f"{found[0][0]}.w has no {found[0][0]}.b, as in RMSNorm; only LayerNorm is read")
    blocks = [name.removesuffix(".attn.W_Q") for name in names if name.endswith(".attn.W_Q")]
    in_block = ("ln1", "ln2") if "blocks.0.mlp.W_in" in names else ("ln1",)
    norms = [f"{block}.{norm}" for block in blocks for norm in in_block] + ["ln_final"]
    bare = [norm for norm in norms if norm not in dict(found)]
    if found and bare:
        raise CheckpointError(
            f"LayerNorm has weights at {found[0][0]} and none at {bare[0]}; the file does not determine whether these "
            "were folded into the next matrices or there is no norm: fold all of them (fold_ln) or none"
        )


def shape_of(shapes: Mapping[str, Shape]) -> dict[str, int]:
    """The sizes of the network in a state dict, by TransformerLens's names; d_mlp is 0 if there is attention alone."""
    _check_variant(shapes)
    d_vocab, d_model = _sizes(shapes, "embed.W_E", 2)
    n_ctx, _ = _sizes(shapes, "pos_embed.W_pos", 2)
    n_heads, _, d_head = _sizes(shapes, "blocks.0.attn.W_Q", 3)
    has_mlp = any(".mlp." in name for name in shapes)
    d_mlp = _sizes(shapes, "blocks.0.mlp.W_in", 2)[1] if has_mlp else 0
    layers = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
    n_layers = next(layer for layer in count() if str(layer) not in layers)
    sizes = {"n_layers": n_layers, "n_heads": n_heads, "d_model": d_model, "d_head": d_head, "d_mlp": d_mlp}
    return {**sizes, "d_vocab": d_vocab, "n_ctx": n_ctx}


def _sizes(shapes: Mapping[str, Shape], name: str, n_dims: int) -> Shape:
    if name not in shapes:
        raise missing(name)
    if len(shapes[name]) != n_dims:
        raise CheckpointError(f"{name} has shape {shapes[name]}; it must have {n_dims} dimensions")
    return shapes[name]


def missing(name: str) -> CheckpointError:
    return CheckpointError(f"{name} is missing (by its name in a HookedTransformer), which such a network has")


def has_norm_weights(names: Mapping[str, object]) -> bool:
    """True if LayerNorm has weights; none are left once they are folded into the next matrices."""
    return any(name.split(".")[-2:-1] in [[norm] for norm in NORMS] for name in names)


def parameter_shapes(sizes: Mapping[str, int], normalized: bool) -> Iterator[tuple[str, Shape]]:
    """The name and shape of every parameter of a network, in the order of its forward pass.

    The number of outputs is ``d_vocab_out`` if it is among the sizes, else ``d_vocab``.
    """
    heads, d_model, d_head, d_mlp = (sizes[name] for name in ("n_heads", "d_model", "d_head", "d_mlp"))
    norm = {"w": (d_model,), "b": (d_model,)} if normalized else {}
    block = {f"ln1.{name}": shape for name, shape in norm.items()}
    for letter in "QKV":
        block |= {f"attn.W_{letter}": (heads, d_model, d_head), f"attn.b_{letter}": (heads, d_head)}
    block |= {"attn.W_O": (heads, d_head, d_model), "attn.b_O": (d_model,)}
    if d_mlp:
        block |= {f"ln2.{name}": shape for name, shape in norm.items()}
        block |= {"mlp.W_in": (d_model, d_mlp), "mlp.b_in": (d_mlp,)}
        block |= {"mlp.W_out": (d_mlp, d_model), "mlp.b_out": (d_model,)}
    yield "embed.W_E", (sizes["d_vocab"], d_model)
    yield "pos_embed.W_pos", (sizes["n_ctx"], d_model)
    for layer in range(sizes["n_layers"]):
        yield from ((f"blocks.{layer}.{name}", shape) for name, shape in block.items())
    yield from ((f"ln_final.{name}", shape) for name, shape in norm.items())
    n_outputs = sizes.get("d_vocab_out", sizes["d_vocab"])
    yield "unembed.W_U", (d_model, n_outputs)
    yield "unembed.b_U", (n_outputs,)


def lacks_an_output(shapes: Mapping[str, Shape], sizes: Mapping[str, int]) -> bool:
    """True if the last token has no output; the task determines whether it may be an input only."""
    return shapes.get("unembed.W_U", ())[1:] == (sizes["d_vocab"] - 1,)
