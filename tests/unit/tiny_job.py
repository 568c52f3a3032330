"""A job without Snakemake around it, for tests of what surrounds a job: it writes one file and its record."""

from pathlib import Path

from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, Wildcards

from geometry.provenance.code_digest import code_of
from geometry.provenance.job import Job

ROOT = Path(__file__).parents[2]
RULE, NAME = "build_ground_truth", "雨 é \ud800"
RECORD, FILE, LOG = f"results/provenance/{RULE}.json", "results/file.txt", "logs/job.log"


class Snakemake:
    """What Snakemake gives to a script."""

    def __init__(self):
        code = code_of(ROOT / f"scripts/{RULE}.py", ROOT / "envs/requirements.txt").digest
        self.rule, self.threads, self.scriptdir = RULE, 1, str(ROOT / "scripts")
        self.wildcards, self.input, self.log = Wildcards(), InputFiles(), Log(toclone=[LOG])
        self.params = Params(fromdict={"name": NAME, "code": code})
        self.output = OutputFiles(fromdict={"file": FILE, "record": RECORD})


def run_job() -> None:
    """Run the job in the working directory."""
    with Job(Snakemake()) as job:
        Path(FILE).parent.mkdir(exist_ok=True)
        Path(FILE).write_bytes(b"hours of work")
        job.info(f"worked on {NAME}")


if __name__ == "__main__":
    run_job()
