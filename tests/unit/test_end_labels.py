"""Labels at the ends of curves do not overlap."""

from itertools import pairwise

import pytest

from geometry.figures.end_labels import HIGHEST, LINE_HEIGHT, label_places

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
