"""What jobs ask of a scheduler, and what a study is said to cost."""

import re

from harness import ROOT, Study

from geometry.provenance.records import read_record, record_paths


def test_every_rule_asks_by_its_own_name():
    for path in (ROOT / "rules").glob("*.smk"):
        for block in re.split(r"^(?=rule )", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            name = re.match(r"rule (\w+)", block)[1]
            assert f'resources:\n        **asks("{name}"),\n' in block, f"{name} in {path.name}"


def test_gpus_are_asked_for_by_the_jobs_that_run_a_network_on_the_device(tmp_path):
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "scripts").glob("*.py")}
    said = Study(tmp_path / "study").run("--dry-run", override={"gpus": 2})
    asked = dict(re.findall(r"^rule (\w+):.*?^    resources: (.*?)$", said, re.S | re.M))
    del asked["all"]  # no job
    on_device = {rule for rule in asked if "select_device(" in scripts[rule]}
    assert {rule for rule, resources in asked.items() if "gpu=2" in resources} == on_device > {"train_model"}
    for name in ("mem_mb", "runtime"):
        assert all(re.search(rf"{name}=\d+", resources) for resources in asked.values())


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
    assert "said once there is a results/power.csv" in bill
    assert not (study.folder / "results").exists()


def test_jobs_ask_for_more_memory_than_they_take_and_not_much_over_twice_that(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    said, asked, taken = finished.run("--dry-run", "--forceall"), {}, {}
    for rule, mem_mb in re.findall(r"^rule (\w+):.*?mem_mb=(\d+)", said, re.S | re.M):
        asked[rule] = max(int(mem_mb) * 1e6, asked.get(rule, 0))
    for record in (read_record(path).content for path in record_paths()):
        taken[record["rule"]] = max(record["run"]["peak_memory_bytes"], taken.get(record["rule"], 0))
    ratio = {rule: asked[rule] / n_bytes for rule, n_bytes in taken.items()}
    assert {rule: r for rule, r in ratio.items() if not 1 < r < 2.2} == {}
