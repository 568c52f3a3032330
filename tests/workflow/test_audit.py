"""The audit: silent on an untouched study, and every tampering is found and named."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from harness import ROOT, clone, edit

from audit import breaks
from geometry.provenance.job import seal_of
from geometry.provenance.records import read_record, record_paths
from provenance import ancestry

KINDS = [f"tasks/*/{name}" for name in ("ground_truth.zarr.zip", "convergence.csv", "card.md", "card.html")]
KINDS += ["mess3/decoded_from_tokens.zarr.zip", "rrxor/baselines.csv", "claims/mess3.csv", "claims/rrxor.csv"]
KINDS += [f"mess3/random_init/{name}.csv" for name in ("symmetry", "probe")]
KINDS += [f"mess3/seed_1/{name}.zarr.zip" for name in ("sequences", "distances", "components", "generator", "fractal")]
KINDS += ["mess3/seed_1/model.safetensors", "mess3/seed_1/probe.csv"]
KINDS += [f"mess3/seed_2/{name}" for name in ("activations.zarr.zip", "loss.csv", "distances.csv", "dimension.csv")]
KINDS += [f"rrxor/seed_1/{name}" for name in ("training.csv", "decoded.zarr.zip", "steering.csv", "convergence.csv")]
KINDS += ["rrxor/seed_2/snapshots.safetensors", "rrxor/seed_2/recovery.csv"]
KINDS += [f"figures/{name}" for name in ("explainer.zarr.zip", "explainer.png", "claims.png", "mess3/loss.png")]
KINDS += ["figures/rrxor/emergence.gif", "provenance/index.html", "ro-crate-metadata.json", "workflow/Snakefile"]
KINDS += ["claims.csv", "power.csv", "findings.md", "findings.html", "explorer.html", "report.html"]


@pytest.fixture
def study(finished, tmp_path, monkeypatch):
    """A copy of the finished study to tamper with, and the working directory."""
    copy = finished.copy(tmp_path / "study")
    monkeypatch.chdir(copy.folder)
    return copy


def found(project=ROOT, config=None):
    """The sentences of an audit of the working directory."""
    return list(breaks(project, config or config_of(Path())))


def config_of(folder):
    """The configuration that a study was run with."""
    return json.loads((folder / "results/provenance/write_report.json").read_text(encoding="utf-8"))["params"]["config"]


def named(sentences):
    return sorted({sentence.split(":")[0] for sentence in sentences})


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_untouched_study_is_sound(study):
    assert found() == []


def test_flipped_byte_is_found_in_every_kind_of_artefact(study):
    paths = [next((study.folder / "results").glob(kind)) for kind in KINDS]
    for path in paths:
        flip_a_byte(path)
    sentences = found()
    assert named(sentences) == sorted(str(path.relative_to(study.folder)) for path in paths)
    assert all("not the content that" in s and "Make it again: snakemake --force" in s for s in sentences)


def test_every_kind_of_artefact_was_tried(finished):
    tried = {re.sub(r"[*\w]+/", "", kind) for kind in KINDS}
    results = finished.folder / "results"
    files = [p for p in results.rglob("*") if p.is_file() and p.parent.name != "provenance"]
    made = {p.name for p in files if p.suffix != ".json" and "workflow" not in p.parts}
    others = ["belief_simplex", "components", "controls", "distances", "emergence", "r2_by_site", "sites", "steering"]
    others += ["recovery", "dimension", "symmetry", "convergence", "process"]
    assert made - tried == {f"{figure}.png" for figure in others}  # one of the figures stands for all


def test_swapped_models_are_found(study):
    one, other = (study.folder / f"results/mess3/seed_{seed}/model.safetensors" for seed in (1, 2))
    shutil.move(one, "aside")
    shutil.move(other, one)
    shutil.move("aside", other)
    assert named(found()) == ["results/mess3/seed_1/model.safetensors", "results/mess3/seed_2/model.safetensors"]


def test_swapped_models_with_their_records_are_found(study):
    results, aside = study.folder / "results", study.folder / "aside"
    for name in ("results/mess3/seed_{}/model.safetensors", "results/mess3/seed_{}/snapshots.safetensors"):
        one, other = (study.folder / name.format(seed) for seed in (1, 2))
        shutil.move(one, aside)
        shutil.move(other, one)
        shutil.move(aside, other)
    records = [results / f"provenance/mess3/seed_{seed}/train_model.json" for seed in (1, 2)]
    one, other = (json.loads(path.read_text(encoding="utf-8")) for path in records)
    for path, mine, yours in ((records[0], one, other), (records[1], other, one)):
        outputs = {
            key: yours["outputs"][key.replace("seed_1", "S").replace("seed_2", "seed_1").replace("S", "seed_2")]
            if "training" not in key
            else digest
            for key, digest in mine["outputs"].items()
        }
        changed = {**mine, "outputs": outputs}
        path.write_text(json.dumps({**changed, "seal": seal_of(changed)}), encoding="utf-8")
    sentences = found()
    for seed in (1, 2):
        start = f"results/mess3/seed_{seed}/activations.zarr.zip: made from another results/mess3/seed_{seed}/snapshots"
        assert any(sentence.startswith(start) for sentence in sentences)


def test_deleted_record_is_found(study):
    (study.folder / "results/provenance/rrxor/seed_1/probe_beliefs.json").unlink()
    (sentence,) = found()
    assert sentence.startswith("results/provenance/rrxor/seed_1/probe_beliefs.json: missing; nothing tells what")


def test_edited_record_is_found_whichever_part(study):
    path = study.folder / "results/provenance/mess3/seed_1/train_model.json"
    edit(path, '"learning_rate": 0.02', '"learning_rate": 0.01')
    other = study.folder / "results/provenance/mess3/seed_2/train_model.json"
    other.write_text(re.sub('"started": "20', '"started": "19', other.read_text(encoding="utf-8")), encoding="utf-8")
    assert {str(p.relative_to(study.folder)) for p in (path, other)} <= set(named(found()))


def test_record_that_claims_another_parameter_is_found(study):
    path = study.folder / "results/provenance/mess3/seed_1/train_model.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["params"]["training"]["learning_rate"] = 0.01
    path.write_text(json.dumps({**record, "seal": seal_of(record)}), encoding="utf-8")
    assert any("training.learning_rate was 0.01, is 0.02" in sentence for sentence in found())


def test_file_that_is_no_record_is_found(study):
    (study.folder / "results/provenance/mess3/seed_1/other.json").write_text("{}", encoding="utf-8")
    (sentence,) = found()
    assert sentence.startswith("results/provenance/mess3/seed_1/other.json: no record: $: 'rule' is a required")


def test_copied_record_is_found_whatever_its_name(study):
    record = study.folder / "results/provenance/mess3/seed_1/train_model.json"
    for name in ("other/train_model.json", "other/x.json"):
        (record.parent / name).parent.mkdir(exist_ok=True)
        shutil.copy(record, record.parent / name)
    sentences = found()
    copies = [f"results/provenance/mess3/seed_1/other/{name}.json" for name in ("train_model", "x")]
    assert named(sentences) == copies and all("out of results/" in sentence for sentence in sentences)


def test_nothing_made_yet_is_told_in_a_sentence_per_job(tmp_path, monkeypatch, finished):
    config = config_of(finished.folder)
    monkeypatch.chdir(tmp_path)
    sentences = found(config=config)
    assert len(sentences) == 109 and all(s.endswith(": not made yet. Run: snakemake") for s in sentences)


def test_missing_artefact_is_found(study):
    (study.folder / "results/mess3/seed_1/decoded.zarr.zip").unlink()
    (sentence,) = found()
    assert sentence.startswith("results/mess3/seed_1/decoded.zarr.zip: missing; probe_beliefs mess3 seed 1 wrote it")


def test_stray_files_are_found(study):
    results = study.folder / "results"
    (results / "mess3/seed_1/notes.txt").write_text("mine", encoding="utf-8")
    (results / "figures/.hidden").write_text("mine", encoding="utf-8")
    os.symlink("/nowhere", results / "link")
    assert named(found()) == ["results/figures/.hidden", "results/link", "results/mess3/seed_1/notes.txt"]


def move_and_link(path, disk):
    """Move a file or a folder to another disk, and link it back, by a link to a link."""
    disk.mkdir(exist_ok=True)
    shutil.move(path, disk / path.name)
    (disk / f"{path.name}.link").symlink_to(disk / path.name)
    path.symlink_to(disk / f"{path.name}.link")


@pytest.mark.parametrize(
    "moved",
    [
        ["results"],
        ["results/mess3"],
        ["results/provenance"],
        ["results/provenance/mess3", "results/rrxor", "results/figures/mess3", "results/workflow"],
        ["results/mess3/seed_1/model.safetensors", "results/provenance/mess3/seed_1/train_model.json"],
    ],
)
def test_moved_and_linked_results_are_verified_like_others(moved, study, tmp_path):
    for place, name in enumerate(moved):
        move_and_link(study.folder / name, tmp_path / f"disk_{place}")
    left = ["results/.DS_Store", "results/mess3/._seed_1", "results/rrxor/.nfs00000000a1b2c3d400000001"]
    for name in left:
        (study.folder / name).touch()
    assert found() == []
    flip_a_byte(study.folder / "results/mess3/seed_1/model.safetensors")
    (sentence,) = found()
    assert sentence.startswith("results/mess3/seed_1/model.safetensors: not the content that train_model mess3 seed 1")
    assert "elete" not in sentence
    path = next(iter(read_record("results/provenance/mess3/seed_1/train_model.json").outputs))
    records = [read_record(path) for path in record_paths()]
    assert list(ancestry(os.path.realpath(path), records)) == list(ancestry(path, records))


def test_links_that_lead_nowhere_or_back_are_told_once_each(study, tmp_path):
    results = study.folder / "results"
    for name in ("mess3", "provenance/rrxor"):
        shutil.move(results / name, tmp_path / Path(name).name)
        (results / name).symlink_to(tmp_path / "gone" / name)
    (results / "rrxor/up").symlink_to("../..")
    (results / "rrxor/data").symlink_to(tmp_path)
    sentences = {sentence.split(":")[0]: sentence for sentence in found()}
    dead, others = ["results/mess3", "results/provenance/rrxor"], ["rrxor/data", "rrxor/up"]
    assert set(sentences) >= {*dead, *(f"results/{name}" for name in others)}
    assert all(", where nothing is. Bring that back, or remove the link" in sentences[path] for path in dead)
    assert all("a link to " in sentences[f"results/{name}"] for name in others)
    assert not any("elete" in sentence for sentence in sentences.values())
    rest = [path for path in sentences if path not in dead and path.removeprefix("results/") not in others]
    assert not [path for path in rest if path.startswith(("results/mess3/", "results/provenance/rrxor/"))]


@pytest.mark.parametrize("name", ["claims.csv", "mess3/seed_1/model.safetensors"])
def test_file_that_leads_nowhere_is_told_although_nothing_can_be_planned_then(name, study):
    path = study.folder / "results" / name
    path.unlink()
    path.symlink_to("/nowhere")
    (sentence,) = found()
    assert sentence.startswith(f"results/{name}: a link to /nowhere, where nothing is. Bring that back")


def test_changed_configuration_is_found_with_both_values(study):
    config = config_of(study.folder)
    config["defaults"]["probe"]["folds"] = 4
    sentences = found(config=config)
    assert "results/mess3/seed_1/probe.csv" in named(sentences)
    assert all("probe.folds was 5, is 4" in s for s in sentences if s.startswith("results/mess3/seed_1/probe.csv"))
    assert "results/mess3/seed_1/model.safetensors" not in named(sentences)


def test_changed_code_is_found_by_module(study, tmp_path):
    project = clone(tmp_path / "project")
    edit(project / "scripts/plot_loss.py", "markersize=2.5", "markersize=2.6")
    sentences = found(project)
    assert {"results/figures/mess3/loss.png", "results/figures/rrxor/loss.png"} <= set(named(sentences))
    assert all("code of scripts/plot_loss.py was" in s for s in sentences if "loss.png" in s.split(":")[0])


@pytest.mark.parametrize("package", ["matplotlib", "torch", "pytest"])
def test_changed_line_of_the_lock_is_found(package, study, tmp_path):
    project = clone(tmp_path / "project")
    lock = project / "envs/requirements.txt"
    text = re.sub(rf"(?m)^{package}==\S+", f"{package}==0.0", lock.read_text(encoding="utf-8"))
    lock.write_text(text, encoding="utf-8")
    sentences = found(project)
    assert any(s.startswith(f"envs/requirements.txt: pins {package}==0.0, installed is ") for s in sentences)
    made_with = [s for s in sentences if f"{package} was" in s and "envs/requirements.txt pins 0.0" in s]
    used = {"matplotlib": "results/figures/mess3/loss.png", "torch": "results/mess3/seed_1/model.safetensors"}
    assert any(s.startswith(used[package]) for s in made_with) if package in used else not made_with


def test_results_of_another_study_are_verified_too_but_not_held_against_this_configuration(study):
    config = config_of(study.folder)
    config["only"] = ["mess3"]
    gathered = {"claims.csv", "power.csv", "findings.html", "findings.md", "explorer.html", "report.html"}
    gathered |= {"figures/claims.png", "provenance/index.html", "workflow/Snakefile", "ro-crate-metadata.json"}
    assert set(named(found(config=config))) <= {f"results/{name}" for name in gathered}
    flip_a_byte(study.folder / "results/rrxor/seed_1/model.safetensors")
    (sentence,) = (s for s in found(config=config) if s.startswith("results/rrxor/seed_1/model.safetensors: not the"))
    assert "This study does not make it" in sentence and "--force" not in sentence


def test_ancestry_of_a_claim_reaches_every_training_and_its_configuration(study):
    text = "\n".join(ancestry("results/claims.csv", [read_record(path) for path in record_paths()]))
    for run in ("mess3 seed 1", "mess3 seed 2", "rrxor seed 1", "rrxor seed 2"):
        assert text.count(f"\ntrain_model {run}\n") == 1
    assert "learning_rate: 0.02" in text and "geometry/networks/transformer.py" in text and "torch 2." in text
    assert "CHANGED" not in text and "plot_loss" not in text
    assert next(ancestry("results/provenance/collect_claims.json", [read_record(p) for p in record_paths()]))


def test_ancestry_is_printed_and_an_unknown_file_is_refused_with_similar_ones(finished):
    said = finished.run("provenance", "--config=artefact=results/mess3/seed_1/model.safetensors")
    assert "train_model mess3 seed 1" in said and "sample_sequences mess3 seed 1" in said
    result = finished.snakemake("provenance", "--config=artefact=results/mess3/seed_1/modle.safetensors")
    assert result.returncode != 0 and "similar are results/mess3/seed_1/model.safetensors" in result.stderr
