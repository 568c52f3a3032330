"""Claims beside those of a reference: what agrees, by how many standard errors it moved, and what is no reference."""

import numpy as np
import pandas as pd
import pytest

from geometry.claims.replication import (
    ReplicationError,
    agreement,
    agreement_with,
    check_experiments,
    compare_claims,
    read_claims,
    standard_errors,
)
from geometry.claims.verdicts import interval
from geometry.schemas.study import Replication
from geometry.tables import checked
from plot_replication import plot_replication

ROW = {"experiment": "a", "claim": "linear", "site": "last", "verdict": "supported", "n_seeds": 3}
ROW |= {"estimate": 0.9, "ci_low": 0.8, "ci_high": 1.0, "gain": 0.5, "gain_ci_low": 0.3, "gain_ci_high": 0.7}
T_OF_3, T_OF_5 = 4.302653, 2.776445
"""Quantiles of Student's t, 97.5 %, with 2 and 4 degrees of freedom (from printed tables)."""


def claims(*rows):
    return pd.DataFrame([ROW | row for row in rows])


def row_of(values, confidence=0.95):
    low, high = interval(values, confidence)
    return {"n_seeds": len(values), "estimate": values.mean(), "ci_low": low, "ci_high": high}


def test_standard_error_is_that_of_the_mean_over_seeds():
    values = np.array([[0.1], [0.4], [0.3], [0.9]])
    for confidence in (0.95, 0.8):
        (error,) = standard_errors(claims(row_of(values, confidence)), "estimate", confidence)
        assert error == pytest.approx(values.std(ddof=1) / 2)


def test_standard_error_is_never_too_small_where_few_draws_widen_the_interval():
    values = np.random.default_rng(0).normal([0.0, 1.0], size=(6, 2))
    of_seeds, of_draws = values.mean(axis=1).var(ddof=1) / 6, values.mean(axis=0).var(ddof=1) / 2
    (error,) = standard_errors(claims(row_of(values)), "estimate", 0.95)
    assert error > np.sqrt(of_seeds + of_draws)


def test_shift_is_in_standard_errors_of_the_difference():
    there = claims({"n_seeds": 5, "gain": 0.9, "gain_ci_low": 0.8, "gain_ci_high": 1.0})
    (row,) = compare_claims(claims({}), there, 0.95).itertuples()
    assert row.gain_shift == pytest.approx(-0.4 / np.hypot(0.2 / T_OF_3, 0.1 / T_OF_5), rel=1e-6)
    assert row.estimate_shift == 0


def test_one_seed_has_no_standard_error_and_certain_claims_move_by_none_or_infinitely():
    one = claims({"n_seeds": 1, "gain_ci_low": -np.inf, "gain_ci_high": np.inf})
    assert np.isnan(compare_claims(one, claims({"gain": 0.1}), 0.95)["gain_shift"].item())
    certain = {"gain": 1.0, "gain_ci_low": 1.0, "gain_ci_high": 1.0}
    below = {"gain": 0.9, "gain_ci_low": 0.9, "gain_ci_high": 0.9}
    for here, expected in ((certain, 0), (below, -np.inf)):
        assert compare_claims(claims(here), claims(certain), 0.95)["gain_shift"].item() == expected


def compared():
    """A comparison with one claim of each outcome, but two with the same verdict."""
    here = claims({"claim": "z"}, {"claim": "linear"}, {"claim": "new"}, {"claim": "m", "site": "first"})
    changed = {"claim": "m", "site": "first", "verdict": "undecided"}
    there = claims({"claim": "gone", "experiment": "b"}, changed, {"claim": "linear"}, {"claim": "z"})
    return compare_claims(here, there, 0.95)


def test_claims_are_joined_by_experiment_claim_and_site_in_the_order_of_this_study():
    table = checked(compared(), Replication)
    found = table.set_index("claim")[["outcome", "verdict", "reference_verdict"]]
    assert found.index.tolist() == ["z", "linear", "new", "m", "gone"]
    assert found.loc["linear"].tolist() == ["same verdict", "supported", "supported"]
    assert found.loc["m"].tolist() == ["changed", "supported", "undecided"]
    assert found.loc["new"].tolist() == ["only here", "supported", ""]
    assert found.loc["gone"].tolist() == ["only in the reference", "", "supported"]
    assert table.set_index("claim")["n_seeds"].isna().tolist() == [False] * 4 + [True]


def test_same_claim_at_another_site_is_another_claim():
    with pytest.raises(ReplicationError, match="has no claim of this study"):
        compare_claims(claims({}), claims({"site": "first"}), 0.95)


def test_sentence_counts_the_claims_of_both():
    sentence = "2 of 3 verdicts as published; of other claims, 1 only here, 1 only in the reference"
    assert agreement(compared()) == sentence
    same = compare_claims(claims({}), claims({}), 0.95)
    assert agreement(same, "in other.csv") == "1 of 1 verdicts as in other.csv"


def test_table_of_another_version_may_have_other_columns(tmp_path):
    path = tmp_path / "claims.csv"
    claims({"experiment": "007"}).assign(p_value=0.1).to_csv(path, index=False)
    there = read_claims(path)
    assert "p_value" not in there and there["experiment"].tolist() == ["007"]
    here = claims({"experiment": "007"}).assign(p_holm=0.2)
    assert agreement_with(path, here, 0.95) == "1 of 1 verdicts as published"
    assert agreement_with(path, claims({}), 0.95) is None
    assert agreement_with(tmp_path / "none.csv", here, 0.95) is None


TEXT = claims({}).to_csv(index=False)
BAD = {
    "missing": (None, "cannot be read: No such file or directory"),
    "binary": (b"\x89PNG\r\n\xff\xfe", "is no table"),
    "empty": (b"", "is no table"),
    "other table": (b"experiment,seed,value\na,1,2\n", "has no column claim, site, verdict, n_seeds, estimate"),
    "column missing": (TEXT.replace("gain_ci_high", "high").encode(), "has no column gain_ci_high; it must be"),
    "text for a number": (TEXT.replace("0.9,", "high,").encode(), "whose column estimate has what is no number"),
    "repeated": ((TEXT + TEXT.split("\n", 1)[1]).encode(), "several rows of {'experiment': 'a', 'claim': 'linear'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_file_that_is_no_table_of_claims_is_refused_in_a_sentence(kind, tmp_path):
    content, sentence = BAD[kind]
    path = tmp_path / "reference.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReplicationError, match=r"^reference is .*/reference\.csv") as caught:
        read_claims(path)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_reference_on_other_experiments_is_refused():
    check_experiments(claims({}, {"experiment": "b"}), "x.csv", ["b", "c"])
    with pytest.raises(ReplicationError, match=r"reference is x.csv, on a; it must have one of this study's, b, c"):
        check_experiments(claims({}), "x.csv", ["b", "c"])


def test_figure_has_a_panel_for_each_shared_experiment_and_a_line_for_each_change():
    figure = plot_replication(compared(), 0.1, "published")
    panel, listed = figure.axes
    assert panel.get_title("left") == "a\n2 of 3" and [text.get_text() for text in panel.texts] == ["1"]
    assert listed.texts[0].get_text() == "1  a: m, first: undecided → supported"


def test_figure_takes_what_cannot_be_drawn():
    """No gain where nothing is testable, a gain far below -1, and unbounded intervals."""
    here = claims({"gain": np.nan, "verdict": "not testable"}, {"claim": "far", "gain": -300.0, "gain_ci_low": -400.0})
    here.loc[1, ["gain_ci_low", "gain_ci_high"]] = -np.inf, np.inf
    figure = plot_replication(compare_claims(here, claims({}, {"claim": "far"}), 0.95), 0.1, "in $x$.csv")
    figure.canvas.draw()
    assert figure.axes[0].get_xlim() == figure.axes[0].get_ylim() == (-1.08, 1.08)
