"""The jobs that Snakemake would run for a study from nothing, with what each is to be made from."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings


@dataclass(frozen=True)
class PlannedJob:
    """A job by what it reads, what it writes and its parameters."""

    rule: str
    wildcards: dict[str, str]
    inputs: list[str]
    outputs: list[str]  # without the record
    record: str
    params: dict  # without the digest of the code
    n_gpus: int


def planned_jobs(snakefile: Path, config: dict) -> list[PlannedJob]:
    """Every job behind rule `all` in the working directory, those included that need not run.

    Snakemake offers the graph of jobs to nobody but its own commands: these are two calls of theirs.
    """
    with tempfile.TemporaryDirectory() as folder, SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        merged = Path(folder) / "config.json"
        merged.write_text(json.dumps(config), encoding="utf-8")
        settings = ConfigSettings(configfiles=[merged])
        workflow_api = api.workflow(ResourceSettings(cores=1), settings, snakefile=snakefile, workdir=Path())
        workflow_api.dag(DAGSettings())
        workflow = workflow_api._workflow
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
        workflow._build_dag()
        jobs = [_planned(job) for job in workflow.dag.jobs if "record" in job.output.keys()]  # noqa: SIM118
    return sorted(jobs, key=lambda job: job.record)


def _planned(job) -> PlannedJob:
    outputs = [str(path) for path in job.output if path != job.output.record]
    params = json.loads(json.dumps({key: value for key, value in job.params.items() if key != "code"}))
    wildcards = dict(job.wildcards.items())
    inputs, n_gpus = [str(path) for path in job.input], job.resources.get("gpu", 0)
    return PlannedJob(job.rule.name, wildcards, inputs, outputs, str(job.output.record), params, n_gpus)
