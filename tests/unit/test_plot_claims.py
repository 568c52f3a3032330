"""The figure of all claims: what is drawn of each, on which side, and how it is cut."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from geometry.claims.outcomes import IN_ONE_NETWORK, OUTCOMES, with_outcomes
from plot_claims import LOOKS, in_order, plot_claims

VERDICTS = ("supported", "not supported", "undecided", "not testable")
ROW = {
    "experiment": "e",
    "site": "output",
    "n_seeds": 2,
    "kind": "more",
    "gain": 0.5,
    "gain_ci_low": 0.4,
    "gain_ci_high": 0.6,
    "gain_over_draws_low": 0.3,
    "gain_over_draws_high": 0.7,
    "verdict": "supported",
}


def claims(**rows):
    table = pd.DataFrame([ROW | {"claim": name} | row for name, row in rows.items()])
    return with_outcomes(table, 0.1)


def drawn(table):
    """The panels of the figure by title, each with its labels, intervals, arrows, marks and shaded sides."""
    figure = plot_claims(table, 0.1)
    found = {}
    for ax in (ax for ax in figure.findobj(plt.Axes) if ax.get_title(loc="left") or ax.get_title()):
        lines = [line for line in ax.lines if line.get_xydata().shape == (2, 2) and line.get_linestyle() != "None"]
        marks = {place: [line for line in ax.lines if line.get_marker() == place] for place in "<>oXDs"}
        found[ax.get_title(loc="left") or ax.get_title()] = {
            "labels": [label.get_text() for label in ax.get_yticklabels()],
            "intervals": [tuple(line.get_xdata()) for line in lines if np.ptp(line.get_ydata()) == 0],
            "arrows": {mark: [float(line.get_ydata()[0]) for line in marks[mark]] for mark in "<>"},
            "marks": [(m, line.get_markerfacecolor() != "none") for m in "oXDs" for line in marks[m]],
            "colors": {to_hex(line.get_color()).upper() for line in lines if np.ptp(line.get_ydata()) == 0},
            "shaded": [tuple(sorted((bar.get_x(), bar.get_x() + bar.get_width()))) for bar in ax.patches],
            "left": ax.figure.bbox.x0 < figure.bbox.width / 4,
        }
    plt.close(figure)
    return found


def test_what_is_supported_stands_on_the_left_and_everything_else_on_the_right():
    table = claims(a={}, b={"verdict": "not supported"}, c={"verdict": "undecided"}, d={"verdict": "not testable"})
    panels = drawn(table)
    assert list(panels) == ["1 supported", "1 not supported", "1 undecided", "1 not testable"]
    assert [panel["left"] for panel in panels.values()] == [True, False, False, False]
    assert [panel["marks"] for panel in panels.values()] == [[(m, True)] for m in "oXDs"]
    assert [panel["colors"] for panel in panels.values()][:3] == [{color} for _, color in list(LOOKS.values())[:3]]


def test_claims_are_sorted_by_kind_and_gain_with_the_claimed_side_of_each():
    table = claims(
        low={"gain": 0.2}, no_more={"kind": "no more"}, no_less={"kind": "no less", "gain": 0.0}, high={"gain": 0.9}
    )
    (panel,) = drawn(table).values()
    assert panel["labels"] == ["e: high", "e: low", "e: no_less", "e: no_more"]
    assert panel["shaded"] == [pytest.approx(side) for side in [(0.1, 1), (0.1, 1), (-0.1, 1), (-1, 0.1)]]


def test_interval_beyond_the_scale_is_cut_and_marked():
    table = claims(inside={"gain": 0.9, "gain_ci_high": 1.0}, beyond={"gain_ci_low": -np.inf, "gain_ci_high": 13})
    (panel,) = drawn(table).values()
    assert panel["intervals"] == [(0.4, 1.0), (-1, 1)]
    assert panel["arrows"] == {"<": [1], ">": [1]}


def test_one_network_is_hollow_with_the_interval_over_draws():
    table = claims(a={"n_seeds": 1, "verdict": "undecided", "gain_ci_low": -np.inf, "gain_ci_high": np.inf})
    panels = drawn(table)
    assert list(panels) == [f"1 {IN_ONE_NETWORK['supported']}"]
    (panel,) = panels.values()
    assert panel["marks"] == [("o", False)] and panel["intervals"] == [(0.3, 0.7)] and panel["arrows"]["<"] == []


def test_claim_without_a_gain_has_a_row_but_no_mark_of_an_interval():
    (panel,) = drawn(claims(a={"verdict": "not testable", "gain": np.nan, "gain_ci_low": -np.inf})).values()
    assert panel["labels"] == ["e: a"] and panel["intervals"] == [] and panel["arrows"] == {"<": [], ">": []}


def test_every_outcome_has_a_look_and_every_claim_a_row():
    assert {mark.style.split()[0] for mark in OUTCOMES.values()} == set(LOOKS)
    table = claims(**{f"c{n}": {"verdict": verdict} for n, verdict in enumerate(VERDICTS * 3)})
    assert sum(len(in_order(table, outcome)) for outcome in OUTCOMES) == len(table)
