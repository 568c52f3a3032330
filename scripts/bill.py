"""Print the estimated cost of a study: time by rule, the longest chain of jobs, the makespan by workers, more seeds."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import yaml

from geometry.config.experiments import resolve_experiments
from geometry.config.job_costs import Estimates, n_networks_of, slowness
from geometry.config.study import RANDOM_INIT
from geometry.provenance.job import job_name, project_folder
from geometry.provenance.job_graph import PlannedJob, planned_jobs
from geometry.provenance.makespan import longest_chain, makespan, seconds_to_the_end
from geometry.tables import read_table, select

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
        lines += ["", f"GPU-hours: {on_gpu / 3600:.2f} if a GPU is no faster than a core."]
    return "\n".join(lines)


def seconds_per_seed(jobs: dict[str, PlannedJob], seconds: dict[str, float]) -> pd.Series:
    """The seconds of one more network of each experiment: of all rules that every network of it has a job of."""
    rows = []
    for name, job in jobs.items():
        if job.wildcards.get("run", RANDOM_INIT) != RANDOM_INIT:
            rows.append((job.wildcards["experiment"], job.rule, n_networks_of(job.wildcards), seconds[name]))
    table = pd.DataFrame(rows, columns=["experiment", "rule", "networks", "seconds"])
    of_rule = table.groupby(["experiment", "rule"])[["networks", "seconds"]].sum()
    is_of_all = of_rule["networks"] == of_rule["networks"].groupby("experiment").transform("max")
    return (of_rule["seconds"] / of_rule["networks"])[is_of_all].groupby("experiment").sum()


def bill_of_more_seeds(power: pd.DataFrame, per_seed: pd.Series) -> Iterator[str]:
    """Lines on the seeds that would decide the undecided claims, and their time."""
    open_claims = select(power[power["experiment"].isin(per_seed.index)], verdict="undecided")
    more = (open_claims["seeds_to_decide"] - open_claims["n_seeds"]).rename("more")
    table = open_claims.assign(more=more, seconds=more * open_claims["experiment"].map(per_seed))
    reached = table[np.isfinite(table["more"])].sort_values(["seconds", "experiment"])
    yield f"{len(table)} claims are undecided. Seeds that decide one with a probability of 0.9, and their time:"
    yield f"{'more seeds':>10}  {'one core':>9}"
    for row in reached.itertuples():
        yield f"{row.more:10.0f}  {duration(row.seconds):>9}  {row.experiment}: {row.claim}, {row.site}"
    most = reached.groupby("experiment")[["more", "seconds"]].max()
    yield f"{most['more'].sum():10.0f}  {duration(most['seconds'].sum()):>9}  all of these {len(reached)}"
    yield f"No number of seeds is known to decide the other {len(table) - len(reached)} (docs/power.md)."


if __name__ == "__main__":
    project, config = project_folder(snakemake), snakemake.params.config
    schema = yaml.safe_load((project / "rules/schemas/config.schema.yaml").read_bytes())
    estimates = Estimates(resolve_experiments(config, schema), config["tree"]["max_prefixes"])
    jobs = {job.record: job for job in planned_jobs(project / "Snakefile", config)}
    times = slowness()
    seconds = {name: times * estimates.seconds(job.rule, job.wildcards) for name, job in jobs.items()}
    print(bill(jobs, seconds) + "\n")
    power = Path(snakemake.params.power)
    if power.exists():
        print("\n".join(bill_of_more_seeds(read_table(power), seconds_per_seed(jobs, seconds))))
    else:
        print(f"What it costs to decide undecided claims is said once there is a {power}: snakemake {power} makes it.")
    print(f"\nOf this machine, which now takes {times:.2f} times as long as the one that was measured.")
