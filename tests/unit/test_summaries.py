"""What figures summarise: means over seeds, and labels that do not overlap."""

from itertools import pairwise

import pandas as pd
import pytest

from geometry.figures.end_labels import HIGHEST, LINE_HEIGHT, label_places
from geometry.figures.summaries import mean_over_seeds

ROWS = pd.DataFrame(
    {"seed": [1, 2, 1, 2, 1], "site": ["a", "a", "b", "b", "c"], "value": [1.0, 3.0, 5.0, 7.0, 9.0]},
    index=[7, 5, 3, 2, 0],
)


def test_mean_over_seeds_is_that_of_each_group():
    assert mean_over_seeds(ROWS, "site").to_dict() == {"a": 2, "b": 6, "c": 9}


def test_mean_over_seeds_takes_the_places_of_rows_as_groups():
    places = ROWS["site"].map(["c", "b", "a"].index)
    assert mean_over_seeds(ROWS, places).to_dict() == {0: 9, 1: 6, 2: 2}


CROWDED = [{"a": 0.5, "b": 0.5, "c\nc": 0.51}, {"a": 0.97, "b\nb": 0.99, "c": 1.0}, {"a": 0.1}]


@pytest.mark.parametrize("shares", CROWDED)
def test_labels_of_curves_stay_in_order_and_do_not_overlap(shares):
    places = label_places(shares)
    height = {name: LINE_HEIGHT * (name.count("\n") + 1) for name in shares}
    names = list(shares)
    for below, above in pairwise(names):
        assert places[above] - places[below] >= (height[below] + height[above]) / 2 - 1e-12
    assert places[names[-1]] + height[names[-1]] / 2 <= HIGHEST + 1e-12
    assert label_places({"alone": 0.3}) == {"alone": 0.3}
