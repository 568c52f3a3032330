"""The files and settings of a study from which the explorer is made."""

from collections.abc import Iterable

from geometry.config.study import Study
from geometry.tasks.task import task_name


def in_first_runs(study: Study, name: str, experiments: Iterable[str]) -> list[str]:
    """This file of the first run of some experiments."""
    return [f"results/{one}/{study.runs(one)[0]}/{name}" for one in experiments]


def in_all_runs(study: Study, name: str, experiments: Iterable[str]) -> list[str]:
    """This file of every run of some experiments, behind those of each that of its random networks.

    Of samples of words it is that of the first, as one ground truth is shown.
    """
    found = []
    for one in experiments:
        runs = study.runs(one)[:1] if study.samples(one) else study.runs(one) + study.random_runs(one)
        found += [f"results/{one}/{run}/{name}" for run in runs]
    return found


def explorer_settings(study: Study, key_share: float) -> dict[str, dict]:
    """The settings of each experiment that the explorer's job needs, by name."""
    return {
        name: {
            "kind": study.kinds[name],
            "task": one["task"],
            "task_name": task_name(one["task"]),
            "model": {key: value for key, value in one["model"].items() if key != "checkpoint"},
            "runs": study.runs(name),
            "concatenated": study.concatenated(name),
            "output": study.last_layer_output(name),
            "figures": study.figures(name),
            "key_share": key_share,
        }
        for name, one in study.experiments.items()
    }
