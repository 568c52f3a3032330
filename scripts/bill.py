"""Print the estimated cost of a study: time by rule, the longest chain of jobs, and the makespan by workers."""

from typing import TYPE_CHECKING

import pandas as pd
import yaml

from geometry.config.experiments import resolve_experiments
from geometry.config.job_costs import Estimates, slowness
from geometry.provenance.job import job_name, project_folder
from geometry.provenance.job_graph import PlannedJob, planned_jobs
from geometry.provenance.makespan import longest_chain, makespan, seconds_to_the_end

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

WORKERS = [1, 2, 4, 8, 16, 32, 64]


def duration(seconds: float) -> str:
    """A duration as text, in hours, minutes or seconds."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def bill(jobs: dict[str, PlannedJob], seconds: dict[str, float]) -> str:
    """The printed text, from the jobs and their estimated seconds, by the path of the record."""
    maker = {path: name for name, job in jobs.items() for path in (*job.outputs, job.record)}
    needs = {name: {maker[path] for path in job.inputs if path in maker} for name, job in jobs.items()}
    by_rule = pd.Series(seconds).groupby([job.rule for job in jobs.values()], sort=False)
    table = pd.DataFrame({"jobs": by_rule.size(), "seconds": by_rule.sum()}).sort_values("seconds", ascending=False)
    lines = [f"{'rule':22} {'jobs':>6}  {'one core':>9}"]
    lines += [f"{rule:22} {row.jobs:6.0f}  {duration(row.seconds):>9}" for rule, row in table.iterrows()]
    lines += [f"{'all':22} {len(jobs):6}  {duration(table['seconds'].sum()):>9}", ""]
    chain = longest_chain(seconds_to_the_end(seconds, needs), needs)
    whole = sum(seconds[name] for name in chain)
    shown = [name for name in chain if seconds[name] > whole / 20]
    lines += [f"The longest chain takes {duration(whole)}:"]
    lines += [f"  {duration(seconds[n]):>8}  {job_name(jobs[n].rule, jobs[n].wildcards)}" for n in shown]
    lines += ["", f"{'workers':>7}  {'time':>9}"]
    lines += [f"{n:7}  {duration(makespan(seconds, needs, n)):>9}" for n in WORKERS]
    if on_gpu := sum(seconds[name] * job.n_gpus for name, job in jobs.items()):
        lines += ["", f"GPU-hours: {on_gpu / 3600:.2f} if a GPU is no faster than a core (no GPU was measured)."]
    return "\n".join(lines)


if __name__ == "__main__":
    project, config = project_folder(snakemake), snakemake.params.config
    schema = yaml.safe_load((project / "rules/schemas/config.schema.yaml").read_bytes())
    estimates = Estimates(resolve_experiments(config, schema), config["tree"]["max_prefixes"])
    jobs = {job.record: job for job in planned_jobs(project / "Snakefile", config)}
    times = slowness()
    print(bill(jobs, {name: times * estimates.seconds(job.rule, job.wildcards) for name, job in jobs.items()}))
    print(f"\nOf this machine, which now takes {times:.2f} times as long as the one that was measured.")
