"""Sites: where in a network its activations are read."""

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import cache

PREFIXES_AT_ONCE = 1024
"""Prefixes whose activations are computed at a time, so that a hidden layer stays in the cache."""

CONCATENATED = "concatenated"
"""The site that joins several sites of a network, by default its layer outputs; see `concatenated_sites`."""

INPUT, OPTIMUM, OUTPUT = "input", "optimal_output", "output"
"""Where what is no activation is found: the tokens, the optimal predictions, the network's own."""


STATES = {"rnn": ["hook_h"], "gru": ["hook_h"], "lstm": ["hook_c", "hook_h"], "kuramoto": ["hook_x"]}
"""What each layer of a recurrent network hands on to the next token, by architecture."""


def is_state(site: str) -> bool:
    """Whether a site is the state of a recurrent layer that the layer above and the prediction read.

    The cell state c of an LSTM is not: it reaches them through h alone, and only what is read later.
    """
    return site.startswith("layers.") and site.endswith(("hook_h", "hook_x"))


def is_behind_layer(site: str) -> bool:
    """Whether a site is all that a layer gives to the next: a residual stream behind a block, or a state."""
    return site.endswith("hook_resid_post") or is_state(site)


def is_layer_output(site: str) -> bool:
    """Whether a site is a stream: a residual stream between blocks, each counted once, or a layer's state."""
    return site == "blocks.0.hook_resid_pre" or is_behind_layer(site)


def hook_point_names(model: Mapping) -> list[str]:
    """The hook points of a network of that shape, in the order of its forward pass.

    Those of a transformer have TransformerLens's names; those of a recurrent network are its layers' states, h and c
    as in PyTorch, x of oscillators.
    """
    if model["architecture"] in STATES:
        parts = STATES[model["architecture"]]
        return ["hook_embed", *(f"layers.{layer}.{part}" for layer in range(model["n_layers"]) for part in parts)]
    normalized = model["normalization"] == "LN"
    block = ["hook_resid_pre", "ln1.hook_normalized", "hook_attn_out", "hook_resid_mid"]
    block += ["ln2.hook_normalized", "hook_mlp_out", "hook_resid_post"]
    names = ["hook_embed", "hook_pos_embed"]
    names += [f"blocks.{layer}.{part}" for layer in range(model["n_layers"]) for part in block]
    names += ["ln_final.hook_normalized"]
    return [name for name in names if normalized or "hook_normalized" not in name]


def chosen_sites(model: Mapping, probe: Mapping) -> list[str]:
    """The hook points that match the probe's patterns, in the order of the forward pass."""
    return list(filter(_any_of(tuple(probe["sites"])).match, hook_point_names(model)))


@cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern:
    return re.compile("|".join(map(translate, patterns)))


def concatenated_sites(sites: list[str], probe: Mapping) -> list[str]:
    """Those of some sites that the probe joins to one, which is the more only if they are several."""
    found = list(filter(_any_of(tuple(probe["concatenated"])).match, sites)) if probe["concatenated"] else []
    return found if len(found) > 1 else []


def with_concatenated(sites: list[str], joined: list[str]) -> list[str]:
    """Some sites and, behind them, those that are joined, if there are any."""
    return [*sites, CONCATENATED] if joined else sites


def probed_sites(experiment: Mapping) -> list[str]:
    """The sites in the probe's table."""
    sites = chosen_sites(experiment["model"], experiment["probe"])
    return with_concatenated(sites, concatenated_sites(sites, experiment["probe"]))


def drawn_site(experiment: Mapping, wanted: str | None) -> str:
    """The site whose decoded beliefs the figures show: the one wanted, or the last stream."""
    sites = probed_sites(experiment)
    layer_outputs = [site for site in sites if is_layer_output(site)]
    return wanted or (layer_outputs or sites)[-1]


def compared_sites(experiment: Mapping) -> list[str]:
    """The sites of the figure of distances: the last stream and the joined ones."""
    sites = probed_sites(experiment)
    return [drawn_site(experiment, None), *([CONCATENATED] if CONCATENATED in sites else [])]


def short_site(site: str) -> str:
    """A hook point's name as it stands on an axis."""
    name = site.removeprefix("blocks.").removeprefix("layers.").replace(CONCATENATED, "all layer_outputs")
    return name.replace(".hook_", " ").replace("hook_", "")
