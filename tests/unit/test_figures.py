"""What figures must not get wrong, whatever they look like."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from test_surgery import KEYS, planted_network

from geometry.figures.belief_cloud import BeliefPainter
from geometry.figures.number_circle import NEAR, named_numbers
from geometry.figures.simplex import belief_colors
from geometry.probing.probe_table import circle_scores
from geometry.processes.catalog import PROCESSES, process_from_config
from geometry.tasks.ground_truth import markov_ground_truth
from measure_surgery import circles_dataset, shown_modulus
from plot_process import plot_process
from plot_recovery import draw_training

PARAMETERS = {name: {"x": 0.05, "alpha": 0.85} for name in ("mess3", "mess3_duplicated")} | {
    "mess": {"n": 4, "x": 0.05, "alpha": 0.85},
    "mixture": {"components": [{"process": "z1r"}, {"process": "bloch_walk"}]},
    "product": {"factors": [{"process": "z1r"}, {"process": "even"}]},
    "chain": {"factors": [{"process": "z1r"}, {"process": "even", "depends_on": "token", "by": [{"p": 0.2}, {}]}]},
    "noisy": {"of": {"process": "z1r"}, "epsilon": 0.1},
}


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


@pytest.mark.parametrize("name", [name for name in PROCESSES if name != "custom"])
def test_diagram_has_an_arrow_for_each_transition_and_a_matrix_for_each_token(name):
    process = process_from_config(name, PARAMETERS.get(name, {}))
    figure = plot_process(process)
    diagram, *matrices = [ax for part in figure.subfigs for ax in part.axes]
    has_diagram = not process.generalized and process.n_states <= 12
    assert len(diagram.patches) == has_diagram * (process.transition_tensor.sum(axis=0) > 0).sum()
    drawn = [image.get_array() for ax in matrices for image in ax.images]
    np.testing.assert_array_equal(drawn, process.transition_tensor[:12])
    figure.canvas.draw()
    plt.close(figure)


def test_names_are_drawn_as_they_are():
    tensor = [[[0.5, 0.0, 0.0], [0.3, 0.0, 0.2], [0, 0, 0.5]], [[0.0, 0.5, 0.0], [0.5, 0.0, 0.0], [0.2, 0.3, 0]]]
    process = process_from_config("custom", {"transition_tensor": tensor, "state_names": ["a$\\frac$", "<b>", "$"]})
    painter, (figure, ax) = BeliefPainter(markov_ground_truth(process, 3, 10**4, seed=0), 100), plt.subplots()
    painter.frame(ax)
    figure.canvas.draw()
    plt.close(figure)


def test_circle_scores_are_those_of_pairs_that_were_not_trained_on():
    row = {"weighting": "probability", "features": "activations", "estimator": "least_squares", "metric": "r2"}
    splits = ["in_sample", "held_out_subtree", "held_out_from_training"]
    targets = [("answer_circles", None), ("circle", 1), ("circle", 12)]
    rows = [row | {"split": s, "target": target, "index": k} for target, k in targets for s in splits]
    probe = pd.DataFrame(rows).assign(value=range(9))
    assert circle_scores(probe).set_index("frequency")["value"].to_dict() == {1: 5, 12: 8}
    probe = probe[probe["split"] != splits[2]]
    assert circle_scores(probe).set_index("frequency")["value"].to_dict() == {1: 4, 12: 7}


def test_numbers_on_a_dial_do_not_touch():
    for p in (2, 5, 53, 113):
        for k in range(1, p // 2 + 1):
            turn = k * np.arange(p) % p / p
            angle = np.sort(2 * np.pi * turn[named_numbers(turn)])
            gaps = np.diff(np.append(angle, angle[0] + 2 * np.pi))
            assert angle[0] == 0 and gaps.min() >= NEAR - 1e-9


@pytest.mark.parametrize(("p", "moduli", "shown"), [(53, 150, 59), (113, 150, 127), (113, 125, 125), (7, 11, 11)])
def test_circles_after_surgery_are_shown_for_a_prime_above(p, moduli, shown):
    assert shown_modulus(p, list(range(2, moduli + 1))) == shown


def test_circles_after_surgery_are_those_of_the_new_frequencies():
    dataset = circles_dataset(planted_network(29, KEYS), 1, 0.005, list(range(2, 32)))
    assert dataset.sizes["token"] == 31 and sorted(dataset["key_frequency"].values) == sorted(KEYS)
    angle = 2 * np.pi * np.outer(dataset["chosen_frequency"], np.arange(31)) / 31
    expected = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    np.testing.assert_allclose(dataset["embedding_circle"], expected, atol=1e-6)


def test_network_without_a_key_frequency_has_no_circles_to_show():
    constant = {name: np.zeros_like(array) for name, array in planted_network(29, KEYS).items()}
    assert circles_dataset(constant, 1, 0.005, [2, 3]).sizes["key"] == 0


def test_figures_look_the_same_whatever_the_user_has_set(tmp_path):
    settings = "axes.grid: True\nlines.dashed_pattern: 1, 1\nsavefig.dpi: 7\n"
    (tmp_path / "matplotlibrc").write_text(settings, encoding="utf-8")
    code = "import matplotlib\nbefore = matplotlib.rcParams['axes.grid']\nimport geometry.figures.style\n"
    code += "names = 'axes.grid', 'lines.dashed_pattern', 'savefig.dpi'\n"
    code += "print(before, *(matplotlib.rcParams[name] == matplotlib.rcParamsDefault[name] for name in names))"
    environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, encoding="utf-8").stdout
    assert said.split() == ["True"] * 4


def test_steps_of_a_recovery_are_not_negative():
    rows = [(site, step, 0.1) for site in ("blocks.0.hook_resid_post", "output") for step in (0, 100, 900)]
    scores = pd.DataFrame(rows, columns=["source", "step", "value"])
    scores = scores.assign(measure="kl_rate_nats", seed=1, origin="trained")
    _, ax = plt.subplots()
    draw_training(ax, scores, scores.assign(source="unigram"), "blocks.0.hook_resid_post")
    low, high = ax.get_xlim()
    assert [step for step in ax.get_xticks() if low <= step <= high and step <= 0] == [0]
