import pytest

from geometry.provenance.makespan import longest_chain, makespan, seconds_to_the_end

SECONDS = {"train 1": 5.0, "train 2": 4.0, "probe 1": 1.0, "probe 2": 3.0, "claims": 2.0, "explainer": 1.0}
NEEDS = {
    "train 1": [],
    "train 2": [],
    "probe 1": ["train 1"],
    "probe 2": ["train 2"],
    "claims": ["probe 1", "probe 2"],
    "explainer": [],
}


def test_longest_chain_is_the_slowest_path():
    left = seconds_to_the_end(SECONDS, NEEDS)
    assert left == {"train 1": 8, "train 2": 9, "probe 1": 3, "probe 2": 5, "claims": 2, "explainer": 1}
    assert longest_chain(left, NEEDS) == ["train 2", "probe 2", "claims"]


@pytest.mark.parametrize(("n_workers", "time"), [(1, 16), (2, 9), (3, 9), (50, 9)])
def test_makespan_lies_between_the_longest_chain_and_all_jobs_one_by_one(n_workers, time):
    assert makespan(SECONDS, NEEDS, n_workers) == time


def test_independent_jobs_fill_all_workers():
    seconds = {str(i): 1.0 for i in range(12)}
    needs = {job: [] for job in seconds}
    assert [makespan(seconds, needs, n) for n in (1, 2, 3, 4, 5, 12)] == [12, 6, 4, 3, 3, 1]


def test_no_worker_is_idle_while_a_job_is_ready():
    """Two chains of which the longer must begin first."""
    seconds = dict(zip("abcdef", (1.0, 1.0, 1.0, 1.0, 3.0, 1.0), strict=True))
    needs = {"a": [], "b": ["a"], "c": ["b"], "d": [], "e": ["d"], "f": []}
    best = max(sum(seconds.values()) / 2, 4)
    assert best <= makespan(seconds, needs, 2) <= best + max(seconds.values())
    assert all(makespan(seconds, needs, n + 1) <= makespan(seconds, needs, n) for n in range(1, 5))
