"""Gains are bounded and alike in both directions; p-values and Holm's correction agree with the verdicts."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from geometry.claims.multiplicity import holm, multiplicity_in_words
from geometry.claims.verdicts import RESOLUTION, bound_of, interval, p_value, relative_gain, verdict
from geometry.probing.cross_validation import by_prefix
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import Fold, ridge

KINDS = ("more", "no less", "no more")
SCORES = st.floats(-3, 1)


def gain_of(estimate, baseline, kind="more"):
    return float(relative_gain(np.array([[float(estimate)]]), np.array([[float(baseline)]]), kind).item())


@pytest.mark.parametrize(
    ("estimate", "baseline", "kind", "expected"),
    [
        (0.9, 0.8, "more", 0.5),  # 0.1 is left, half of 0.2
        (0.8, 0.9, "more", -0.5),
        (0.5, -1.0, "more", 0.75),
        (0.9, 0.9, "no more", 0.0),
        (1.0, 0.3, "more", 1.0),
        (0.87, 0.9995, "more", -(1 - 0.0005 / 0.13)),  # (0.87 - 0.9995) / 0.0005 is -259
        (0.9, 1.0, "no less", -0.1),
        (0.998, 0.999, "no less", -0.001 / 0.999),
        (0.5, 0.01, "no less", 0.98),
        (-0.5, 0.4, "no less", -1.0),  # what is worse than the mean explains nothing
    ],
)
def test_gain_by_hand(estimate, baseline, kind, expected):
    assert gain_of(estimate, baseline, kind) == pytest.approx(expected)


@given(SCORES, SCORES, st.sampled_from(KINDS))
def test_gain_is_bounded_and_changes_sign_with_the_roles(estimate, baseline, kind):
    gain, other = gain_of(estimate, baseline, kind), gain_of(baseline, estimate, kind)
    assert np.isnan(gain) or -1 <= gain <= 1
    assert np.isnan(gain) or np.isnan(other) or gain == -other


@given(SCORES, SCORES, SCORES)
def test_more_is_no_less_gain(estimate, more, baseline):
    """A better estimate never gains less."""
    low, high = sorted([estimate, more])
    for kind in KINDS:
        assert not gain_of(low, baseline, kind) > gain_of(high, baseline, kind)


@given(st.floats(-1, 0.999), st.floats(0, 1))
def test_gain_of_a_better_estimate_is_the_share_of_what_the_baseline_leaves(baseline, share):
    assert gain_of(baseline + share * (1 - baseline), baseline) == pytest.approx(share, abs=1e-9)


def test_baseline_that_leaves_nothing_is_not_testable_and_one_that_leaves_more_in_a_seed_is():
    estimate = np.full((2, 1), 0.9)
    leaves_nothing = np.array([[1.0], [1 - RESOLUTION]])
    assert verdict(relative_gain(estimate, leaves_nothing, "more"), 0.1, 0.95, "more") == "not testable"
    in_a_seed = relative_gain(np.ones((2, 1)), np.array([[1.0], [2 / 3]]), "more")
    np.testing.assert_array_equal(in_a_seed, [[0.0], [1.0]])  # equal in one, all that is left in the other
    assert np.isnan(relative_gain(estimate, np.zeros((2, 1)), "no less")).all()  # nothing could be lost


def test_one_seed_without_a_score_decides_nothing():
    gain = relative_gain(np.array([[0.9], [np.nan], [0.9]]), np.full((3, 1), 0.5), "more")
    assert verdict(gain, 0.1, 0.95, "more") == "undecided" and np.isnan(p_value(gain, 0.1))


@pytest.mark.parametrize("scale", [1, 0.1, 0.01])
def test_resolution_is_far_above_what_rounding_leaves(scale):
    """Of beliefs that are an affine function of activations, float32 leaves what moves no gain over a baseline."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(1, scale, 32)
    x = rng.normal(size=(2000, 32)) * sizes + 5 * rng.normal(size=32)
    y = (x / sizes) @ rng.normal(size=(32, 2))
    features = (x @ np.linalg.qr(rng.normal(size=(32, 32)))[0]).astype(np.float32)
    folds = by_prefix(len(x), 5, 1, rng)[0]
    moments = cell_gram_matrices(features, y, np.ones((1, len(x))), folds)[0]
    left = 1 - ridge([Fold(*sets) for sets in moments.splits(np.arange(5))], {"y": slice(0, 2)}).score.r2()
    assert left < 0.01 * 0.1 * RESOLUTION  # a hundredth of the margin


def gains(n, n_draws, mean, seed):
    """Gains by seed and draw that scatter with both."""
    rng = np.random.default_rng(seed)
    return mean + 0.1 * rng.normal(size=(n, 1)) + 0.05 * rng.normal(size=n_draws) + 0.05 * rng.normal(size=(n, n_draws))


def test_p_value_of_one_draw_is_that_of_the_t_test():
    for seed in range(20):
        values = gains(5, 1, 0.2, seed)
        assert p_value(values, 0.1) == pytest.approx(ttest_1samp(values[:, 0], 0.1).pvalue, rel=1e-9)


@pytest.mark.parametrize(("n", "n_draws"), [(2, 1), (2, 4), (5, 1), (5, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_p_value_is_below_the_level_exactly_if_decided(kind, n, n_draws):
    decided = []
    for seed in range(100):
        values = gains(n, n_draws, 0.1 * (seed % 5 - 2), seed)
        p = p_value(values, bound_of(0.1, kind))
        for confidence in (0.5, 0.9, 0.95):
            decided.append(p < 1 - confidence)
            assert decided[-1] == (verdict(values, 0.1, confidence, kind) != "undecided")
    assert 0.05 < np.mean(decided) < 0.95


@pytest.mark.parametrize("n_draws", [1, 6])
def test_interval_at_the_p_value_ends_at_the_bound(n_draws):
    values = gains(4, n_draws, 0.4, 1)
    low, high = interval(values, 1 - p_value(values, 0.1))
    assert min(abs(low - 0.1), abs(high - 0.1)) < 1e-8


def test_p_value_of_gains_without_scatter():
    assert p_value(np.full((3, 1), 1.0), 0.1) == 0
    assert p_value(np.full((3, 1), 0.5), 0.5) == 1
    assert np.isnan(p_value(np.array([[0.9]]), 0.1))


def test_p_value_may_be_minute():
    assert 0 < p_value(np.array([[0.5], [0.5 + 1e-5]] * 10), 0.1) < 1e-50


def test_holm_by_hand():
    adjusted = holm(np.array([0.01, np.nan, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1, 1])
    assert np.isnan(holm(np.array([np.nan]))).all() and len(holm(np.array([]))) == 0


def test_holm_errs_in_any_claim_as_rarely_as_it_says():
    rng = np.random.default_rng(1)
    erred = [(holm(rng.uniform(size=10)) < 0.05).any() for _ in range(4000)]
    assert 0.04 < np.mean(erred) < 0.06  # without correction 0.4
    # with true effects beside, those are found more often than by Bonferroni's correction
    p = np.array([*np.full(9, 1e-6), 0.03])
    assert holm(p)[-1] == 0.03


def test_sentences_count_false_and_remaining_verdicts():
    claims = pd.DataFrame(
        {"verdict": ["supported", "not supported", "undecided", "not testable"], "p_value": [0.001, 0.04, 0.5, np.nan]}
    )
    text = multiplicity_in_words(claims.assign(p_holm=holm(claims["p_value"].to_numpy())), 0.95)
    assert "at most 2.5%: of 3 claims that can be decided, at most 0.1 on average. 2 are decided." in text
    assert "1 of these remain" in text
