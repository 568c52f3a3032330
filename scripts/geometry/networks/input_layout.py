"""Input layouts: the predecessors of each node of a network's input, in dense sequences or in a prefix tree.

A network is independent of the layout. A layout gives a transformer the position of each node and the attention
output of a layer, computed from rows that hold each node's query, key and value side by side. It carries the state of
a recurrent layer forward, from each node to its continuations.
"""

import itertools
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from geometry.networks.cpu_kernels import branch_attention

Step = Callable[[Float[Tensor, "node d_model"], Float[Tensor, "node width"]], Float[Tensor, "node width"]]
"""One step of a recurrence: from the input of some nodes and the states before them to their own states."""


class DenseSequences:
    """Sequences of one length, no prefix shared: node ``s * length + l`` is position l of sequence s."""

    def __init__(self, n_sequences: int, length: int, device: torch.device):
        self.shape = n_sequences, length
        self.position = torch.arange(length, device=device).repeat(n_sequences)

    def attend(self, layer: int, rows: Float[Tensor, "node three_width"], n_heads: int) -> Float[Tensor, "node width"]:
        """The attention-weighted values of each node, over the positions of its sequence up to its own."""
        query, key, value = rows.view(*self.shape, 3, n_heads, -1).permute(2, 0, 3, 1, 4)
        z = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return z.transpose(1, 2).reshape(len(rows), -1)

    def carry(
        self, layer: int, step: Step, initial: Float[Tensor, " width"], rows: Float[Tensor, "node d_model"]
    ) -> Float[Tensor, "node width"]:
        """The state at each node, carried forward along all sequences at once."""
        n_sequences, length = self.shape
        states = [initial.expand(n_sequences, -1)]
        for inputs in rows.view(n_sequences, length, -1).unbind(1):
            states.append(step(inputs, states[-1]))
        return self.in_node_order(states[1:])

    def in_node_order(self, parts: list[Float[Tensor, "_ width"]]) -> Float[Tensor, "node width"]:
        """Activations in the order of the nodes, from parts of one position each, or one part of all nodes."""
        return torch.stack(parts, dim=1).flatten(0, 1)


class PackedTree:
    """A tree of prefixes: each node attends to its ancestors and itself, or continues the state of its parent.

    ``parent`` is -1 at a root; a parent comes before its children, and for recurrent networks nodes stand in
    breadth-first order. `context` is the length of the longest branch.
    """

    def __init__(self, parent: Integer[Tensor, " node"], position: Integer[Tensor, " node"], context: int):
        self.parent, self.position, self.context = parent, position, context

    @cached_property
    def ancestors(self) -> Integer[Tensor, "node ancestor"]:
        return ancestors_of(self.parent, self.parent, self.context)

    def attend(self, layer: int, rows: Float[Tensor, "node three_width"], n_heads: int) -> Float[Tensor, "node width"]:
        """The attention-weighted values of each node, over its ancestors and itself."""
        return attend_to_gathered(rows, rows[:, rows.shape[1] // 3 :], self.ancestors, n_heads)

    def carry(
        self, layer: int, step: Step, initial: Float[Tensor, " width"], rows: Float[Tensor, "node d_model"]
    ) -> Float[Tensor, "node width"]:
        """The state at each node, carried forward along the tree, all nodes of one length at once."""
        states = []
        for above, nodes in self.generations:
            parent = self.parent[nodes] - above.start
            # F.embedding gathers rows like indexing does, with a gradient several times faster.
            before = F.embedding(parent, states[-1]) if states else initial.expand(len(parent), -1)
            states.append(step(rows[nodes], before))
        return self.in_node_order(states)

    @cached_property
    def generations(self) -> list[tuple[slice, slice]]:
        return generations_of(self.parent, 0, len(self.parent))

    def in_node_order(self, parts: list[Float[Tensor, "_ width"]]) -> Float[Tensor, "node width"]:
        """Activations in the order of the nodes, from parts of one generation each, or one part of all nodes."""
        return torch.cat(parts)


class TreeChunk:
    """Nodes `start` to `stop` of a tree in breadth-first order; all nodes before them are in the cache or leaves.

    ``cache[layer]`` is the KV cache of a transformer, or the states of a recurrent layer, at the nodes that have
    children, which come first.
    """

    def __init__(self, tree: PackedTree, cache: list[Float[Tensor, "inner_node cache_width"]], start: int, stop: int):
        self.tree, self.cache, self.start, self.stop = tree, cache, start, stop
        self.position = tree.position[start:stop]

    @cached_property
    def ancestors(self) -> Integer[Tensor, "node ancestor"]:
        return ancestors_of(self.tree.parent, self.tree.parent[self.start : self.stop], self.tree.context)

    def attend(self, layer: int, rows: Float[Tensor, "node three_width"], n_heads: int) -> Float[Tensor, "node width"]:
        """The attention-weighted values of each node, over its ancestors and itself; without a gradient."""
        cache = self.cache[layer]
        inner = cache[self.start : self.stop]
        inner.copy_(rows[: len(inner), rows.shape[1] // 3 :])
        if rows.device.type == "cpu":
            return self._attend_compiled(rows, cache, n_heads)
        return attend_to_gathered(rows, cache, self.ancestors, n_heads)

    def _attend_compiled(self, rows, cache, n_heads):
        z = rows.new_empty(len(rows), rows.shape[1] // 3)
        pattern = rows.new_empty(len(rows), n_heads, self.tree.context)
        attend, _ = branch_attention(n_heads, z.shape[1] // n_heads)
        arrays = (tensor.numpy() for tensor in (self.tree.parent, pattern, z))
        attend(rows.numpy(), cache.numpy(), 0, self.start, *arrays)
        return z

    def carry(
        self, layer: int, step: Step, initial: Float[Tensor, " width"], rows: Float[Tensor, "node d_model"]
    ) -> Float[Tensor, "node width"]:
        """The state at each node of the chunk, carried forward from the cached states; without a gradient."""
        cache, states = self.cache[layer], []
        for _, nodes in generations_of(self.tree.parent, self.start, self.stop):
            parent = self.tree.parent[nodes, None]
            before = torch.where(parent < 0, initial, cache[parent[:, 0].clamp(min=0)])
            state = step(rows[nodes.start - self.start : nodes.stop - self.start], before)
            inner = cache[nodes]
            inner.copy_(state[: len(inner)])
            states.append(state)
        return self.in_node_order(states)

    def in_node_order(self, parts: list[Float[Tensor, "_ width"]]) -> Float[Tensor, "node width"]:
        """Activations in the order of the nodes, from parts of one generation each, or one part of all nodes."""
        return torch.cat(parts)


InputLayout = DenseSequences | PackedTree | TreeChunk


def generations_of(parent: Integer[Tensor, " any_node"], start: int, stop: int) -> list[tuple[slice, slice]]:
    """Generations of nodes `start` to `stop` of a tree in breadth-first order: pairs (parents' slice, nodes' slice).

    The parents of the nodes of each slice are in the slice before it, or before `start`.
    """
    above, cuts = parent[start:stop], [start, start]
    while cuts[-1] < stop:
        cuts.append(start + int((above < cuts[-1]).sum()))
    slices = [slice(*ends) for ends in itertools.pairwise(cuts)]
    return list(itertools.pairwise(slices))


def ancestors_of(
    parent: Integer[Tensor, " any_node"], above: Integer[Tensor, " node"], context: int
) -> Integer[Tensor, "node ancestor"]:
    """The ancestors of each node: its parent (`above`), the parent's parent, and so on; -1 beyond the root."""
    ancestors = [above]
    for _ in range(context - 2):
        ancestors.append(torch.where(ancestors[-1] < 0, -1, parent[ancestors[-1].clamp(min=0)]))
    return torch.stack(ancestors, dim=1)


def attend_to_gathered(
    rows: Float[Tensor, "node three_width"],
    keys_values: Float[Tensor, "any_node two_width"],
    ancestors: Integer[Tensor, "node ancestor"],
    n_heads: int,
) -> Float[Tensor, "node width"]:
    """The attention-weighted values of each node, from the gathered rows of its ancestors; for any device."""
    n_nodes, width = len(rows), rows.shape[1] // 3
    query, own = rows.split([width, 2 * width], dim=1)
    # F.embedding gathers rows like indexing does, with a gradient several times faster.
    branch = torch.cat([own[:, None], F.embedding(ancestors.clamp(min=0), keys_values)], dim=1)
    keys, values = branch.view(n_nodes, -1, 2, n_heads, width // n_heads).unbind(2)
    scores = (query.view(n_nodes, 1, n_heads, -1) * keys).sum(-1) / (width // n_heads) ** 0.5
    beyond = F.pad(ancestors < 0, (1, 0))
    pattern = scores.masked_fill(beyond[:, :, None], -torch.inf).softmax(dim=1)
    return (pattern[..., None] * values).sum(1).flatten(1)
