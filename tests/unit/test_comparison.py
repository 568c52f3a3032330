"""Networks that share a task are called by what differs among them."""

from geometry.comparison import network_labels

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
