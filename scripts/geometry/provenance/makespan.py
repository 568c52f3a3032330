"""When the jobs of a graph would run on so many workers, from how long each is estimated to take."""

import heapq
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter


def seconds_to_the_end(seconds: Mapping[str, float], needs: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """For each job, by name, how long it and the longest chain of jobs behind it take."""
    left = dict.fromkeys(seconds, 0.0)
    for job in reversed([*TopologicalSorter(needs).static_order()]):
        left[job] += seconds[job]
        for needed in needs[job]:
            left[needed] = max(left[needed], left[job])
    return left


def longest_chain(left: Mapping[str, float], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The jobs that wait for one another longest, the first first: no number of workers is faster."""
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
    """How long so many workers take, each of whom takes the ready job with the most left behind it."""
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
