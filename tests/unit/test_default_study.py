"""Numbers of the default study that need no network, as the README quotes them, computed from its configuration."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from geometry.experiments import canonical, resolve_experiments
from geometry.ground_truth import markov_ground_truth
from geometry.probe_table import FLOORS, PROBED, estimated, select
from geometry.tasks import process_of
from probe_beliefs import Probe, coordinates_of, examination

ROOT = Path(__file__).parents[2]
CONFIG = canonical(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))
SCHEMA = yaml.safe_load((ROOT / "rules/schemas/config.schema.yaml").read_text(encoding="utf-8"))

QUOTED = {"linear, beyond the tokens themselves": "all tokens, additive"}
QUOTED |= {"reaches beyond the last three tokens": "table of the last 3 tokens"}
"""Claims whose best floor needs no network, and that floor."""


def quoted():
    """The floors that the README's table of claims tells, by experiment and claim."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = readme.split("<!-- findings -->")[1].split("<!-- end -->")[0].strip().splitlines()
    header, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if " | " in line)
    for claim, *cells in rows:
        for experiment, cell in zip(header[1:], cells, strict=False):
            if claim in QUOTED:
                yield experiment, QUOTED[claim], float(re.search(r" over ([-.\d]+)", cell)[1])


@pytest.mark.parametrize("experiment", ["rrxor", "z1r", "mess3_noisy", "mess3_duplicated", "mess3"])
def test_baselines_are_those_that_the_readme_quotes(experiment):
    one = resolve_experiments(CONFIG, SCHEMA)[experiment]
    task, probe = one["task"], one["probe"]
    truth = markov_ground_truth(process_of(task), task["context"], CONFIG["tree"]["max_prefixes"], seed=0)
    table = pd.concat(Probe(truth, examination(truth, task, probe), coordinates_of(task), []).floors)
    table = select(table, target="belief_state", metric="r2", split=PROBED["split"], weighting=PROBED["weighting"])
    told = {floor: value for of, floor, value in quoted() if of == experiment}
    assert len(told) == len(QUOTED)
    for floor, value in told.items():
        site, features = FLOORS[floor]
        found = select(estimated(table, PROBED["estimator"]), site=site, features=features)["value"].item()
        assert found == pytest.approx(value, abs=6e-4)
