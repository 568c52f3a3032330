"""The research object of a small study: valid by an independent validator, complete, and always the same."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from geometry.provenance.code_digest import file_digest
from geometry.provenance.job import write_record
from geometry.provenance.records import read_record
from geometry.provenance.ro_crate import study_crate
from research_object import problems

CITATION = {
    "title": 'Of "belief"',
    "authors": [{"name": "The authors"}, {"family-names": "Shai", "given-names": "Adam S."}],
    "license": "MIT",
    "version": "0.1.0",
    "date-released": "2026-01-01",
}
SOURCE = ["workflow/Snakefile", "workflow/study.yaml", "workflow/scripts/sample.py", "workflow/scripts/train.py"]
WORDS, MODEL, LOSS = "results/odd name #1%é.csv", "results/seed_1/model.safetensors", "results/seed_1/loss.csv"
TEXT = 'é "quoted" \\ {"@id": "./"} <b>&amp;\n\t#?%20'


def saved_record(rule, inputs, outputs, params, started, ended):
    """The record of a job, read back from the file it was written to."""
    times = {"started": f"2026-01-02T03:04:{started}+00:00", "ended": f"2026-01-02T03:04:{ended}+00:00"}
    cost = {"wall_seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_bytes": 1, "threads": 1}
    place = {"platform": "Linux", "processor": "6502", "device": "cpu", "commit": None, "dirty": None}
    content = {
        "rule": rule,
        "wildcards": {"seed": "1"},
        "inputs": {path: file_digest(path) for path in inputs},
        "outputs": {path: file_digest(path) for path in outputs},
        "params": {"code": "0123456789abcdef", **params},
        "code": {"digest": "0123456789abcdef", "modules": {}},
        "packages": {"numpy": "2.4.6", "torch": "2.13.0+cpu"},
        "lock": "0" * 64,
        "python": "3.11.7",
        "run": {**times, **cost, **place},
    }
    path = f"results/provenance/seed_1/{rule}.json"
    write_record(path, content)
    return read_record(path)


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Two jobs, the second of which reads what the first wrote, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for path in [WORDS, MODEL, LOSS, *(f"results/{path}" for path in SOURCE)]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"content of {path}", encoding="utf-8")
    training = {"steps": 30, "warm up": None, "rates": [0.1, 2], "bos": False, "label": TEXT}
    return [
        saved_record("sample", [], [WORDS], {"seed": 1}, started=10, ended=20),
        saved_record("train", [WORDS], [MODEL, LOSS], {"training": training, "seed": 1}, started=30, ended=50),
    ]


@pytest.fixture
def crate(records):
    return json.loads(study_crate(records, SOURCE, CITATION, "9.27.1"))


def problems_of(crate):
    Path("results/ro-crate-metadata.json").write_text(json.dumps(crate), encoding="utf-8")
    return problems(Path("results").resolve())


def by_id(crate):
    return {entity["@id"]: entity for entity in crate["@graph"]}


def targets(value):
    return {item["@id"] for item in (value if isinstance(value, list) else [value])}


def test_crate_meets_the_profile(crate):
    assert problems_of(crate) == []


@pytest.mark.parametrize(("entity", "key"), [("./", "mainEntity"), ("#job/seed_1/train", "instrument")])
def test_crate_without_its_workflow_or_the_script_of_a_job_does_not_meet_the_profile(entity, key, crate):
    del by_id(crate)[entity][key]
    assert any(key in problem for problem in problems_of(crate))


def test_crate_tells_every_file_with_its_digest(crate, records):
    files = {key: entity for key, entity in by_id(crate).items() if "File" in entity["@type"]}
    digests = {f"results/{unquote(key)}": entity["sha256"] for key, entity in files.items()}
    paths = [WORDS, MODEL, LOSS, *(f"results/{path}" for path in SOURCE), *(record.path for record in records)]
    assert digests == {path: file_digest(path) for path in paths}
    assert targets(by_id(crate)["./"]["hasPart"]) == files.keys()


def test_crate_tells_what_each_job_made_from_what(crate):
    entities = by_id(crate)
    job = entities["#job/seed_1/train"]
    values = [entities[key] for key in targets(job["object"]) if key.startswith("#")]
    assert "odd%20name%20%231%25%C3%A9.csv" in targets(job["object"])
    assert targets(job["result"]) == {"seed_1/model.safetensors", "seed_1/loss.csv"}
    assert {value["name"]: value["value"] for value in values} == {
        "training.steps": 30,
        "training.warm up": "null",
        "training.rates": "[0.1, 2]",
        "training.bos": False,
        "training.label": TEXT,
        "seed": 1,
    }
    assert targets(entities["#run"]["result"]) == {"odd%20name%20%231%25%C3%A9.csv", *targets(job["result"])}


def test_crate_refers_to_nothing_that_it_lacks(crate):
    entities = by_id(crate)
    assert len(entities) == len(crate["@graph"])
    assert all(re.fullmatch(r"[\w.~:/?#@!$&'()*+,;=%-]+", key, re.ASCII) for key in entities)
    lists = [value for entity in crate["@graph"] for value in entity.values() if isinstance(value, dict | list)]
    used = {item["@id"] for value in lists for item in (value if isinstance(value, list) else [value]) if "@id" in item}
    assert {key for key in used - entities.keys() if not key.startswith("https://")} == set()


def test_crate_is_the_same_whenever_and_in_whatever_order_it_is_told(records):
    text = study_crate(records, SOURCE, CITATION, "9.27.1")
    assert study_crate(records[::-1], SOURCE[::-1], CITATION, "9.27.1") == text
    assert by_id(json.loads(text))["./"]["datePublished"] == "2026-01-02T03:04:50+00:00"
    assert set(re.findall(r"\d{4}-\d\d-\d\dT[\d:]+", text)) == {f"2026-01-02T03:04:{time}" for time in (10, 20, 30, 50)}
