"""Networks that share a task are called by what differs among them."""

from itertools import product

import pandas as pd
from matplotlib import pyplot as plt

from geometry.networks.labels import network_labels
from plot_comparison import MEASURES, plot_comparison

GRU = {"architecture": "gru", "n_layers": 1, "d_model": 8}
OSCILLATORS = {"architecture": "kuramoto", "n_layers": 1, "d_model": 8, "coupled": True}


def test_networks_are_told_apart_by_what_differs_alone():
    models = {"a": GRU, "b": OSCILLATORS, "c": {**OSCILLATORS, "coupled": False}}
    assert network_labels(models) == {"a": "gru", "b": "kuramoto", "c": "kuramoto, uncoupled"}
    assert network_labels({"a": GRU, "b": {**GRU, "n_layers": 2, "d_model": 16}}) == {
        "a": "1 layer, 8 wide",
        "b": "2 layers, 16 wide",
    }


def test_networks_that_differ_in_nothing_told_keep_the_names_of_their_experiments():
    models = {"short": GRU, "long": GRU, "wide": {**GRU, "d_model": 16}}
    assert network_labels(models) == {"short": "short", "long": "long", "wide": "16 wide"}


def comparison(networks):
    """A table of two tasks, of networks given as architecture and width."""
    measures = {"loss_gap_nats": 1e-3, "belief_r2": 0.99, "kl_rate_nats": 1e-2}
    rows = [
        (task, task, f"{architecture}, {d_model} wide", architecture, d_model, *measured)
        for task, (architecture, d_model), measured in product(("one", "other"), networks, measures.items())
    ]
    table = pd.DataFrame(rows, columns=["task", "process", "label", "architecture", "d_model", "measure", "value"])
    return table.assign(belief_dimension=2, n_layers=1)


def test_networks_of_several_kinds_stand_by_name_whatever_their_widths():
    figure = plot_comparison(comparison([("gru", 8), ("rnn", 16), ("lstm", 32)]))
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "", *MEASURES.values()]
    plt.close(figure)


def test_networks_of_one_kind_stand_by_width():
    figure = plot_comparison(comparison([("gru", 8), ("gru", 16), ("gru", 32)]))
    assert [ax.get_xlabel() for ax in figure.axes] == ["width (d_model)"] * 6
    plt.close(figure)
