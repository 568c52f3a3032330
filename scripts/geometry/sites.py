"""Sites: where in a network its activations are read."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

PREFIXES_AT_ONCE = 1024
"""Prefixes whose activations are computed at a time, so that a hidden layer stays in the cache."""

CONCATENATED = "residual_streams"
"""The site that joins the residual streams between blocks (the first resid_pre, every resid_post)."""

INPUT, OPTIMUM, OUTPUT = "input", "optimal_output", "output"
"""Where what is no activation is found: the tokens, the optimal predictions, the network's own."""


def is_stream(site: str) -> bool:
    """Whether a site is a residual stream between blocks, each counted once."""
    return site == "blocks.0.hook_resid_pre" or site.endswith("hook_resid_post")


def hook_point_names(model: Mapping) -> list[str]:
    """The hook points of a network of that shape, in the order of its forward pass."""
    normalized = model["normalization"] == "LN"
    block = ["hook_resid_pre", "ln1.hook_normalized", "hook_attn_out", "hook_resid_mid"]
    block += ["ln2.hook_normalized", "hook_mlp_out", "hook_resid_post"]
    names = ["hook_embed", "hook_pos_embed"]
    names += [f"blocks.{layer}.{part}" for layer in range(model["n_layers"]) for part in block]
    names += ["ln_final.hook_normalized"]
    return [name for name in names if normalized or "hook_normalized" not in name]


def chosen_sites(model: Mapping, probe: Mapping) -> list[str]:
    """The hook points that match the probe's patterns, in the order of the forward pass."""
    return [name for name in hook_point_names(model) if any(fnmatchcase(name, p) for p in probe["sites"])]


def with_streams_joined(sites: list[str]) -> list[str]:
    """Some sites and, behind them, their residual streams joined, if they are more than one."""
    return [*sites, CONCATENATED] if sum(map(is_stream, sites)) > 1 else sites


def probed_sites(experiment: Mapping) -> list[str]:
    """The sites in the probe's table."""
    return with_streams_joined(chosen_sites(experiment["model"], experiment["probe"]))


def drawn_site(experiment: Mapping, wanted: str | None) -> str:
    """The site whose decoded beliefs the figures show: the one wanted, or the last residual stream."""
    sites = probed_sites(experiment)
    streams = [site for site in sites if is_stream(site)]
    return wanted or (streams or sites)[-1]


def compared_sites(experiment: Mapping) -> list[str]:
    """The sites of the figure of distances: the last residual stream and the joined ones."""
    sites = probed_sites(experiment)
    return [drawn_site(experiment, None), *([CONCATENATED] if CONCATENATED in sites else [])]


def short_site(site: str) -> str:
    """A hook point's name as it stands on an axis."""
    return site.replace("blocks.", "").replace(".hook_", " ").replace("hook_", "").replace(CONCATENATED, "all streams")
