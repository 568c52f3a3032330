"""The same study on a Slurm cluster of one node: the same bytes, whatever befalls its jobs."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from harness import ROOT, Study, hashes

SMALLEST = ROOT / "tests/smallest.yaml"
LONG = {"defaults": {"training": {"steps": 2000}}}
MODEL = "results/mess3/seed_1/model.safetensors"
STATE = "unfinished/train_model/mess3_seed_1.safetensors"
LOG = "logs/train_model/mess3_seed_1.log"
SLURM = [f"--profile={ROOT}/profiles/slurm", "--slurm-status-command=squeue", "--latency-wait=5"]
SLURM += ["--slurm-init-seconds-before-status-checks=5"]
LITTLE_MEMORY = "--set-resources=train_model:mem_mb=250 if attempt == 1 else 2000"
LITTLE_TIME = "--set-resources=train_model:runtime=0 if attempt == 1 else 60", "--default-resources=runtime=1"


def slurm(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of one node, for as long as the tests of this module take."""
    folder = tmp_path_factory.mktemp("cluster")
    started = subprocess.run([ROOT / "tests/slurm/start.sh", folder], check=False, capture_output=True, text=True)
    if started.returncode == 77:
        pytest.skip(started.stderr.strip())
    assert started.returncode == 0, started.stderr
    yield
    subprocess.run([ROOT / "tests/slurm/stop.sh", folder], check=False)


@pytest.fixture(scope="module")
def at_home(tmp_path_factory):
    """What the cluster is compared with: the study, and a longer training, that nobody disturbed."""
    study, training = Study(tmp_path_factory.mktemp("at_home")), Study(tmp_path_factory.mktemp("training"))
    study.run(configs=[SMALLEST])
    training.run(MODEL, configs=[SMALLEST], override=LONG)
    return hashes(study), hashes(training)


class Submitted:
    """A study whose jobs run on the cluster, while others do."""

    def __init__(self, folder, *arguments, **settings):
        self.study, self.said = Study(folder), folder.parent / f"{folder.name}.log"
        command = self.study.command(*SLURM, *arguments, configs=[SMALLEST], **settings)
        with self.said.open("w") as log:
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
        raise AssertionError(self.said.read_text()[-5000:])

    def job(self):
        """Slurm's number of the job that runs."""
        jobs = [line.split() for line in slurm("squeue", "--noheader", "--format=%i %Z").splitlines()]
        return next(number for number, folder in jobs if folder == str(self.study.folder))

    def finish(self):
        """What Snakemake said, which must have succeeded."""
        assert self.process.wait() == 0, self.said.read_text()[-5000:]
        return self.said.read_text()


@pytest.fixture(scope="module")
def submitted(cluster, tmp_path_factory):
    """A study, and trainings each of which something befalls, all at once."""

    def trained(name, *arguments):
        return Submitted(tmp_path_factory.mktemp("slurm") / name, MODEL, *arguments, override=LONG)

    def suspended(name):
        training = trained(name, *LITTLE_TIME)
        training.training().suspend()
        return training

    def killed(name):
        training = trained(name)
        training.training().kill()
        return training

    def cancelled(name):
        training = trained(name)
        training.training()
        slurm("scancel", training.job())
        return training

    def requeued(name):
        training = trained(name)
        training.training()
        slurm("scontrol", "requeue", number := training.job())
        slurm("scontrol", "update", f"jobid={number}", "StartTime=now")  # it would wait for two minutes
        return training

    befalls = {
        "out of time": suspended,
        "over memory": lambda name: trained(name, LITTLE_MEMORY),
        "killed": killed,
        "cancelled": cancelled,
        "preempted": requeued,
    }
    with ThreadPoolExecutor() as pool:
        running = dict(
            zip(befalls, pool.map(lambda what, befall: befall(what), befalls, befalls.values()), strict=True)
        )
    return running | {"study": Submitted(tmp_path_factory.mktemp("slurm") / "study")}


def test_study_on_slurm_is_the_study_at_home_byte_for_byte(submitted, at_home):
    study = submitted["study"]
    assert study.finish().count("has been submitted") == 6  # 29 jobs, in groups
    assert hashes(study.study) == at_home[0]
    study.study.run("audit", configs=[SMALLEST])


REASONS = {
    "out of time": "SLURM status is: 'TIMEOUT'",
    "over memory": "exceeded memory limit",
    "killed": "SLURM status is: 'FAILED'",
    "cancelled": "SLURM status is: 'CANCELLED'",
    "preempted": "",  # Slurm itself starts it again
}


@pytest.mark.parametrize("what", REASONS)
def test_training_on_slurm_survives_to_the_same_bytes_and_says_what_befell_it(what, submitted, at_home):
    training = submitted[what]
    said = training.finish()
    assert REASONS[what] in said and ("Trying to restart job" in said) == (what != "preempted")
    if what != "over memory":  # killed before it had started to train
        assert "going on from step" in (training.study.folder / LOG).read_text()
    assert hashes(training.study) == at_home[1]
    assert not (training.study.folder / STATE).exists()
