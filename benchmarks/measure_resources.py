"""What the jobs of the default study asked for and were estimated to take, beside what they took, by rule.

Of the finished study in results/, which is run first if it is not: each job's record tells its memory and its time.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from geometry.config.experiments import canonical, resolve_experiments
from geometry.config.job_costs import Estimates
from geometry.provenance.records import read_record, record_paths
from timing import PROJECT, report


def jobs(estimates: Estimates) -> pd.DataFrame:
    """A row for each job."""
    rows = []
    for record in map(read_record, record_paths()):
        run, wildcards = record.content["run"], record.content["wildcards"]
        rows.append(
            {
                "rule": record.content["rule"],
                "peak_mb": run["peak_memory_bytes"] / 1e6,
                "asked_over_peak": estimates.memory_bytes(record.content["rule"], wildcards) / run["peak_memory_bytes"],
                "seconds": run["cpu_seconds"],
                "estimated": estimates.seconds(record.content["rule"], wildcards),
                "of": "/".join(wildcards.values()),
            }
        )
    return pd.DataFrame(rows)


def by_rule(table: pd.DataFrame) -> pd.DataFrame:
    groups = table.groupby("rule")
    found = groups.agg(jobs=("of", "size"), seconds=("seconds", "sum"), estimated_seconds=("estimated", "sum"))
    found["most_peak_mb"] = groups["peak_mb"].max()
    found[["least_asked_over_peak", "most_asked_over_peak"]] = groups["asked_over_peak"].agg(["min", "max"])
    return found.sort_values("seconds", ascending=False).reset_index()


if __name__ == "__main__":
    config = canonical(yaml.safe_load((PROJECT / "config.yaml").read_text(encoding="utf-8")))
    schema = yaml.safe_load((PROJECT / "rules/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    subprocess.run([Path(sys.executable).with_name("snakemake"), "--quiet"], check=True, cwd=PROJECT)
    table = by_rule(jobs(Estimates(resolve_experiments(config, schema), config["tree"]["max_prefixes"])))
    total = {"rule": "all", **table[["jobs", "seconds", "estimated_seconds"]].sum().to_dict()}
    report([*table.to_dict("records"), total], sys.argv[1])
