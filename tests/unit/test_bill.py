"""What a study is said to cost: the seeds that would decide its undecided claims."""

import math

import pandas as pd
import pytest

from bill import bill_of_more_seeds, seconds_per_seed
from geometry.provenance.job_graph import PlannedJob


def jobs_of(wildcards_by_rule):
    """Jobs by name with their seconds."""
    jobs, seconds = {}, {}
    for rule, wildcards, time in wildcards_by_rule:
        name = f"{rule} {wildcards}"
        jobs[name], seconds[name] = PlannedJob(rule, wildcards, [], [], name, {}, 0), time
    return jobs, seconds


JOBS = [
    ("build_ground_truth", {"task": "t"}, 1000.0),
    ("judge_claims", {"experiment": "a"}, 1000.0),
    ("probe_beliefs", {"experiment": "a", "run": "random_init"}, 1000.0),
    *(("train_model", {"experiment": "a", "run": run}, time) for run, time in (("seed_1", 30.0), ("seeds_2-4", 90.0))),
    *(("probe_beliefs", {"experiment": "a", "run": run}, time) for run, time in (("seed_1", 5.0), ("seeds_2-4", 21.0))),
    ("measure_components", {"experiment": "a", "run": "seed_1"}, 1000.0),  # of the first run alone
    ("train_model", {"experiment": "b", "run": "seed_1"}, 100.0),
    ("import_model", {"experiment": "c", "run": "pretrained"}, 3.0),
]


def test_a_further_seed_takes_what_every_network_needs():
    assert dict(seconds_per_seed(*jobs_of(JOBS))) == pytest.approx({"a": 30 + 6.5, "b": 100, "c": 3})


def row(experiment, claim, verdict, seeds_to_decide, n_seeds=2):
    return {"experiment": experiment, "claim": claim, "site": "s", "verdict": verdict} | {
        "n_seeds": n_seeds,
        "seeds_to_decide": seeds_to_decide,
    }


def test_bill_of_more_seeds_has_the_undecided_claims_by_their_cost_and_the_sum_over_experiments():
    power = pd.DataFrame(
        [
            row("a", "one", "undecided", 12.0),
            row("a", "two", "undecided", 4.0),
            row("a", "certain", "supported", 3.0),
            row("a", "at the margin", "undecided", math.inf),
            row("b", "three", "undecided", 4.0),
            row("c", "of one network", "undecided", math.nan, n_seeds=1),
            row("left out", "four", "undecided", 9.0),
        ]
    )
    lines = list(bill_of_more_seeds(power, pd.Series({"a": 36.0, "b": 100.0, "c": 3.0})))
    assert lines[0].startswith("5 claims are undecided.")
    assert [line.split() for line in lines[2:6]] == [
        ["2", "1.2", "min", "a:", "two,", "s"],
        ["2", "3.3", "min", "b:", "three,", "s"],
        ["10", "6.0", "min", "a:", "one,", "s"],
        ["12", "9.3", "min", "all", "of", "these", "3"],  # ten seeds of a decide its other claim too
    ]
    assert lines[6].startswith("No number of seeds is known to decide the other 2 ")


def test_bill_of_a_study_that_is_decided():
    lines = list(bill_of_more_seeds(pd.DataFrame([row("a", "one", "supported", 2.0)]), pd.Series({"a": 36.0})))
    assert lines[0].startswith("0 claims are undecided.") and lines[2].split()[:3] == ["0", "0", "s"]
