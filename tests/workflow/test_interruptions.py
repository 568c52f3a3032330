"""Killed, interrupted, out of room: what is finished stays whole, and the next run ends in the same bytes."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import psutil
import pytest
from harness import ROOT, SMALLEST, Study, clone, edit, hashes

LONG = {"experiments": {"mess3": {"training": {"steps": 2000}}}}
LONGER = {"experiments": {"mess3": {"training": {"steps": 20_000}}}}
MODEL = "results/mess3/seed_1/model.safetensors"
STATE = "unfinished/train_model/mess3_seed_1.safetensors"


def start(study, *arguments, **settings):
    """Snakemake in a process group of its own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it starts with & ignore it
    log = open(study.folder.parent / f"{study.folder.name}.log", "ab")  # noqa: SIM115
    command = study.command(*arguments, **settings)
    return subprocess.Popen(command, cwd="/", stdout=log, stderr=log, start_new_session=True)


def jobs_of(process):
    """The processes of jobs that Snakemake is running, by rule."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        named = {child: re.search(r"scripts/tmp\w+\.(\w+)\.py$", " ".join(child.cmdline())) for child in children}
    except psutil.NoSuchProcess:
        return {}
    return {found[1]: child for child, found in named.items() if found and "python" in child.name()}


def wait_for(condition, process, seconds=120):
    """Whether a condition comes true while a process lives."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def kill(victim, process, rules):
    """Kill -9 the jobs of some rules, Snakemake, or Snakemake and all its jobs."""
    if victim != "snakemake":
        for rule, job in jobs_of(process).items():
            if rule in rules:
                job.kill()
    if victim == "both":
        os.killpg(process.pid, signal.SIGKILL)
    if victim == "snakemake":
        process.kill()
    process.wait()


RULES = {path.stem for path in (ROOT / "scripts").glob("*.py") if "Job(snakemake" in path.read_text(encoding="utf-8")}
TEXTS = ((ROOT / f"rules/{name}.smk").read_text(encoding="utf-8") for name in ("modular", "figures_modular"))
OF_MODULAR = re.findall(r"^rule (\w+)", "".join(TEXTS), re.M)
NOT_THERE = {"import_activations", "record_activations", "import_model", "compare_experiments", "plot_comparison"}
NOT_THERE |= {"compare_claims", "plot_replication", "hold_against_published", "plot_published", *OF_MODULAR}
NOT_THERE |= {"measure_subspaces", "plot_subspaces", "plot_telescoping", "measure_attention", "plot_attention"}
RULES = sorted(RULES - NOT_THERE)  # that study is of networks that it trains on Markov models


def test_study_killed_in_each_of_its_rules_elsewhere_on_more_cores_ends_in_the_same_bytes(smallest, tmp_path):
    """At a random moment of each; the job, Snakemake, or both by turns. Many jobs at once, so few starts suffice."""
    study, moments, spared, attempts = Study(tmp_path / "a folder with spaces"), random.Random(0), list(RULES), 0
    assert len(RULES) == 43
    forced = []
    while spared:
        attempts += 1
        assert attempts < 100
        process = start(study, *forced, configs=[SMALLEST], cores=8)
        if not wait_for(lambda: set(jobs_of(process)) & set(spared), process):  # noqa: B023
            assert process.wait() == 0
            forced = [f"--forcerun={spared[0]}"]  # finished: so let one run again that has not been killed yet
            continue
        began = set(jobs_of(process))
        time.sleep(moments.uniform(0, 1.6))
        rules = (began | set(jobs_of(process))) & set(spared)
        victim = ["job", "snakemake", "both"][attempts % 3]
        kill(victim, process, rules)
        if victim != "job":  # what --unlock does, in no time; the other tests call it
            shutil.rmtree(study.folder / ".snakemake/locks", ignore_errors=True)
        spared = [rule for rule in spared if rule not in rules]
    study.run(configs=[SMALLEST], cores=1)
    assert hashes(study) == hashes(smallest)
    study.run("audit", configs=[SMALLEST])


@pytest.fixture(scope="session")
def undisturbed(made_once):
    """A longer training that nobody disturbed."""
    study = Study(made_once("undisturbed", lambda folder: Study(folder).run(MODEL, override=LONG)))
    assert not (study.folder / STATE).exists()
    return study


def interrupted_training(study):
    """A longer training, killed after it had saved its state."""
    process = start(study, MODEL, override=LONG)
    assert wait_for((study.folder / STATE).exists, process)
    kill("both", process, {"train_model"})
    study.run("--unlock")
    assert not (study.folder / MODEL).exists()


def test_killed_training_goes_on_from_its_state_to_the_same_bytes(undisturbed, tmp_path):
    study = Study(tmp_path / "study")
    interrupted_training(study)
    assert "resuming at step" in study.run(MODEL, override=LONG)
    assert hashes(study) == hashes(undisturbed)
    assert not (study.folder / STATE).exists()


def test_training_of_another_configuration_does_not_go_on_from_the_state(tmp_path):
    study = Study(tmp_path / "study")
    interrupted_training(study)
    other = {"experiments": {"mess3": {"training": {"steps": 20, "learning_rate": 0.01}}}}
    assert "resuming at step" not in study.run(MODEL, override=other)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_study_stops_cleanly_and_says_how_to_go_on(number, tmp_path):
    study = Study(tmp_path / "study")
    process = start(study, MODEL, override=LONGER)
    assert wait_for((study.folder / STATE).exists, process)
    os.killpg(process.pid, number)
    assert process.wait() != 0
    said = (tmp_path / "study.log").read_text(encoding="utf-8")
    assert "interrupted; to go on, run snakemake again" in said and "run the same command again" in said
    assert not [p for p in study.folder.rglob("*.partial")] and not (study.folder / MODEL).exists()
    assert (study.folder / STATE).exists() and study.planned(MODEL, override=LONGER) == {"train_model": 1}


def test_second_snakemake_on_one_folder_is_refused_and_harms_nothing(undisturbed, tmp_path):
    study = Study(tmp_path / "study")
    first = start(study, MODEL, override=LONG)
    assert wait_for(lambda: "train_model" in jobs_of(first), first)
    training = jobs_of(first)["train_model"]
    training.suspend()  # so that it does not end while the second one starts
    second = study.snakemake(MODEL, override=LONG)
    training.resume()
    assert second.returncode != 0 and "LockException" in second.stderr + second.stdout
    assert first.wait() == 0
    assert hashes(study) == hashes(undisturbed)


def test_job_refuses_code_that_was_edited_after_the_plan(tmp_path):
    study = Study(tmp_path / "study", clone(tmp_path / "project"))
    activations = "results/mess3/seed_1/activations.zarr.zip"
    process = start(study, activations, override=LONG)
    assert wait_for((study.folder / STATE).exists, process)
    edit(study.project / "scripts/geometry/networks/transformer.py", "EPSILON = 1e-5", "EPSILON = 2e-5")
    assert process.wait() != 0
    said = (tmp_path / "study.log").read_text(encoding="utf-8")
    assert "the code of extract_activations changed while the workflow ran" in said
    assert not (study.folder / activations).exists()
    assert study.planned(activations, override=LONG) == {"train_model": 1, "extract_activations": 1}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with hardly any room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "--recursive", folder], check=True)


def test_full_disk_is_named_and_with_more_room_the_study_goes_on(small_disk, undisturbed):
    study = Study(small_disk / "study")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_250_000))
    result = study.snakemake(MODEL, override=LONG)
    assert result.returncode != 0 and "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    results = study.folder / "results"
    assert not [p for p in results.rglob("*") if p.is_file() and not any(".partial" in part for part in p.parts)]
    ballast.unlink()
    study.run("--unlock")
    study.run(MODEL, override=LONG)
    assert hashes(study) == hashes(undisturbed)


def test_read_only_results_are_refused_and_untouched(undisturbed, small_disk):
    study = Study(small_disk / "study")
    ballast = small_disk / "study/results"
    ballast.mkdir()
    subprocess.run(["mount", "--bind", ballast, ballast], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", ballast], check=True)
    result = study.snakemake(MODEL, override=LONG)
    assert result.returncode != 0 and "Read-only file system" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    assert not list(ballast.iterdir())
