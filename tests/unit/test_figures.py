"""What figures must not get wrong, whatever they look like."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from geometry.ground_truth import markov_ground_truth
from geometry.processes import PROCESSES, process_from_config
from geometry.simplex import belief_colors
from geometry.style import BeliefPainter

PARAMETERS = {name: {"x": 0.05, "alpha": 0.85} for name in ("mess3", "mess3_duplicated")}


@pytest.mark.parametrize("name", [name for name in PROCESSES if name != "custom"])
def test_decoded_cloud_is_drawn_in_the_colours_of_the_truth(name):
    process = process_from_config(name, PARAMETERS.get(name, {}))
    truth = markov_ground_truth(process, 3, 10**4, seed=0)
    painter, (figure, ax) = BeliefPainter(truth, 10**6), plt.subplots()
    wrong = truth["target"].values[::-1]
    painter.draw(ax, wrong, "wrong")
    drawn = ax.collections[0]
    expected = belief_colors(truth["target"].values, process.generalized)[painter.rows]
    np.testing.assert_allclose(drawn.get_facecolors()[:, :3], expected)
    assert sorted(painter.rows) == list(range(truth.sizes["prefix"]))
    if len(truth["component"]) != 2:
        np.testing.assert_allclose(drawn.get_offsets(), painter.projection(wrong)[painter.rows])
    figure.canvas.draw()
    plt.close(figure)


def test_names_are_drawn_as_they_are():
    tensor = [[[0.5, 0.0, 0.0], [0.3, 0.0, 0.2], [0, 0, 0.5]], [[0.0, 0.5, 0.0], [0.5, 0.0, 0.0], [0.2, 0.3, 0]]]
    process = process_from_config("custom", {"transition_tensor": tensor, "state_names": ["a$\\frac$", "<b>", "$"]})
    painter, (figure, ax) = BeliefPainter(markov_ground_truth(process, 3, 10**4, seed=0), 100), plt.subplots()
    painter.frame(ax)
    figure.canvas.draw()
    plt.close(figure)
