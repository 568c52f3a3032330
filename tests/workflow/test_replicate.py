"""The claims of one study beside those of another: what agrees, what is refused, and that no study waits for it."""

import pandas as pd
import pytest
from harness import ROOT, Study

from geometry.tables import read_table

REFERENCE = "results/studies/two/claims.csv"


@pytest.fixture
def compared(finished, tmp_path):
    """The tiny study, and beside it one of the name `two` on one of its experiments, with a verdict planted."""
    study = finished.copy(tmp_path / "study")
    study.run("results/studies/two/claims.csv", override={"study": "two", "only": ["mess3"]})
    path = study.folder / REFERENCE
    claims = read_table(path)
    place = claims.index[claims["verdict"] == "undecided"][0]
    claims.loc[place, "verdict"] = "not supported"
    claims.drop(columns=["measure", "caution"]).to_csv(path, index=False, na_rep="nan")
    return study, claims.loc[place]


def test_planted_verdict_is_found_and_named(compared):
    study, planted = compared
    result = study.snakemake("replicate", "--quiet=all", f"--config=reference={REFERENCE}")
    assert result.returncode == 0, result.stderr
    table = read_table(study.folder / "results/replication.csv")
    n = (table["experiment"] == "mess3").sum()
    counts = {"same verdict": n - 1, "changed": 1, "only here": len(table) - n}
    assert table["outcome"].value_counts().to_dict() == counts and len(table) > n
    (row,) = table[table["outcome"] == "changed"].itertuples()
    assert (row.claim, row.verdict, row.reference_verdict) == (planted["claim"], "undecided", "not supported")
    assert (table["estimate_shift"].dropna() == 0).all() and table["gain_shift"].notna().any()
    said = result.stdout.rstrip().splitlines()[-1]
    assert said == f"{n - 1} of {n} verdicts as in {REFERENCE}; of other claims, {len(table) - n} only here"
    assert (study.folder / "results/figures/replication.png").stat().st_size > 10_000
    assert study.planned() == {}


def test_no_study_waits_for_a_replication_and_one_with_published_claims_is_compared_in_its_findings(finished):
    assert not (finished.folder / "results/replication.csv").exists()
    published, claims = read_table(ROOT / "docs/claims.csv"), read_table(finished.folder / "results/claims.csv")
    both = claims.merge(published, on=["experiment", "claim", "site"])
    n_same = (both["verdict_x"] == both["verdict_y"]).sum()
    sentence = f"{n_same} of {len(both)} verdicts as published"
    assert len(both) > 0 and sentence in (finished.folder / "results/findings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("none.csv", "reference is none.csv, which cannot be read: No such file or directory"),
        (str(ROOT / "README.md"), "README.md, which is no table; it must be the claims.csv of a study"),
        ("results/claims.csv", "reference is results/claims.csv, the table of this study itself"),
        ("other.csv", "reference is other.csv, on elsewhere; it must have one of this study's, mess3, rrxor"),
    ],
)
def test_bad_reference_is_refused_before_anything_runs(reference, sentence, tmp_path):
    study = Study(tmp_path / "study")
    published = pd.read_csv(ROOT / "docs/claims.csv").head(1)
    published.assign(experiment="elsewhere").to_csv(study.folder / "other.csv", index=False)
    assert any(sentence in line for line in study.refusal("replicate", f"--config=reference={reference}"))
