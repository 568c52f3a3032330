"""Published numbers beside those of a study: selected, judged, and refused in one sentence before any job."""

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest

from configuration import content_of, resolve, study_with
from geometry.claims.published import SelectionError, best_baseline, fewest, numbers, published_row
from geometry.config.experiments import ConfigError
from geometry.config.published import files_of
from geometry.schemas.study import Published
from geometry.tables import checked
from plot_published import plot_published

TEXT = {"quantity": "R2", "source": "someone", "protocol": "in sample"}
OURS = {"experiment": "mess3", "file": "probe.csv", "where": {"split": "in_sample"}, "column": "value"}
ROW = {**TEXT, "published": 0.9, "tolerance": 0.01, "ours": OURS}


def study_of(section, **override):
    return study_with({"seeds": [1, 2], "only": ["mess3", "rrxor"], "published": section, **override})


def test_row_reads_the_files_of_every_run_and_what_is_laid_over_it_those_of_its_own():
    others = {"tokens": {"file": "baselines.csv"}, "random": {"file": "random_init/probe.csv"}}
    study = study_of({"B1": {**ROW, "held_out": {"where": {"split": "held_out_prefix"}}, "baselines": others}})
    assert files_of(study.published) == [
        "results/mess3/baselines.csv",
        *(f"results/mess3/{run}/probe.csv" for run in ("random_init", "seed_1", "seed_2")),
    ]
    selectors = study.published["B1"]["selectors"]
    assert list(selectors) == ["ours", "baselines.random", "baselines.tokens", "held_out"]
    assert selectors["held_out"]["where"] == {"split": "held_out_prefix"}
    assert study.figure_files()[1] == "results/figures/published.png"
    assert {f"results/provenance/{name}.json" for name in ("hold_against_published", "figures/plot_published.png")} <= {
        *study.records()
    }


def test_study_without_the_section_draws_nothing_and_one_that_leaves_out_an_experiment_leaves_out_its_rows():
    assert study_of({}).published == {} and "results/figures/published.png" not in study_of({}).figure_files()
    there = {**ROW, "ours": {**OURS, "experiment": "z1r"}}
    assert list(study_of({"B1": ROW, "B2": there}).published) == ["B1"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ours": {**OURS, "experiment": "mess4"}}, "published.B1.ours names the experiment 'mess4'; allowed are"),
        ({"ours": {**OURS, "file": "prob.csv"}}, "published.B1.ours.file is 'prob.csv'; of experiment 'mess3' allowed"),
        ({"ours": {**OURS, "file": "attention.csv"}}, "published.B1.ours.file is 'attention.csv'; of experiment"),
        ({"ours": {**OURS, "column": "values"}}, "published.B1.ours names the column 'values'; probe.csv has"),
        ({"ours": {**OURS, "where": {"splits": "x"}}}, "published.B1.ours names the column 'splits'"),
        ({"held_out": {"mean_over": ["lag"]}}, "published.B1.held_out names the column 'lag'"),
        ({"baselines": {"t": {"file": "loss.csv"}}}, "published.B1.baselines.t names the column 'value'; loss.csv has"),
        ({"ours": {key: OURS[key] for key in ("file", "column")}}, "published.B1.ours must have one of experiment and"),
        ({"published": [2, 1]}, r"published.B1.published is \[2, 1\]; a range is \[low, high\]"),
        ({"published": None}, "published.B1.published is null, which needs not_comparable"),
        ({"tolerance": 0}, "published.B1.tolerance is 0; it must be greater than 0"),
        ({"tolerances": 1}, "unknown key 'tolerances' at published.B1; allowed are"),
    ],
)  # fmt: skip
def test_row_that_cannot_be_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(ConfigError, match=f"^config: {sentence}") as raised:
        study_of({"B1": {**ROW, **change}})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("key", ["ours", "tolerance"])
def test_row_without_a_verdict_needs_a_reason(key):
    row = {name: value for name, value in ROW.items() if name != key}
    sentence = f"key '{key}' is missing at config: published.B1, which has no not_comparable"
    with pytest.raises(ConfigError, match=sentence):
        study_of({"B1": row})
    assert study_of({"B1": {**row, "not_comparable": "no file"}}).published


LOSS = pd.DataFrame(product((1, 2), (0, 5), (1, 2, 3)), columns=["seed", "step", "position"])
LOSS["gap_nats"] = 10 * LOSS["seed"] + LOSS["step"] + LOSS["position"]


def test_number_is_that_of_the_last_step_and_the_mean_where_the_row_names_it():
    selector = {"file": "loss.csv", "column": "gap_nats"}
    assert numbers(LOSS, {**selector, "mean_over": ["position"]}).to_dict() == {1: 17.0, 2: 27.0}
    assert numbers(LOSS, {**selector, "where": {"position": 3, "step": 0}}).to_dict() == {1: 13.0, 2: 23.0}
    two = {"where": {"position": [1, 2]}, "mean_over": ["position"]}
    assert numbers(LOSS, {**selector, **two}).to_dict() == {1: 16.5, 2: 26.5}
    reached = {"column": "step", "where": {"position": 1}, "reaching": {"gap_nats": 16}}
    found = numbers(LOSS, {**selector, **reached})
    assert found[1] == 5 and found[2] == 0
    assert np.isnan(numbers(LOSS, {**selector, **reached, "reaching": {"gap_nats": 20}})[1])
    with pytest.raises(SelectionError, match=r"several rows of loss.csv for one network, which differ in position$"):
        numbers(LOSS, selector)


@pytest.mark.parametrize("seed", [{}, {"seed": np.nan}])
def test_number_of_no_network_is_found_whether_or_not_there_is_a_column_for_seeds(seed):
    """Baselines that all networks share have the column, empty."""
    table = pd.DataFrame({"features": ["last_token", "additive_tokens"], "value": [0.5, 0.7], **seed})
    selector = {"file": "baselines.csv", "column": "value", "where": {"features": "additive_tokens"}}
    assert numbers(table, selector).tolist() == [0.7]


def test_value_that_is_none_selects_what_has_none():
    table = LOSS.assign(head=[np.nan, 0.0, 1.0] * 4)
    found = numbers(table, {"file": "a.csv", "column": "gap_nats", "where": {"head": None}})
    assert found.to_dict() == {1: 16.0, 2: 26.0}


def test_fewest_is_the_first_place_from_which_a_number_no_longer_falls_with_confidence():
    rng = np.random.default_rng(0)
    series = [pd.Series(level + 0.01 * rng.normal(size=5), range(1, 6)) for level in (5, 2, 2, 1)]
    assert fewest(series, 0.95) == 2 and fewest(series[:2], 0.95) == 2 and fewest(series[1:3], 0.95) == 1
    assert fewest([pd.Series([9.0]), pd.Series([1.0])], 0.95) == 1  # one network decides nothing


def row_of(tmp_path, values, **change):
    """The row of a published number that a table of some networks stands beside."""
    path = tmp_path / "probe.csv"
    table = pd.DataFrame({"experiment": "e", "seed": range(len(values)), "step": 7, "split": "in_sample"})
    table.assign(value=values).to_csv(path, index=False, na_rep="nan")
    row = {**ROW, **change}
    selector = {**row["ours"], "tables": [[str(path)]]}
    baselines = {f"baselines.{name}": {**selector, "tables": [[str(path)]]} for name in row.get("baselines", {})}
    return published_row("B1", {**row, "selectors": {"ours": selector, **baselines}}, 0.95)


@pytest.mark.parametrize(
    ("values", "published", "verdict", "reason"),
    [
        ([0.88, 0.91, 0.9], 0.9, "reproduced", ""),
        ([0.87, 0.88, 0.89], 0.9, "not reproduced", "0.02 below what was published"),
        ([0.97, 0.98, 0.99], [0.9, 0.975], "reproduced", ""),
        ([0.97, 0.98, 0.99], [0.9, 0.96], "not reproduced", "0.02 above what was published"),
        ([0.9, np.nan], 0.9, "not reproduced", "not every network has the number"),
    ],
)
def test_verdict_is_by_the_mean_over_networks_and_the_tolerance(values, published, verdict, reason, tmp_path):
    row = row_of(tmp_path, values, published=published)
    assert (row["verdict"], row["reason"]) == (verdict, reason) and row["n_networks"] == len(values)
    checked(pd.DataFrame([row]), Published)
    if len(values) == 3:  # Student's t of three: 4.303 standard errors
        half = 4.302653 * np.std(values, ddof=1) / 3**0.5
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((np.mean(values) - half, np.mean(values) + half))


def test_row_that_is_not_comparable_has_a_number_and_no_verdict(tmp_path):
    row = row_of(tmp_path, [0.9, 0.9], published=None, not_comparable="another recipe")
    assert (row["verdict"], row["reason"], row["ours"]) == ("not comparable", "another recipe", 0.9)
    assert np.isnan(row["published_low"])


def test_baseline_is_the_one_nearest_to_what_was_published(tmp_path):
    for name, values in (("far", [0.2]), ("near", [0.3, 0.6])):
        pd.DataFrame({"seed": range(len(values)), "value": values}).to_csv(tmp_path / name, index=False)
    tables = {name: [[str(tmp_path / name)]] for name in ("far", "near")}
    selectors = {f"baselines.{name}": {"column": "value", "tables": of} for name, of in tables.items()}
    assert best_baseline({"selectors": selectors}, 0.9, 0.9) == (0.6, "near, best of 2")
    assert best_baseline({"selectors": selectors}, 0.0, 0.1) == (0.2, "far")
    assert best_baseline({"selectors": {}}, 0.9, 0.9)[1] == ""


def test_figure_has_a_row_for_each_number_and_a_mark_in_the_band_for_what_is_reproduced(tmp_path):
    rows = [row_of(tmp_path, values) for values in ([0.9, 0.905], [-0.5, -0.3])]
    rows += [row_of(tmp_path, [0.9], published=None, not_comparable="no $file$ of <it>")]
    table = pd.DataFrame(rows).assign(id=["a", "b", "c"])
    ax = plot_published(table).axes[0]
    marks = {line.get_label(): line.get_xdata() for line in ax.lines}
    assert marks["reproduced"].tolist() == pytest.approx([0.25]) and len(marks["not reproduced"]) == 0
    assert [line.get_marker() for line in ax.lines if len(line.get_xdata()) and line.get_xdata()[0] == -100] == ["<"]
    assert [re.sub(r":.*", "", label.get_text()) for label in ax.get_yticklabels()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("other", "n_shared"),
    [(None, 2), ("attention", 3), ("fewest_heads", 5), ("composed", 2), ("architectures", 2), ("grokking", 2)],
)
def test_experiments_of_the_study_share_their_results_with_the_studies_that_they_are_from(other, n_shared):
    """Also by their seeds, whose entries name the runs."""
    own, theirs = (resolve(content_of(f"studies/{name}.yaml") if name else {}) for name in ("published", other))
    shared = own.keys() & theirs.keys()
    assert len(shared) == n_shared and all(own[name] == theirs[name] for name in shared)


def test_every_row_of_the_shipped_studies_is_on_tables_that_are_there():
    for name, n_rows in (("published", 46), ("fewest_heads", 5)):
        rows = study_with(content_of(f"studies/{name}.yaml")).published
        assert len(rows) == n_rows and all(row["source"] and row["protocol"] for row in rows.values())
