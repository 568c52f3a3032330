"""Verdicts follow the rule, whatever the data."""

import numpy as np
import pandas as pd
import pytest

from collect_claims import claims_of
from geometry.claims import interval, verdict


def test_interval_of_two_seeds_by_hand():
    # Two values 1 apart: standard error 1/2, Student's t with one degree of freedom at 97.5 %: 12.706.
    low, high = interval(np.array([0.0, 1.0]), 0.95)
    assert (low, high) == (pytest.approx(0.5 - 6.353, abs=1e-3), pytest.approx(0.5 + 6.353, abs=1e-3))


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        ([0.2, 0.21, 0.2], "supported"),
        ([0.01, 0.02, 0.01], "not supported"),
        ([0.0, 0.2, 0.4], "undecided"),
        ([0.9], "undecided"),
    ],
)
def test_verdict_needs_the_whole_interval(gain, expected):
    assert verdict(np.array(gain), margin=0.05, confidence=0.95) == expected


def test_claims_read_the_right_rows():
    sites = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "residual_streams"]
    value = {"blocks.0.hook_resid_pre": 0.3, "blocks.0.hook_resid_post": 0.8, "residual_streams": 0.9}
    rows = [
        (seed, step, site, target, weighting, split, "r2", v)
        for seed in (1, 2)
        for step in (0, 10)
        for site in sites
        for target in ("belief_state", "shuffled_belief_state")
        for weighting in ("probability", "uniform")
        for split in ("held_out_prefix", "in_sample")
        for v in [
            value[site]
            if (step, target, weighting, split) == (10, "belief_state", "probability", "held_out_prefix")
            else 0.1
        ]
    ]
    probe = pd.DataFrame(rows, columns=["seed", "step", "site", "target", "weighting", "split", "metric", "value"])
    loss = pd.DataFrame({"seed": [1, 1, 2, 2], "step": [0, 10, 0, 10], "gap_nats": [1.0, 0.1, 2.0, 0.4]})
    claims = claims_of(probe, loss)
    assert claims["predicts the next token"][1].tolist() == pytest.approx([0.9, 0.8])
    _, estimate, floors = claims["belief state is linear in blocks.0.hook_resid_post"]
    assert estimate.tolist() == [0.8, 0.8]
    assert {name: floor.tolist() for name, floor in floors.items()} == {
        "mean belief": [0, 0],
        "untrained network": [0.1, 0.1],
        "shuffled beliefs": [0.1, 0.1],
    }
    _, estimate, floors = claims["belief state is spread across layers"]
    assert estimate.tolist() == [0.9, 0.9] and floors["best single residual stream"].tolist() == [0.8, 0.8]
