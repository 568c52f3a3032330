"""The base class of networks of every architecture: parameters by name, hook points, cache.

A hook point is an identity module whose name is that of a site (see `hook_points`). It is called with the activations
there: of all nodes at once or, in a recurrent network, of one generation of nodes after another.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from geometry.networks.input_layout import InputLayout
from geometry.networks.predictions import log_probability


class HookedNetwork(nn.Module):
    """A network that maps the tokens of an input layout to next-token logits.

    An architecture defines `forward`, `initialize`, the `cache_width` of a layer, and a ``config`` with ``d_vocab``,
    ``n_ctx``, ``n_layers``, ``d_model`` and ``output``.
    """

    cache_width: int
    """Numbers per node and layer in the cache: keys and values, or a recurrent state."""

    def forward(self, tokens: Integer[Tensor, " node"], layout: InputLayout) -> Float[Tensor, "node d_vocab"]:
        """Next-token logits after each node's prefix."""
        raise NotImplementedError

    def log_probability(self, logits: Float[Tensor, "node d_vocab"]) -> Float[Tensor, "node d_vocab"]:
        """The prediction in nats, given the logits."""
        return log_probability(logits, self.config.output)

    def initialize(self, generator: torch.Generator) -> None:
        """Draw all parameters at random."""
        raise NotImplementedError

    def trains(self, name: str) -> bool:
        """True if the optimiser updates the parameter."""
        return True

    def set_parameters(self, arrays: Mapping) -> None:
        """Set every parameter to the array of its name; other arrays are ignored."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(torch.from_numpy(arrays[name]))

    def new_cache(self, n_nodes: int) -> list[Float[Tensor, "node cache_width"]]:
        """An empty cache of so many nodes for `input_layout.TreeChunk`, one tensor per layer."""
        like = next(self.parameters())
        return [like.new_zeros(n_nodes, self.cache_width) for _ in range(self.config.n_layers)]

    @contextmanager
    def recording(self, names: list[str]) -> Iterator[dict[str, Tensor]]:
        """A dictionary that each forward pass fills with the activations at some hook points, a row per node."""
        record: dict[str, Tensor] = {}
        parts: dict[str, list[Tensor]] = {name: [] for name in names}

        def fill(_module, inputs: tuple[Tensor, InputLayout], _output) -> None:
            for name, found in parts.items():
                record[name] = found[0] if len(found) == 1 else inputs[1].in_node_order(found)
                found.clear()

        handles = [
            self.get_submodule(name).register_forward_hook(lambda _m, _i, output, found=found: found.append(output))
            for name, found in parts.items()
        ]
        handles.append(self.register_forward_hook(fill))
        try:
            yield record
        finally:
            for handle in handles:
                handle.remove()
