"""What networks of every architecture have in common: parameters by name, and hook points to read them at.

A hook point is a module that returns what it is given. Its name is that of a site (see `sites`), and
it is called with what is computed there: of all nodes at once or, where a recurrence computes some
nodes before others, of one generation after another.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from geometry.networks.input_layout import InputLayout


class HookedNetwork(nn.Module):
    """A network that reads tokens along their layout.

    What an architecture adds: `forward`, `initialize`, the `cache_width` of a layer, and a ``config`` with ``d_vocab``,
    ``n_ctx``, ``n_layers`` and ``d_model``.
    """

    cache_width: int
    """Numbers that a layer keeps of a node for those that continue it."""

    def forward(self, tokens: Integer[Tensor, " node"], layout: InputLayout) -> Float[Tensor, "node d_vocab"]:
        """Next-token logits after each node's prefix."""
        raise NotImplementedError

    def initialize(self, generator: torch.Generator) -> None:
        """Draw every parameter anew."""
        raise NotImplementedError

    def trains(self, name: str) -> bool:
        """Whether a parameter is trained."""
        return True

    def set_parameters(self, arrays: Mapping) -> None:
        """Take every parameter from an array of its name; others are left alone."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(torch.from_numpy(arrays[name]))

    def new_cache(self, n_nodes: int) -> list[Float[Tensor, "node cache"]]:
        """By layer, room for what a `layout.TreeChunk` keeps of so many nodes."""
        like = next(self.parameters())
        return [like.new_zeros(n_nodes, self.cache_width) for _ in range(self.config.n_layers)]

    @contextmanager
    def recording(self, names: list[str]) -> Iterator[dict[str, Tensor]]:
        """A dictionary that each forward pass fills with the activations at some hook points, node by node."""
        record: dict[str, Tensor] = {}
        parts: dict[str, list[Tensor]] = {name: [] for name in names}

        def fill(_module, inputs: tuple[Tensor, InputLayout], _output) -> None:
            for name, found in parts.items():
                record[name] = found[0] if len(found) == 1 else inputs[1].joined(found)
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
