"""Sites: the hook points of a network at which its activations are recorded and probed."""

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import cache

PREFIXES_AT_ONCE = 1024
"""Prefixes whose activations are computed at a time, so that a hidden layer fits the processor's cache."""

CONCATENATED = "concatenated"
"""The site of several sites' concatenated features, by default of all layer outputs; see `concatenated_sites`."""

FIRST_BLOCK = ["blocks.0.hook_attn_out", "blocks.0.hook_resid_mid", "blocks.0.hook_resid_post"]
"""Sites of a transformer: the output of its first attention, and the residual stream before and after its first MLP."""

INPUT, OPTIMUM, OUTPUT = "input", "optimal_output", "output"
"""Values of the column `site` for features that are no activations: tokens, optimal predictions, the network's."""

STATES = {"rnn": ["hook_h"], "gru": ["hook_h"], "lstm": ["hook_c", "hook_h"], "kuramoto": ["hook_x"]}
STATES |= {"selective_ssm": ["hook_h", "hook_resid_post"]}
"""The hook points of a recurrent layer, by architecture: of the state that it carries forward to the next token, then
of its output where that is another."""


BLOCK = ["hook_resid_pre", "ln1.hook_normalized", "hook_attn_out", "hook_resid_mid"]
BLOCK += ["ln2.hook_normalized", "hook_mlp_out", "hook_resid_post"]
"""The hook points of a block of a transformer, in the order of the forward pass."""

OF_MLP = ("hook_resid_mid", "ln2.hook_normalized", "hook_mlp_out")
"""Those of them that a network of attention alone does not have."""

RECORDED = "recorded"
"""The architecture of an experiment whose activations are read from a file; its network is not known."""


def is_state(site: str) -> bool:
    """True for the state of a recurrent layer from which its output is read at the same token.

    False for the cell state c of an LSTM, which affects the output only through h.
    """
    return site.startswith("layers.") and site.endswith(("hook_h", "hook_x"))


def is_behind_layer(site: str) -> bool:
    """True for the residual stream after a block or layer, and for the state of a recurrent layer."""
    return site.endswith("hook_resid_post") or is_state(site)


def is_layer_output(site: str) -> bool:
    """True for a layer output: the residual stream before, between or after blocks, or a recurrent layer's state.

    A site of a recording is one too, unless it has the name of another hook point.
    """
    is_named = "hook_" in site or site in (INPUT, OPTIMUM, OUTPUT, CONCATENATED)
    return site == "blocks.0.hook_resid_pre" or is_behind_layer(site) or not is_named


def hook_point_names(model: Mapping) -> list[str]:
    """The hook points of a network, in the order of its forward pass.

    A name here is that of an identity module which the forward pass calls (`transformer`, `recurrent`). Names are
    TransformerLens's for a transformer; a recurrent network has its layers' states, h and c as in PyTorch,
    x for oscillators, h of a selective state space with the residual stream; a recording has those of its file.
    """
    if model["architecture"] == RECORDED:
        return model["sites"]
    if model["architecture"] in STATES:
        parts = STATES[model["architecture"]]
        return ["hook_embed", *(f"layers.{layer}.{part}" for layer in range(model["n_layers"]) for part in parts)]
    normalized = model["normalization"] == "LN"
    block = [part for part in BLOCK if model["d_mlp"] or part not in OF_MLP]
    names = ["hook_embed", "hook_pos_embed"]
    names += [f"blocks.{layer}.{part}" for layer in range(model["n_layers"]) for part in block]
    names += ["ln_final.hook_normalized"]
    return [name for name in names if normalized or "hook_normalized" not in name]


def in_forward_order(names: list[str]) -> list[str]:
    """Names of sites in the order of a forward pass, as far as they tell: numbers by value, hook points of a block."""

    def place(name: str) -> tuple:
        part = name.split(".", 2)[-1]
        numbers = [(int(found), "") if found.isdigit() else (-1, found) for found in re.split(r"(\d+)", name)]
        order = BLOCK.index(part) if part in BLOCK else len(BLOCK)
        return name not in ("hook_embed", "hook_pos_embed"), numbers[:2], order, numbers

    return sorted(names, key=place)


def chosen_sites(model: Mapping, probe: Mapping) -> list[str]:
    """The hook points that match the probe's patterns, in the order of the forward pass."""
    return list(filter(_any_of(tuple(probe["sites"])).match, hook_point_names(model)))


@cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern:
    return re.compile("|".join(map(translate, patterns)))


def concatenated_sites(sites: list[str], probe: Mapping) -> list[str]:
    """The sites whose features the probe concatenates; none if fewer than two match."""
    found = list(filter(_any_of(tuple(probe["concatenated"])).match, sites)) if probe["concatenated"] else []
    return found if len(found) > 1 else []


def with_concatenated(sites: list[str], parts: list[str]) -> list[str]:
    """Some sites followed by the concatenated site, if it has parts."""
    return [*sites, CONCATENATED] if parts else sites


def probed_sites(experiment: Mapping) -> list[str]:
    """The sites in the probe's table."""
    sites = chosen_sites(experiment["model"], experiment["probe"])
    return with_concatenated(sites, concatenated_sites(sites, experiment["probe"]))


def drawn_site(experiment: Mapping, wanted: str | None) -> str:
    """The site whose decoded beliefs the figures show: the one wanted, or the last layer output."""
    sites = probed_sites(experiment)
    layer_outputs = [site for site in sites if is_layer_output(site)]
    return wanted or (layer_outputs or sites)[-1]


def compared_sites(experiment: Mapping) -> list[str]:
    """The sites of the figure of distances: the last layer output and the concatenated site."""
    sites = probed_sites(experiment)
    return [drawn_site(experiment, None), *([CONCATENATED] if CONCATENATED in sites else [])]


def short_site(site: str) -> str:
    """The name of a hook point as an axis label."""
    return site.removeprefix("blocks.").removeprefix("layers.").replace(".hook_", " ").replace("hook_", "")
