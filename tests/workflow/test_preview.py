"""A first look: the belief states of each experiment's first network, from few jobs, with R2 beside its baselines."""

import re

import numpy as np
import pytest
from harness import ROOT, Study

from geometry.probing.probe_table import PROBED, held_out_r2
from geometry.storage import open_dataset
from geometry.tables import read_table, select

QUICK = ROOT / "studies/quick.yaml"
LINE = r"(\S+/(\w+)/belief_simplex\.png): held-out R2 (\S+); at initialisation (\S+), from .* (\S+)\. One seed "


def lines(study, **how):
    """The figure, the experiment and the three R2 of each line that is printed, without anything behind it."""
    result = study.snakemake("preview", "--quiet=all", **how)
    assert result.returncode == 0, result.stderr
    return re.findall(rf"(?m)^{LINE}", result.stdout), result.stdout


def first_run(study, experiment):
    return min((study.folder / "results" / experiment).glob("seed*"))


def test_quick_study_decodes_the_fractal_beyond_its_baselines_from_eight_jobs(tmp_path):
    study = Study(tmp_path / "study")
    planned = study.planned("preview", configs=[QUICK])
    assert sum(planned.values()) == len(planned) == 8 and "train_model" in planned
    ((figure, name, *scores),), printed = lines(study, configs=[QUICK], cores=1)
    trained, at_initialisation, of_tokens = map(float, scores)
    assert name == "quick" and printed.rstrip().splitlines()[-1].startswith(figure)
    assert trained > 0.995 and max(at_initialisation, of_tokens) < 0.96
    assert (study.folder / figure).is_file() and not (study.folder / "results/studies").exists()


def test_preview_shows_every_experiment_of_a_study_and_makes_nothing_that_is_there(finished):
    assert finished.planned("preview") == {"preview": 1}
    found, _ = lines(finished)
    assert [name for _, name, *_ in found] == ["mess3", "rrxor"]
    sites = ["blocks.1.hook_resid_post", "concatenated"]
    for (_, name, trained, at_initialisation, _), site in zip(found, sites, strict=True):
        r2 = held_out_r2(read_table(first_run(finished, name) / "probe.csv"), site)
        assert [trained, at_initialisation] == [f"{r2.iloc[-1]:.3f}", f"{r2.iloc[0]:.3f}"]


@pytest.mark.parametrize("experiment", ["mess3", "rrxor"])
def test_beliefs_decoded_from_the_tokens_have_the_r2_of_their_draw_of_folds(finished, experiment):
    """Relative to the mean of the prefixes that the probe was fitted on."""
    results = finished.folder / "results"
    (path,), first = results.glob(f"tasks/{experiment}_*/ground_truth.zarr.zip"), first_run(finished, experiment)
    with open_dataset(path) as truth, open_dataset(first / "decoded.zarr.zip") as of_network:
        belief, weight = truth["target"].values, truth["weight"].values[:, None]
        fold = of_network["fold_held_out_prefix"].values[0]
    with open_dataset(results / experiment / "decoded_from_tokens.zarr.zip") as found:
        decoded = found["decoded_belief"].values
        assert found["prefix"].values.tolist() == list(range(len(belief)))
    mean = np.stack([np.average(belief[fold != k], axis=0, weights=weight[fold != k, 0]) for k in np.unique(fold)])
    r2 = 1 - (weight * (decoded - belief) ** 2).sum() / (weight * (belief - mean[fold]) ** 2).sum()
    rows = select(read_table(results / experiment / "baselines.csv"), features="additive_tokens", target="belief_state")
    assert r2 == pytest.approx(select(rows, metric="r2_of_draw", draw=1, **PROBED)["value"].item(), rel=1e-6)


def test_study_without_belief_states_has_no_preview(tmp_path):
    result = Study(tmp_path / "study").plan("preview", configs=[], override={"only": ["modular_addition"]})
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "no experiment of this study has belief states to draw" in said
