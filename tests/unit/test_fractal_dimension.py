"""Dimensions: known exponents and fractals, two ways to one number, and what a blur takes away."""

from dataclasses import replace

import numpy as np
import pytest

from geometry.processes.catalog import process_from_config
from geometry.processes.chaos_game import play, sierpinski
from geometry.processes.entropy import entropy_rate_bounds_nats
from geometry.processes.fractal_dimension import (
    belief_set_dimension,
    box_counts,
    correlation_integral,
    exponents_of_sequences,
    kaplan_yorke_dimension,
    local_slopes,
    lyapunov_exponents,
    resolution,
    rms_distance,
    slope_between,
)
from geometry.processes.process import build_process
from measure_dimension import BeliefSet, dimension_table, read_true
from measure_process import dimension_table as true_table

MESS3 = process_from_config("mess3", {"x": 0.05, "alpha": 0.85})
NOISY = process_from_config("mess3", {"x": 0.15, "alpha": 0.6})
ONE_WAY = build_process(  # from each state to the next: a word and its reverse are not alike
    "one_way",
    [
        [[0.64, 0.16, 0.0], [0.0, 0.05, 0.05], [0.27, 0.0, 0.03]],
        [[0.08, 0.02, 0.0], [0.0, 0.4, 0.4], [0.09, 0.0, 0.01]],
        [[0.08, 0.02, 0.0], [0.0, 0.05, 0.05], [0.54, 0.0, 0.06]],
    ],
)
SCALES = np.logspace(-3, 0.3, 34)


def rng():
    return np.random.default_rng(0)


def sum_of_exponents(process):
    """The sum is the mean logarithm of the determinant, by a token's stationary probability."""
    probability = process.next_token_probability(process.stationary_distribution[None])[0]
    return probability @ np.log(np.abs(np.linalg.det(process.transition_tensor)))


# --- The maps -----------------------------------------------------------------------------------------------------


def test_sierpinski_has_its_dimension():
    """Each map halves distances and each token is equally likely: exponents log(1/3) and twice log(1/6)."""
    for exponents in (lyapunov_exponents(sierpinski(), rng()), exponents_of_sequences(sierpinski())):
        np.testing.assert_allclose(exponents, np.log([1 / 3, 1 / 6, 1 / 6]), atol=1e-3)
        assert kaplan_yorke_dimension(exponents) == pytest.approx(np.log(3) / np.log(2), abs=2e-3)


@pytest.mark.parametrize("process", [MESS3, NOISY, ONE_WAY], ids=["mess3", "mess3_noisy", "one_way"])
def test_sampled_exponents_and_those_of_all_words_agree(process):
    sampled, exact = lyapunov_exponents(process, rng()), exponents_of_sequences(process)
    assert kaplan_yorke_dimension(sampled) == pytest.approx(kaplan_yorke_dimension(exact), abs=0.02)
    for exponents in (sampled, exact):
        assert -exponents[0] == pytest.approx(entropy_rate_bounds_nats(process)[1], abs=0.005)
        assert exponents.sum() == pytest.approx(sum_of_exponents(process), abs=0.005)


def test_exponents_of_one_dimensional_maps_are_known_by_hand():
    """Both tokens' matrices are triangular, so that the second exponent is the mean logarithm of an entry."""
    tensor = np.array([[[0.4, 0.0], [0.3, 0.1]], [[0.6, 0.0], [0.4, 0.2]]])
    process = build_process("triangular", tensor)
    exponents = lyapunov_exponents(process, rng(), n_runs=200)
    h = -(0.4 * np.log(0.4) + 0.6 * np.log(0.6))
    second = 0.4 * np.log(0.1) + 0.6 * np.log(0.2)
    np.testing.assert_allclose(exponents, [-h, second], atol=0.01)


@pytest.mark.parametrize("name", ["z1r", "rrxor", "even", "golden_mean", "mr_name", "days_of_week"])
def test_finitely_many_beliefs_have_no_dimension(name):
    process = process_from_config(name, {})
    for exponents in (lyapunov_exponents(process, rng(), 50, 100), exponents_of_sequences(process)):
        assert belief_set_dimension(process, exponents) == 0


def test_beliefs_that_never_contract_have_no_dimension_if_they_are_finitely_many():
    """Tokens only swap the states: no map contracts, and there are two beliefs."""
    swap, stay = 0.3 * np.eye(2)[::-1], 0.7 * np.eye(2)
    process = build_process("swap", [swap, stay], initial_state=[0.9, 0.1])
    exponents = exponents_of_sequences(process)
    np.testing.assert_allclose(exponents[0], exponents[1], atol=1e-12)
    assert kaplan_yorke_dimension(exponents) == 1 and belief_set_dimension(process, exponents) == 0


def test_words_of_a_process_that_never_chooses_come_to_an_end():
    process = build_process("turns", [[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    for exponents in (lyapunov_exponents(process, rng(), 50, 100), exponents_of_sequences(process)):
        assert exponents[0] == 0 and belief_set_dimension(process, exponents) == 0


def test_dimension_is_at_most_that_of_the_space():
    process = process_from_config("bloch_walk", {})
    assert kaplan_yorke_dimension(lyapunov_exponents(process, rng(), 50, 100)) == 2


def test_kaplan_yorke_by_hand():
    """h = 1, rates -0.4 and -2: the first leaves 0.6, of which the second takes 0.3 dimensions."""
    assert kaplan_yorke_dimension(np.array([-1, -1.4, -3.0])) == pytest.approx(1.3)
    assert kaplan_yorke_dimension(np.array([-0.5, -1.5, -np.inf])) == pytest.approx(0.5)
    assert kaplan_yorke_dimension(np.array([-0.5, -0.6, -np.inf])) == pytest.approx(1)
    assert kaplan_yorke_dimension(np.array([0.0, -np.inf])) == 0


def test_basis_does_not_matter():
    basis = np.eye(3) + 0.3 * rng().normal(size=(3, 3))
    changed = build_process("changed", np.linalg.inv(basis) @ MESS3.transition_tensor @ basis, generalized=True)
    np.testing.assert_allclose(lyapunov_exponents(changed, rng()), lyapunov_exponents(MESS3, rng()), atol=0.02)


def test_both_ways_agree_where_probabilities_are_slightly_negative():
    """A process as it may be recovered: a token takes a little probability from another, after every prefix."""
    shift = 0.15 * np.outer(MESS3.readout, MESS3.stationary_distribution)
    tensor = MESS3.transition_tensor + np.array([-1, 1, 0])[:, None, None] * shift
    process = replace(MESS3, transition_tensor=tensor, generalized=True)
    corner = np.array([0.02, 0.96, 0.02])
    assert (corner @ process.emission_matrix).min() < -0.01
    sampled, exact = lyapunov_exponents(process, rng()), exponents_of_sequences(process)
    assert kaplan_yorke_dimension(sampled) == pytest.approx(kaplan_yorke_dimension(exact), abs=0.02)
    assert abs(kaplan_yorke_dimension(exact) - kaplan_yorke_dimension(exponents_of_sequences(MESS3))) > 0.04


# --- The points ---------------------------------------------------------------------------------------------------


def test_correlation_integral_counts_pairs():
    points, weight = np.array([[0.0], [1.0], [3.0]]), np.array([1.0, 2, 1])
    found = correlation_integral(points, weight, np.array([0.5, 1.0, 2.0, 2.5, 3.0]))
    np.testing.assert_allclose(found, np.array([0, 2, 4, 4, 5]) / 5)
    assert rms_distance(points, weight) == pytest.approx(np.sqrt(2 * np.var([0, 1, 1, 3])))


def test_correlation_integral_of_many_points_is_that_of_all_distances():
    points, weight = rng().normal(size=(301, 2)), rng().integers(1, 4, 301).astype(float)
    far = np.linalg.norm(points[:, None] - points, axis=2)
    pairs = np.triu(np.outer(weight, weight), 1)
    expected = [pairs[far <= scale].sum() / pairs.sum() for scale in SCALES]
    np.testing.assert_allclose(correlation_integral(points, weight, SCALES), expected)


@pytest.mark.parametrize(
    ("points", "dimension"),
    [
        (play(sierpinski(), 3000, 40, np.random.default_rng(0))[0], np.log(3) / np.log(2)),
        (np.random.default_rng(0).uniform(size=(3000, 1)) * [1, 2], 1),
    ],
    ids=["sierpinski", "line"],
)
def test_slopes_of_a_sample_are_its_dimension(points, dimension):
    integral = correlation_integral(points, np.ones(len(points)), SCALES)
    assert slope_between(SCALES, integral, 0.02, 0.3) == pytest.approx(dimension, abs=0.05)
    middle, slopes = local_slopes(SCALES, integral)
    assert slopes[(middle > 0.02) & (middle < 0.3)].mean() == pytest.approx(dimension, abs=0.05)
    for counts in box_counts(points, np.ones(len(points)), np.array([1 / 8, 1 / 16])):
        assert np.log2(counts[1] / counts[0]) == pytest.approx(dimension, abs=0.1)


def test_box_counts_by_hand():
    points, weight = np.array([[0, 0], [0.9, 0], [1.1, 0], [1.1, 2.5], [1.1, 2.6]]), np.array([1.0, 1, 2, 2, 2])
    counts, effective = box_counts(points, weight, np.array([0.05, 1.0, 3.0]))
    assert counts.tolist() == [5, 3, 1]
    entropy = [np.log(8) - 0.75 * np.log(2), np.log(4) - 0.5 * np.log(2), 0]
    np.testing.assert_allclose(np.log(effective), entropy, atol=1e-12)


def test_information_dimension_of_uneven_maps_is_below_that_of_their_set():
    """Thirds of a line, one of which is likelier: entropy over log 3, and log 2 over log 3 (the Cantor set)."""
    points, weight = np.zeros((1, 1)), np.ones(1)
    for _ in range(10):
        points, weight = np.vstack([points / 3, points / 3 + 2 / 3]), np.concatenate([0.9 * weight, 0.1 * weight])
    counts, effective = box_counts(points, weight, (1 - 1e-6) * 3.0 ** -np.arange(1, 6))  # no point on an edge
    np.testing.assert_allclose(counts, 2 ** np.arange(1, 6))
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    np.testing.assert_allclose(np.log(effective), entropy * np.arange(1, 6), rtol=1e-6)


def test_resolution_is_proportional_to_the_blur():
    """A Sierpinski triangle blurred by noise is like itself down to a scale that is a multiple of the noise."""
    points, weight = play(sierpinski(), 3000, 40, rng())[0], np.ones(3000)
    truth = correlation_integral(points, weight, SCALES)
    noise = rng().normal(size=points.shape)
    found = []
    for sigma in (0.005, 0.01, 0.02, 0.04):
        blurred = correlation_integral(points + sigma * noise, weight, SCALES)
        kept = truth * 3000**2 / 2 > 1000
        found.append(resolution(SCALES[kept], truth[kept], blurred[kept], 1.1) / sigma)
    assert max(found) / min(found) < 1.6 and 2 < np.mean(found) < 12


def test_resolution_is_interpolated_and_has_ends():
    scales, one = np.array([0.01, 0.1, 1.0]), np.array([0.1, 0.4, 1.0])
    assert resolution(scales, one, one, 1.1) == 0.01
    assert resolution(scales, one, one / 2, 1.1) == 1
    assert resolution(scales, one, one * [0.0, 1, 1], 1.1) == pytest.approx(0.01)
    assert resolution(scales, one, one * [1.21, 1, 1], 1.1) == pytest.approx(np.sqrt(0.001))
    assert resolution(scales, one, one * [1 / 1.21, 1, 1], 1.1) == pytest.approx(np.sqrt(0.001))
    assert resolution(scales, one, one * [1, 1.21, 1], 1.1) == pytest.approx(np.sqrt(0.1))


def test_table_tells_of_each_set_what_is_its_own():
    points = play(sierpinski(), 1500, 40, rng())[0]
    fine, coarse = (points + sigma * rng().normal(size=points.shape) for sigma in (1e-4, 0.1))
    weight, of_process = np.ones(1500), true_table(7 * points, np.ones(1500), sierpinski(), 0)
    sets = (BeliefSet("decoded", 1, step, "trained", 7 * moved, None) for step, moved in ((9, fine), (0, coarse)))
    table = dimension_table(sets, read_true(of_process), weight, 0)
    found = table[table["measure"] == "resolution"].set_index("step")["value"]
    assert found[9] < 0.02 and found[0] > 0.2
    slope = table[table["measure"] == "correlation_dimension"].set_index(["set", "step"])["value"]
    assert slope["decoded", 0] > 1.8 and slope["decoded", 9] < 1.65
    (dimension,) = of_process.loc[of_process["measure"] == "kaplan_yorke", "value"]
    assert dimension == pytest.approx(np.log(3) / np.log(2), abs=2e-3)
