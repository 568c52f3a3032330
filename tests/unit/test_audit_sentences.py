"""What the audit says of a job that was made otherwise: its first differences, and how many more there are."""

import pytest

from geometry.provenance.audit import MOST_NAMED, broken_plan
from geometry.provenance.code_digest import Code
from geometry.provenance.job_graph import PlannedJob
from geometry.provenance.records import Record

OUTPUT = "results/mess3/seed_1/loss.csv"


def sentence(n_changed: int) -> str:
    """The sentence on a job of which so many modules have changed, and nothing else."""
    then, now = ({f"module_{k}.py": version for k in range(n_changed)} for version in ("old", "new"))
    content = {"rule": "measure_loss", "wildcards": {}, "inputs": {}, "outputs": {OUTPUT: "0"}, "packages": {}}
    content |= {"params": {}, "run": {}, "code": {"digest": "0", "modules": then}}
    job = PlannedJob("measure_loss", {}, [], [OUTPUT], "results/provenance/measure_loss.json", {}, 0)
    (found,) = broken_plan(job, Record(job.record, content), Code(now, {}), {})
    return found


@pytest.mark.parametrize("n_changed", [1, MOST_NAMED, MOST_NAMED + 1, 40])
def test_names_some_differences_counts_the_others_and_ends_with_the_remedy(n_changed):
    found = sentence(n_changed)
    assert found.count(" was old, is new") == min(n_changed, MOST_NAMED)
    more = n_changed - MOST_NAMED
    assert (f"and {more} more. Make it again" in found) == (more > 0)
    assert found.endswith(f"Make it again: snakemake --force {OUTPUT}, then snakemake")
