"""What the nodes of a tree stand for, read off one by one."""


def words_of(tree) -> list[tuple[int, ...]]:
    """The prefix of each node."""
    words = []
    for parent, token in zip(tree.parent.tolist(), tree.last_token.tolist(), strict=True):
        words.append((*(words[parent] if parent >= 0 else ()), token))
    return words
