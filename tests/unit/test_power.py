"""Power is that of the very rule for verdicts, by brute force; what collects claims adds p-values and seeds to each."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct
from scipy.stats import t as student_t

from collect_claims import collect, power_table
from geometry.claims.claim import Claim
from geometry.claims.power import ENOUGH, MOST_SEEDS, Plan, Scatter, scatter_of
from geometry.claims.verdicts import bound_of, interval, p_value, relative_gain, verdict
from geometry.schemas.study import Claims, ClaimsOfExperiment, Power
from geometry.tables import checked, columns_of
from judge_claims import claim_row

NAN = math.nan


@pytest.mark.parametrize("n", [2, 3, 5, 20])
@pytest.mark.parametrize("distance", [0.3, 1.0, 3.0, 10.0])
def test_power_of_one_draw_is_that_of_the_noncentral_t(n, distance):
    found = Plan(distance, Scatter(1.0, NAN, NAN), 2, 1, 0.95).power(n)
    expected = nct.sf(student_t.isf(0.025, n - 1), n - 1, distance * math.sqrt(n))
    assert found == pytest.approx(expected, abs=1e-3)


def planted(rng, n, n_draws, distance, of_seeds, of_draws, rest):
    scatter = of_seeds * rng.normal(size=(n, 1)) + of_draws * rng.normal(size=n_draws)
    return distance + scatter + rest * rng.normal(size=(n, n_draws))


CASES = [(1.0, 0.5, 0.3, 4), (1.0, 0.1, 1.0, 2), (1.0, 0.8, 0.3, 10), (0.3, 0.3, 0.3, 5)]


@pytest.mark.parametrize(("of_seeds", "of_draws", "rest", "n_draws"), CASES)
@pytest.mark.parametrize("n", [2, 5, 12])
def test_power_is_how_often_the_rule_decides(of_seeds, of_draws, rest, n_draws, n):
    """By brute force, where the true scatter is known: what two-way data of that kind are planted with."""
    rng, measured_on = np.random.default_rng(1), 3
    of_seed_means = math.hypot(of_seeds, rest / math.sqrt(n_draws))
    scatter = Scatter(of_seed_means, math.hypot(of_draws, rest / math.sqrt(measured_on)), rest)
    for distance in (0.7, 1.5):
        tries = [interval(planted(rng, n, n_draws, distance, of_seeds, of_draws, rest), 0.95) for _ in range(1500)]
        often = np.mean([low > 0 for low, _ in tries])
        assert Plan(distance, scatter, measured_on, n_draws, 0.95).power(n) == pytest.approx(often, abs=0.04)


def test_scatter_is_that_which_was_planted():
    rng = np.random.default_rng(1)
    found = scatter_of(planted(rng, 400, 300, 0.0, 1.0, 0.5, 0.2))
    assert (found.over_seeds, found.over_draws, found.rest) == pytest.approx((1, 0.5, 0.2), rel=0.1)
    of_one_draw = scatter_of(np.array([[0.0], [2.0]]))
    assert of_one_draw.over_seeds == pytest.approx(math.sqrt(2)) and math.isnan(of_one_draw.over_draws)
    assert math.isnan(scatter_of(np.array([[0.5, 0.6]])).over_seeds)


def plan(distance, of_seeds, of_draws=NAN, n_draws=1, rest=NAN):
    return Plan(distance, Scatter(of_seeds, of_draws, rest), 2, n_draws, 0.95)


@pytest.mark.parametrize("distance", [0.05, 0.2, 0.5])
def test_seeds_to_decide_are_the_fewest_that_are_enough(distance):
    """One network fewer decides too rarely, by brute force too."""
    n = int(plan(distance, 0.2).seeds_to_decide())
    rng = np.random.default_rng(1)

    def decided(n):
        gains = 0.1 + distance + 0.2 * rng.normal(size=(4000, n, 1))
        return np.mean([verdict(gain, 0.1, 0.95, "more") == "supported" for gain in gains])

    assert decided(n) > ENOUGH - 0.015 and decided(n - 1) < ENOUGH + 0.015
    assert plan(distance, 0.2).power(n - 1) < ENOUGH <= plan(distance, 0.2).power(n)


def test_no_number_of_seeds_decides_at_the_margin_or_against_the_draws():
    assert plan(0.0, 0.2).seeds_to_decide() == math.inf
    assert plan(1e-4, 0.2).power(MOST_SEEDS) < ENOUGH and plan(1e-4, 0.2).seeds_to_decide() == math.inf
    assert plan(0.1, 0.2, n_draws=5, of_draws=0.2, rest=0.0).seeds_to_decide() == math.inf
    of_pairs = {"of_draws": 0.2, "rest": 0.2 * math.sqrt(2)}  # of two seeds, with draws that differ by nothing else
    assert 2 < plan(0.1, 0.2, n_draws=5, **of_pairs).seeds_to_decide() < MOST_SEEDS
    assert math.isnan(plan(0.1, NAN).seeds_to_decide())


def test_gains_without_scatter_are_decided_by_two_seeds():
    assert plan(0.9, 0.0).power(2) == 1 and plan(0.9, 0.0).seeds_to_decide() == 2


def claims_with(estimates, baselines, kinds, testable=True):
    """The rows of some claims with one draw each, and what collects them."""
    rule = {"margin": 0.1, "confidence": 0.95}
    rows = []
    for number, (estimate, baseline, kind) in enumerate(zip(estimates, baselines, kinds, strict=True)):
        scores = pd.Series(estimate, range(1, len(estimate) + 1))
        claim = Claim(f"claim {number}", "site", scores, {"b": scores * 0 + baseline}, kind, testable=testable)
        rows.append(claim_row(claim, "e", rule) | {"caution": "", "unit": "network"})
    return checked(pd.DataFrame(rows), ClaimsOfExperiment)


def test_collected_claims_have_corrected_p_values_and_the_seeds_that_they_need():
    estimates = [[0.9, 0.92, 0.91], [0.6, 0.8, 0.5], [0.99, 0.98, 0.99], [0.3, 0.3, 0.29], [1.0, 1.0, 1.0]]
    found = claims_with(estimates, [0.5, 0.45, 1.0, 0.25, 1.0], ["more", "more", "no less", "no more", "more"])
    claims, power = checked(collect(found), Claims), checked(power_table(found, 0.95), Power)
    assert list(claims["verdict"]) == ["supported", "undecided", "supported", "supported", "not testable"]
    assert list(power["expected_verdict"]) == ["supported", "supported", "supported", "supported", "not testable"]
    assert "gain_sd_rest" not in claims and list(power["bound"]) == [0.1, 0.1, -0.1, 0.1, 0.1]
    gain = relative_gain(np.array(estimates[1]), np.full(3, 0.45), "more")
    assert claims["p_value"][1] == pytest.approx(p_value(gain[:, None], bound_of(0.1, "more")))
    assert (claims["p_holm"][:4] >= claims["p_value"][:4]).all() and claims.loc[4, ["p_value", "p_holm"]].isna().all()
    assert power["sd_over_seeds"][1] == pytest.approx(gain.std(ddof=1)) and np.isnan(power["sd_over_draws"][1])
    assert power["seeds_to_decide"][0] == 2 and 3 < power["seeds_to_decide"][1] <= MOST_SEEDS
    assert power.loc[4, ["power", "seeds_to_decide"]].isna().all()


def test_claims_of_one_network_and_those_not_testable_have_no_power():
    one = claims_with([[0.9]], [0.5], ["more"])
    refused = claims_with([[0.9, 0.91]], [0.5], ["more"], testable=False)
    for claims, expected in ((one, "undecided"), (refused, "not testable")):
        power = power_table(claims, 0.95)
        assert list(power["expected_verdict"]) == [expected] and power["seeds_to_decide"].isna().all()
        assert collect(claims)[["p_value", "p_holm"]].isna().all(axis=None)


def test_tables_of_one_study_have_the_claims_columns_in_common():
    of_experiment, of_study = columns_of(ClaimsOfExperiment), columns_of(Claims)
    assert set(of_study) - set(of_experiment) == {"p_holm"}
