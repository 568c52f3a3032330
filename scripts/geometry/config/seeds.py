"""Seeds and runs: an entry of `seeds` is a run, of one network or, as a range such as `1-5`, of several in one job.

The networks of a run are trained, extracted and analysed by the same jobs, which saves the start of a job for each; its
folder is `seed_1` or `seeds_1-5`. What a network is does not depend on the others of its run.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product

RUN = "seed_[0-9]+|seeds_[0-9]+-[0-9]+"
"""A pattern of the names of runs."""

Entry = int | str
"""A seed, or a range of seeds as text."""


def run_name(entry: Entry) -> str:
    return f"seed_{entry}" if isinstance(entry, int) else f"seeds_{entry}"


def seeds_of(entry: Entry) -> list[int]:
    """The seeds of an entry, or of the name of its run; none of a run that is named after no seed."""
    text = str(entry).rpartition("_")[2]
    if not text.replace("-", "").isdigit():
        return []
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def all_seeds(entries: Sequence[Entry]) -> list[int]:
    return [seed for entry in entries for seed in seeds_of(entry)]


def in_each(runs: Iterable[str], rules: Iterable[str]) -> list[str]:
    """run/rule, run by run."""
    return [f"{run}/{rule}" for run, rule in product(runs, rules)]


MOST = 1000
"""Networks of a run, at most."""


def seeds_problem(entries: Sequence[Entry]) -> str | None:
    """The sentence on a range that runs backwards or is too long, or on a seed that is there twice; or None."""
    for entry in entries:
        first, last = (int(end) for end in str(entry).split("-")) if isinstance(entry, str) else (0, 1)
        if not first < last < first + MOST:
            return f"seeds has {entry!r}; a range runs from a seed to a later one, as in 1-5, over at most {MOST}"
    seed, times = Counter(all_seeds(entries)).most_common(1)[0]
    return f"seeds has {seed} {times} times, as a seed or within a range; it may be there once" if times > 1 else None
