"""Simplex, colours and chaos game."""

import numpy as np
import pytest

from geometry.figures.simplex import ANCHORS, TRIANGLE, belief_colors, project_targets
from geometry.processes.belief_states import belief_states, complete_tree
from geometry.processes.catalog import process_from_config
from geometry.processes.chaos_game import play, sierpinski, simplex_images


def test_three_states_are_drawn_on_the_triangle():
    projection = project_targets(np.eye(3), np.ones(3), generalized=False)
    np.testing.assert_allclose(projection(np.eye(3)), TRIANGLE)
    np.testing.assert_allclose(projection(np.full((1, 3), 1 / 3)), TRIANGLE.mean(axis=0)[None])


@pytest.mark.parametrize("n", [2, 4, 5, 7])
def test_other_hidden_states_stand_on_a_regular_polygon(n):
    projection = project_targets(np.eye(n), np.ones(n), generalized=False)
    corners = projection(np.eye(n))
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    np.testing.assert_allclose(sides, sides[0])
    assert len(np.unique(corners.round(6), axis=0)) == n


def test_generalized_targets_are_drawn_on_their_principal_components():
    rng = np.random.default_rng(0)
    target, weight = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)), rng.random(200)
    points = project_targets(target, weight, generalized=True)(target)
    share = weight / weight.sum()
    np.testing.assert_allclose(share @ points, 0, atol=1e-12)
    spectrum = np.sort(np.linalg.eigvalsh(np.cov(target.T, aweights=weight, ddof=0)))[::-1]
    np.testing.assert_allclose(share @ points**2, spectrum[:2], atol=1e-12)


def test_a_certain_belief_has_its_anchor_colour():
    np.testing.assert_allclose(belief_colors(np.eye(3), generalized=False), ANCHORS[:3])


def test_colours_of_generalized_beliefs_are_colours():
    process = process_from_config("bloch_walk", {})
    belief, _ = belief_states(process, complete_tree(process, 4, 10**4))
    colors = belief_colors(belief, generalized=True)
    assert colors.min() >= 0 and colors.max() <= 1 and np.ptp(colors, axis=0).max() > 0.3


def test_sierpinski_maps_jump_halfway_to_a_corner():
    process = sierpinski()
    belief = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    for token in range(3):
        image = belief @ process.transition_tensor[token]
        np.testing.assert_allclose(image.sum(axis=1), 1 / 3)
        np.testing.assert_allclose(image / image.sum(axis=1, keepdims=True), (belief + np.eye(3)[token]) / 2)


def test_chaos_game_on_the_sierpinski_maps_misses_the_middle():
    points, _ = play(sierpinski(), 5000, 64, np.random.default_rng(0))
    assert (points.max(axis=1) >= 0.5 - 1e-9).all()


def test_chaos_game_lands_on_the_exact_belief_set():
    """Every point of the game is next to an exact belief, as near as the maps contract in ten tokens."""
    process = process_from_config("mess3", {"x": 0.15, "alpha": 0.6})
    exact, _ = belief_states(process, complete_tree(process, 8, 10**5))
    points, token = play(process, 200, 64, np.random.default_rng(0))
    nearest = np.linalg.norm(points[:, None] - exact[None], axis=2).min(axis=1)
    assert nearest.max() < 0.02
    share = np.bincount(token) / len(token)
    assert np.abs(share - 1 / 3).max() < 0.15


def test_images_of_the_simplex_hold_the_beliefs_that_end_in_their_word():
    process = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
    tree = complete_tree(process, 4, 10**4)
    belief, _ = belief_states(process, tree)
    images = simplex_images(process, 1)
    for token in range(3):
        barycentric = np.linalg.solve(images[token].T, belief[tree.last_token == token].T)
        assert barycentric.min() > -1e-9
    assert len(simplex_images(process, 2)) == 9
