"""The same study on a Slurm cluster of one node: the same bytes, whatever befalls its jobs."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest
from harness import ROOT, SMALLEST, Study, hashes

LONG = {"defaults": {"training": {"steps": 2000}}}
MODEL = "results/mess3/seed_1/model.safetensors"
STATE = "unfinished/train_model/mess3_seed_1.safetensors"
LOG = "logs/train_model/mess3_seed_1.log"
SLURM = ["--profile", f"{ROOT}/profiles/slurm", "--slurm-status-command", "squeue"]
SLURM += ["--slurm-init-seconds-before-status-checks", "1"]
LITTLE_MEMORY = [f"{rule}:mem_mb=250 if attempt == 1 else 2000" for rule in ("sample_sequences", "train_model")]


def slurm(*command):
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout


class Submitted:
    """A study whose jobs run on the cluster, while others do."""

    def __init__(self, folder, *arguments, resources=(), **settings):
        self.study, self.said = Study(folder), folder.parent / f"{folder.name}.log"
        command = self.study.command(*arguments, configs=[SMALLEST], **settings)
        command[3:3] = [*SLURM, *(["--set-resources", *resources] if resources else [])]
        with self.said.open("wb") as log:
            self.process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)

    def training(self):
        """The process that trains, once it has saved its state."""
        while self.process.poll() is None:
            if (self.study.folder / STATE).exists():
                for process in psutil.process_iter(["cmdline"]):
                    script = (process.info["cmdline"] or [""])[-1]
                    if script.startswith(str(self.study.folder)) and script.endswith(".train_model.py"):
                        return process
            time.sleep(0.02)
        raise AssertionError(self.said.read_text(encoding="utf-8")[-5000:])

    def job(self):
        """Slurm's number of the job that runs."""
        jobs = [line.split() for line in slurm("squeue", "--noheader", "--format=%i %Z").splitlines()]
        return next(number for number, folder in jobs if folder == str(self.study.folder))

    def finish(self):
        """What Snakemake said, which must have succeeded."""
        assert self.process.wait() == 0, self.said.read_text(encoding="utf-8")[-5000:]
        return self.said.read_text(encoding="utf-8")


def run_out_of_time(training):
    training.training().suspend()
    slurm("scontrol", "update", f"jobid={training.job()}", "TimeLimit=1")  # minute, and it will not have enough


def kill(training):
    training.training().kill()


def cancel(training):
    training.training()
    slurm("scancel", training.job())


def preempt(training):
    training.training()
    slurm("scontrol", "requeue", number := training.job())
    slurm("scontrol", "update", f"jobid={number}", "StartTime=now")  # it would wait for two minutes


def nothing(training):
    """It asks for too little of something itself."""


# What befalls a training, the resources it asks for, and what Snakemake then prints.
EVENTS = {
    "out_of_time": (run_out_of_time, [], "DUE TO TIME LIMIT"),
    "over_memory": (nothing, LITTLE_MEMORY, "exceeded memory limit"),
    "killed": (kill, [], "died with <Signals.SIGKILL: 9>"),
    "cancelled": (cancel, [], "CANCELLED AT"),
    "preempted": (preempt, [], "steps (100%) done"),  # Slurm itself starts it again
}


@pytest.fixture
def cluster(tmp_path):
    """A cluster of one node, for as long as a test takes."""
    folder = tmp_path / "cluster"
    started = subprocess.run(
        [ROOT / "tests/slurm/start.sh", folder], check=False, capture_output=True, encoding="utf-8"
    )
    if started.returncode == 77:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    yield
    subprocess.run([ROOT / "tests/slurm/stop.sh", folder], check=False)


@pytest.fixture
def submitted(cluster, tmp_path):
    """The study, and trainings each of which something befalls, all at once."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    running = {"study": Submitted(folder / "study")}
    for name, (_, resources, _) in EVENTS.items():
        running[name] = Submitted(folder / name, MODEL, override=LONG, resources=resources)
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda name: EVENTS[name][0](running[name]), EVENTS))
        yield running
    finally:
        for process in psutil.process_iter(["cmdline"]):  # also what has lost its parent, by which Slurm knew it
            if any(str(folder) in part for part in process.info["cmdline"] or []):
                with suppress(psutil.NoSuchProcess):
                    process.kill()


@pytest.fixture
def undisturbed(submitted, tmp_path):
    """The longer training, made meanwhile, that nothing befalls."""
    study = Study(tmp_path / "undisturbed")
    study.run(MODEL, configs=[SMALLEST], override=LONG)
    return study


def test_study_on_slurm_is_the_study_at_home_byte_for_byte_whatever_befalls_it(
    submitted, smallest, undisturbed, subtests
):
    """One test, as one cluster runs everything at once."""
    with subtests.test("study"):
        study = submitted.pop("study")
        assert study.finish().count("has been submitted") == 6  # 47 jobs, in groups
        assert hashes(study.study) == hashes(smallest)
        study.study.run("audit", configs=[SMALLEST])
    for name, training in submitted.items():
        with subtests.test(name):
            said = training.finish()
            assert EVENTS[name][2] in said and ("Trying to restart job" in said) == (name != "preempted")
            if name != "over_memory":  # which ends it before it trains
                assert "resuming at step" in (training.study.folder / LOG).read_text(encoding="utf-8")
            assert hashes(training.study) == hashes(undisturbed)
            assert not (training.study.folder / STATE).exists()
