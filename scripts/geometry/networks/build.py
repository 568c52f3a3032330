"""The network of an experiment's model section, whatever its architecture."""

from collections.abc import Mapping

import torch
from numpy import ndarray

from geometry.networks.hooked_network import HookedNetwork
from geometry.networks.recurrent import Recurrent, RecurrentConfig
from geometry.networks.transformer import Transformer, TransformerConfig


def build_network(n_tokens: int, context: int, model: Mapping) -> HookedNetwork:
    """A network for a task, without parameters yet; a beginning-of-sequence token adds a token and a position."""
    if model["architecture"] == "transformer":
        kind, shape = Transformer, TransformerConfig
    else:
        kind, shape = Recurrent, RecurrentConfig
    known = {key: model[key] for key in shape.__dataclass_fields__ if key in model}
    return kind(shape(d_vocab=n_tokens + model["bos"], n_ctx=context + model["bos"], **known))


def initial_parameters(network: HookedNetwork, seed: int) -> dict[str, ndarray]:
    """The initial parameters that a seed draws, by name; the network is set to them."""
    network.initialize(torch.Generator().manual_seed(seed))
    return {name: parameter.detach().numpy().copy() for name, parameter in network.named_parameters()}
