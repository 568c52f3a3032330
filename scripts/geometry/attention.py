"""Attention over the two forms of a network's input: words side by side, or the tree of their prefixes.

A network knows neither. It asks its input for the position of each node and for the attention of a
layer, given rows that hold each node's queries, keys and values side by side.
"""

from functools import cached_property

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn import functional as F

from geometry.kernels import branch_attention


class Words:
    """Words of one length, no prefix shared: node ``word * length + l`` is position l of a word."""

    def __init__(self, n_words: int, length: int, device: torch.device):
        self.shape = n_words, length
        self.position = torch.arange(length, device=device).repeat(n_words)

    def attend(self, layer: int, rows: Float[Tensor, "node three_width"], n_heads: int) -> Float[Tensor, "node width"]:
        """What attention mixes for each node from its word's positions up to its own."""
        query, key, value = rows.view(*self.shape, 3, n_heads, -1).permute(2, 0, 3, 1, 4)
        z = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return z.transpose(1, 2).reshape(len(rows), -1)


class Branches:
    """A tree of prefixes: each node attends to its ancestors and itself.

    ``parent`` is -1 at a root; a parent comes before its children. `context` is the longest branch.
    """

    def __init__(self, parent: Integer[Tensor, " node"], position: Integer[Tensor, " node"], context: int):
        self.parent, self.position, self.context = parent, position, context

    @cached_property
    def ancestors(self) -> Integer[Tensor, "node above"]:
        return ancestors_of(self.parent, self.parent, self.context)

    def attend(self, layer: int, rows: Float[Tensor, "node three_width"], n_heads: int) -> Float[Tensor, "node width"]:
        """What attention mixes for each node from its branch."""
        return attend_to_gathered(rows, rows[:, rows.shape[1] // 3 :], self.ancestors, n_heads)


class Piece:
    """Nodes `start` to `stop` of a tree in breadth-first order, all before them having been read.

    ``kept[layer]`` holds keys and values for the nodes that have children, which come first.
    """

    def __init__(self, tree: Branches, kept: list[Float[Tensor, "inner two_width"]], start: int, stop: int):
        self.tree, self.kept, self.start, self.stop = tree, kept, start, stop
        self.position = tree.position[start:stop]

    @cached_property
    def ancestors(self) -> Integer[Tensor, "node above"]:
        return ancestors_of(self.tree.parent, self.tree.parent[self.start : self.stop], self.tree.context)

    def attend(self, layer: int, rows: Float[Tensor, "node three_width"], n_heads: int) -> Float[Tensor, "node width"]:
        """What attention mixes for each node of the piece from its branch; without a gradient."""
        kept = self.kept[layer]
        inner = kept[self.start : self.stop]
        inner.copy_(rows[: len(inner), rows.shape[1] // 3 :])
        if rows.device.type == "cpu":
            return self._attend_compiled(rows, kept, n_heads)
        return attend_to_gathered(rows, kept, self.ancestors, n_heads)

    def _attend_compiled(self, rows, kept, n_heads):
        z = rows.new_empty(len(rows), rows.shape[1] // 3)
        pattern = rows.new_empty(len(rows), n_heads, self.tree.context)
        attend, _ = branch_attention(n_heads, z.shape[1] // n_heads)
        arrays = (tensor.numpy() for tensor in (self.tree.parent, pattern, z))
        attend(rows.numpy(), kept.numpy(), 0, self.start, *arrays)
        return z


def ancestors_of(
    parent: Integer[Tensor, " any_node"], above: Integer[Tensor, " node"], context: int
) -> Integer[Tensor, "node above"]:
    """By node, its parent (`above`), the parent of that, and so on; -1 beyond the root."""
    path = [above]
    for _ in range(context - 2):
        path.append(torch.where(path[-1] < 0, -1, parent[path[-1].clamp(min=0)]))
    return torch.stack(path, dim=1)


def attend_to_gathered(
    rows: Float[Tensor, "node three_width"],
    keys_values: Float[Tensor, "any_node two_width"],
    ancestors: Integer[Tensor, "node above"],
    n_heads: int,
) -> Float[Tensor, "node width"]:
    """What attention mixes, by array operations, which run on any device: every ancestor's row is gathered."""
    n_nodes, width = len(rows), rows.shape[1] // 3
    query, own = rows.split([width, 2 * width], dim=1)
    # F.embedding gathers rows like indexing does, with a gradient several times faster.
    branch = torch.cat([own[:, None], F.embedding(ancestors.clamp(min=0), keys_values)], dim=1)
    keys, values = branch.view(n_nodes, -1, 2, n_heads, width // n_heads).unbind(2)
    scores = (query.view(n_nodes, 1, n_heads, -1) * keys).sum(-1) / (width // n_heads) ** 0.5
    beyond = F.pad(ancestors < 0, (1, 0))
    pattern = scores.masked_fill(beyond[:, :, None], -torch.inf).softmax(dim=1)
    return (pattern[..., None] * values).sum(1).flatten(1)
