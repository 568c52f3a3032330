"""What jobs ask of a scheduler, and what a study is said to cost."""

import re

import pytest
from harness import ROOT, Study

from geometry.records import read_record, record_paths


def test_every_rule_asks_by_its_own_name():
    for path in (ROOT / "rules").glob("*.smk"):
        for block in re.split(r"^(?=rule )", path.read_text(), flags=re.M)[1:]:
            name = re.match(r"rule (\w+)", block)[1]
            assert f'resources:\n        **asks("{name}"),\n' in block, f"{name} in {path.name}"


def test_gpus_are_asked_for_by_training_and_extraction_alone(tmp_path):
    said = Study(tmp_path / "study").run("--dry-run", override={"gpus": 2})
    asked = dict(re.findall(r"^rule (\w+):.*?^    resources: (.*?)$", said, re.S | re.M))
    del asked["all"]  # no job
    assert {rule for rule, resources in asked.items() if "gpu=2" in resources} == {"train_model", "extract_activations"}
    assert all(
        re.search(r"mem_mb=\d+", resources) and re.search(r"runtime=\d+", resources) for resources in asked.values()
    )


def test_bill_counts_every_job_and_its_longest_chain_begins_with_a_training(tmp_path):
    study = Study(tmp_path / "study")
    bill = study.run("bill", "--quiet=all", override={"gpus": 1})
    n_jobs = sum(study.planned().values()) - 1  # rule `all` is no job
    assert re.search(rf"^all +{n_jobs} ", bill, re.M), bill
    chain = re.search(r"The longest chain takes .*?\n\n", bill, re.S)[0]
    assert "train_model" in chain
    times = re.findall(r"^ +(\d+)  +([\d.]+) (s|min|h)$", bill, re.M)
    of_one = re.search(r"^all .*?([\d.]+ \w+)$", bill, re.M)[1]
    assert times[0][0] == "1" and " ".join(times[0][1:]) == of_one
    assert re.search(r"GPU-hours: \d", bill)
    assert not (study.folder / "results").exists()


@pytest.mark.parametrize("rule", ["train_model", "extract_activations", "probe_beliefs"])
def test_jobs_stay_within_the_memory_that_they_ask_for(rule, finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    said = finished.run("--dry-run", "--forceall")
    asked = max(int(n) for n in re.findall(rf"^rule {rule}:.*?mem_mb=(\d+)", said, re.S | re.M))
    records = [record.content for record in map(read_record, record_paths()) if record.content["rule"] == rule]
    assert max(record["run"]["peak_memory_bytes"] for record in records) < asked * 1e6
