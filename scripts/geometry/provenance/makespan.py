"""The makespan of a job graph on a number of workers, from the estimated seconds of each job."""

import heapq
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter


def seconds_to_the_end(seconds: Mapping[str, float], needs: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """The seconds of each job plus the longest chain of jobs that depend on it, by name."""
    left = dict.fromkeys(seconds, 0.0)
    for job in reversed([*TopologicalSorter(needs).static_order()]):
        left[job] += seconds[job]
        for needed in needs[job]:
            left[needed] = max(left[needed], left[job])
    return left


def longest_chain(left: Mapping[str, float], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The critical path: the longest chain of dependent jobs, a lower bound for any number of workers."""
    chain, behind = [], {job: [] for job in needs}
    for job, needed in needs.items():
        for other in needed:
            behind[other].append(job)
    following = list(left)
    while following:
        chain.append(max(following, key=left.get))
        following = behind[chain[-1]]
    return chain


def makespan(seconds: Mapping[str, float], needs: Mapping[str, Sequence[str]], n_workers: int) -> float:
    """The seconds until all jobs are done, if workers take ready jobs by the longest chain that depends on them."""
    left, order = seconds_to_the_end(seconds, needs), TopologicalSorter(needs)
    order.prepare()
    now, ready, running = 0.0, [], []
    while order.is_active():
        for job in order.get_ready():
            heapq.heappush(ready, (-left[job], job))
        while ready and len(running) < n_workers:
            job = heapq.heappop(ready)[1]
            heapq.heappush(running, (now + seconds[job], job))
        now, job = heapq.heappop(running)
        order.done(job)
    return now
