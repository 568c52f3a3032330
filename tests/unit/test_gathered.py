"""What the results hold of a study as a whole, as the next one finds it."""

import pytest

from geometry.config.gathered import has_crate_of_another, replaced
from geometry.provenance.job import write_record
from geometry.provenance.records import FOLDER

RUN = {
    **dict.fromkeys(("started", "ended", "platform", "processor", "device"), ""),
    **dict.fromkeys(("wall_seconds", "cpu_seconds", "peak_memory_bytes", "threads"), 0),
    **{"commit": None, "dirty": None},
}


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def leave_record(name, **params):
    rule = name.split("/")[-1].split(".")[0]
    empty = {key: {} for key in ("wildcards", "outputs", "inputs", "packages")}
    code = {"digest": "", "modules": {}}
    content = {"rule": rule, **empty, "params": params, "code": code, "lock": "0" * 64, "python": "", "run": RUN}
    (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
    write_record(FOLDER / name, content)


def test_claims_of_other_experiments_are_said_to_be_replaced():
    assert replaced("", ["a"]) is None
    leave_record("collect_claims.json", experiments=["a", "b"])
    assert replaced("", ["b", "a"]) is None and replaced("studies/x/", ["a"]) is None
    assert replaced("", ["a"]) == (
        "results/claims.csv, the findings and the report beside it are of a, b; they are replaced by those of a. "
        "To keep them, give this study a name of its own: --config study=NAME, or the key study."
    )
    leave_record("studies/x/collect_claims.json", experiments=list("abcdefg"))
    assert replaced("studies/x/", ["a"]).startswith("results/studies/x/claims.csv, ")
    assert "are of a, b, c, d, e and 2 more; " in replaced("studies/x/", ["a"])
    (FOLDER / "collect_claims.json").write_text("{}", encoding="utf-8")
    assert replaced("", ["a"]) is None


def test_crate_of_another_study_is_told_from_ones_own():
    assert not has_crate_of_another("mine") and not has_crate_of_another(None)
    leave_record("export_crate.json", config={"study": None})
    assert has_crate_of_another("mine") and not has_crate_of_another(None)
    leave_record("export_crate.json", config={"study": "mine"})
    assert not has_crate_of_another("mine") and has_crate_of_another("other")
