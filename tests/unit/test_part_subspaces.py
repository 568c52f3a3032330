"""Subspaces of parts: planted activations, whose subspaces are known, and sums written out."""

import itertools

import numpy as np
import pytest
from reference_tree import words_of

from geometry.probing.part_subspaces import (
    encoding,
    frozen_sequences,
    overlap,
    random_overlap,
    sequence_ids,
    variance_shares,
    vary_one,
)
from geometry.processes.composition import PRODUCT, Composition, Part
from geometry.processes.prefix_tree import tree_of_sequences

TOKENS = np.array(list(itertools.product(range(2), range(3))))
"""The token of either factor, of two and three tokens, in each joint token."""


def part(name, n, column, n_states=6):
    """A factor of n states among the joint ones, which are in the order of the tokens."""
    marginal = np.eye(n)[TOKENS[:, column]]
    return Part(name, marginal, TOKENS[:, column], np.ones(n), np.full(n, 1 / n))


FACTORS = Composition(PRODUCT, (part("a", 2, 0), part("b", 3, 1)), independent=True)


@pytest.fixture(scope="module")
def tree():
    """All words of three joint tokens."""
    return tree_of_sequences(np.array(list(itertools.product(range(6), repeat=3))))[0]


@pytest.fixture(scope="module")
def beliefs(tree):
    """For each prefix a belief over either factor's states, which depends on that factor's tokens alone."""
    rng, found = np.random.default_rng(0), []
    for factor in FACTORS.parts:
        ids = sequence_ids(tree, factor.token)
        found.append(rng.dirichlet(np.ones(factor.marginal.shape[1]), ids.max() + 1)[ids])
    return found


@pytest.fixture(scope="module")
def weight(tree):
    weight = np.random.default_rng(1).random(len(tree))
    return weight / weight.sum()


def orthogonal_rows(n, width, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0][:n]


def test_sequences_of_one_factor_have_equal_numbers_where_its_tokens_agree(tree):
    words = [tuple(TOKENS[list(word), 1]) for word in words_of(tree)]
    numbers = sequence_ids(tree, TOKENS[:, 1])
    assert len({*zip(numbers.tolist(), words, strict=True)}) == len({*words}) == len({*numbers.tolist()})


def test_orthogonal_factors_overlap_by_nothing_and_explain_all(tree, beliefs, weight):
    rows = orthogonal_rows(5, 8, 2)
    x = np.hstack(beliefs) @ rows + 3
    bases, explained, _ = encoding(x, beliefs, weight)
    assert explained == pytest.approx(1, abs=1e-12)
    assert [len(basis) for basis in bases] == [1, 2]
    assert overlap(bases) == pytest.approx(0, abs=1e-12)
    assert overlap(vary_one(x, frozen_sequences(tree, FACTORS), [1, 2], weight)) == pytest.approx(0, abs=1e-12)


def test_factors_that_share_a_direction_overlap_by_its_share(tree, beliefs, weight):
    """The direction of the first factor is one of the two of the second: both estimates give a cosine of 1."""
    rows = orthogonal_rows(2, 4, 3)
    first, second = np.outer([1, -1], rows[0]), np.array([rows[0], rows[1], -rows[0] - rows[1]])
    x = beliefs[0] @ first + beliefs[1] @ second
    assert overlap(encoding(x, beliefs, weight)[0]) == pytest.approx(1)
    assert overlap(vary_one(x, frozen_sequences(tree, FACTORS), [1, 2], weight)) == pytest.approx(1)


def test_product_of_beliefs_is_not_explained_by_its_factors(tree, beliefs, weight):
    joint = (beliefs[0][:, :, None] * beliefs[1][:, None]).reshape(len(tree), 6)
    x = joint @ np.random.default_rng(4).standard_normal((6, 9))
    assert encoding(x, [joint], weight)[1] == pytest.approx(1, abs=1e-9)
    by_factors = encoding(x, beliefs, weight)[1]
    design = np.hstack([np.ones((len(tree), 1)), *beliefs]) * np.sqrt(weight)[:, None]
    centred = (x - weight @ x) * np.sqrt(weight)[:, None]
    left = centred - design @ np.linalg.lstsq(design, centred, rcond=None)[0]
    assert by_factors == pytest.approx(1 - (left**2).sum() / (centred**2).sum())
    assert by_factors < 0.97


def test_frozen_contexts_are_centred_one_by_one(tree, beliefs, weight):
    x = np.random.default_rng(5).standard_normal((len(tree), 4))
    frozen = {}
    for node, word in enumerate(sequence_ids(tree, TOKENS[:, 1]).tolist()):
        frozen.setdefault(word, []).append(node)
    gram = np.zeros((4, 4))
    for nodes in frozen.values():
        own, share = x[nodes], weight[nodes]
        centred = own - share @ own / share.sum()
        gram += (centred * share[:, None]).T @ centred
    expected = np.linalg.eigh(gram)[1][:, -1]
    (found,) = vary_one(x, frozen_sequences(tree, FACTORS), [1, 2], weight)[0]
    assert abs(found @ expected) == pytest.approx(1)


def test_overlap_is_the_mean_squared_cosine_of_principal_angles():
    angle = 0.3
    one = np.array([[1, 0, 0, 0.0]])
    other = np.array([[np.cos(angle), np.sin(angle), 0, 0], [0, 0, 1, 0]])
    third = np.array([[0, 0, 0, 1.0]])
    assert overlap([one, other]) == pytest.approx(np.cos(angle) ** 2)
    assert overlap([one, other, third]) == pytest.approx(np.cos(angle) ** 2 / 3)


def test_random_directions_overlap_as_their_spread_demands():
    rng = np.random.default_rng(6)
    assert random_overlap(np.eye(50), [1, 1], rng) == pytest.approx(1 / 50, abs=0.01)
    assert random_overlap(np.diag([1, 1e-8]), [1, 1], rng) == pytest.approx(1, abs=0.01)


def test_shares_of_the_variance_add_up_from_the_largest():
    assert variance_shares(np.diag([1.0, 6, 3])).tolist() == pytest.approx([0.6, 0.9, 1])
