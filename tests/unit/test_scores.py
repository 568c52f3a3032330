"""What the table calls a shape, a score by length and a memory."""

import numpy as np
import pytest
from scipy.spatial import procrustes

from geometry.claims.markup import Table, as_html, as_markdown
from geometry.probing.cloud_shape import cloud_shape
from geometry.probing.cross_validation import by_length, by_prefix, by_stem, passes
from geometry.probing.design import ProbeDesign
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.kgram import kgram_ids, kgram_predictions
from geometry.probing.regression import regress
from geometry.probing.scores import evaluate, kgram_rows, r2_by_group
from geometry.processes.belief_states import complete_tree_with_beliefs
from geometry.processes.catalog import process_from_config


def shape_of(x, y):
    (moments,) = cell_gram_matrices(x.astype(np.float32), y, np.ones((1, len(x))), np.zeros(len(x), dtype=int))
    return cloud_shape(regress(moments), slice(None))


def test_disparity_is_that_of_the_leading_components():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(400, 2))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    moved = 3 * np.hstack([y, np.zeros((400, 4))]) @ rotation + 5
    assert shape_of(moved, y)["procrustes_disparity"] == pytest.approx(0, abs=1e-6)
    x = moved + rng.normal(size=(400, 6)) * [2, 1, 0.5, 0.5, 0.5, 0.5]
    centred = x - x.mean(axis=0)
    scores = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    expected = procrustes(y, scores)[2]
    assert 0.01 < expected < 0.9
    assert shape_of(x, y)["procrustes_disparity"] == pytest.approx(expected, abs=1e-6)


def test_participation_ratio_counts_the_dimensions_of_a_round_cloud():
    x = np.random.default_rng(0).normal(size=(500, 5))
    x = np.linalg.qr(x - x.mean(axis=0))[0]
    shape = shape_of(np.hstack([x, np.ones((500, 2))]), x[:, :1])
    assert shape["participation_ratio"] == pytest.approx(5, abs=1e-4)
    assert shape["variance_share"][0] == pytest.approx(0.2, abs=1e-4)


def test_r2_of_a_group_is_that_of_its_rows_alone():
    rng = np.random.default_rng(0)
    target, decoded = rng.normal(size=(2, 60, 2))
    weight, group = rng.uniform(size=60), np.arange(60) % 3
    rows = group == 1
    mean = np.average(target[rows], axis=0, weights=weight[rows])
    error, spread = (weight[rows] @ (target[rows] - other) ** 2 for other in (decoded[rows], mean))
    found = r2_by_group(decoded, target, weight, group)
    assert found[1] == pytest.approx(1 - error.sum() / spread.sum())
    assert np.isnan(r2_by_group(decoded, 0 * target, weight, group)).all()


@pytest.mark.parametrize("recalled", [1, 2, 3])
def test_matching_kgram_order_is_that_of_the_first_kgram_that_does_as_well(recalled):
    """Planted: halfway from the mean belief after so many tokens to that after one more."""
    process = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
    tree, belief, probability = complete_tree_with_beliefs(process, 6, 10**4)
    rng, numbers = np.random.default_rng(0), kgram_ids(tree, 4)
    splits = list(passes({"held_out_prefix": by_prefix(len(tree), 5, 1, rng)}))
    splits += passes({"held_out_length": by_length(tree), "held_out_subtree": by_stem(tree, 5, 1, rng)})
    design = ProbeDesign(tree.length, {"belief_state": belief}, {}, {"probability": probability}, splits)
    tables = [value_of(rows, "in_sample", "r2") for rows in kgram_rows(design, numbers)]
    means = list(kgram_predictions(belief, probability, numbers))
    planted = (means[recalled] + means[recalled + 1]) / 2
    known = {("probability", "in_sample"): tables}
    ((_, result),) = evaluate(design, planted.astype(np.float32), {"site": slice(None)}, {}, known)
    assert tables[recalled - 1] < value_of(result.rows, "in_sample", "r2") < tables[recalled]
    assert value_of(result.rows, "in_sample", "matching_kgram_order") == recalled + 1


def value_of(rows, split, metric):
    (row,) = (row for row in rows if (row.target, row.split, row.metric) == ("belief_state", split, metric))
    return row.value


def test_document_is_text_in_either_form():
    table = Table(["a|b", "<script>"], [["x", "1 < 2"]])
    assert as_markdown([table]).splitlines() == ["| a\\|b | &lt;script> |", "| --- | --- |", "| x | 1 &lt; 2 |"]
    assert "<script>" not in as_html("t", [table]) and "&lt;script&gt;" in as_html("t", [table])
    with pytest.raises(ValueError, match="as many cells"):
        Table(["a"], [["x", "y"]])
