"""The job graph: all jobs of a study from scratch, with their inputs, outputs and parameters."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings


@dataclass(frozen=True)
class PlannedJob:
    """A job: its inputs, outputs and parameters."""

    rule: str
    wildcards: dict[str, str]
    inputs: list[str]
    outputs: list[str]  # without the record
    record: str
    params: dict  # without the digest of the code
    n_gpus: int


def planned_jobs(snakefile: Path, config: dict) -> list[PlannedJob]:
    """All jobs that rule `all` depends on in the working directory, up to date or not.

    Snakemake has no public interface to its job graph; this makes the two calls that its own commands make.
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
    inputs = list(dict.fromkeys(map(str, job.input)))  # one of two names is there once
    n_gpus = job.resources.get("gpu", 0)
    return PlannedJob(job.rule.name, wildcards, inputs, outputs, str(job.output.record), params, n_gpus)
