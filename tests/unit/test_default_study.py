"""Numbers of the default study that need no network, computed again from its configuration."""

import pytest

from configuration import CONFIG, resolve
from geometry.probing.design import probe_design
from geometry.probing.probe_table import BASELINES, PROBED, estimated
from geometry.tables import select
from geometry.tasks.ground_truth import markov_ground_truth
from geometry.tasks.task import process_of
from score_baselines import coordinates_of, score_baselines

NAMES = "all tokens, additive", "3-gram", "optimal log-probabilities"
R2 = {
    "mess3": (0.9534, 0.9899, 0.9932),
    "mess3_duplicated": (0.9274, 0.9764, 0.9692),
    "mixture": (0.6246, 0.8705, 0.2776),
    "rrxor": (0.1116, 0.4478, 0.3063),
    "z1r": (0.7789, 0.9999, 0.8595),
}
"""R2 of held-out prefixes by probability, as verdicts rest on it: ridge, in the mean over the draws of folds."""


@pytest.mark.parametrize("experiment", R2)
def test_baselines_are_those_of_the_default_study(experiment):
    one = resolve()[experiment]
    task, probe = one["task"], one["probe"]
    truth = markov_ground_truth(process_of(task), task["context"], CONFIG["tree"]["max_prefixes"], seed=0)
    table, _ = score_baselines(truth, probe_design(truth, task, probe), coordinates_of(task))
    table = select(table, target="belief_state", metric="r2", split=PROBED["split"], weighting=PROBED["weighting"])
    for name, known in zip(NAMES, R2[experiment], strict=True):
        site, features = BASELINES[name]
        found = select(estimated(table, PROBED["estimator"]), site=site, features=features)["value"].item()
        assert found == pytest.approx(known, abs=1e-4)
