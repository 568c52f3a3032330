"""Tasks: the task section of an experiment, as a process and as a name."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from functools import cache

from geometry.processes.catalog import PROCESSES, check_parameters, process_from_config
from geometry.processes.process import Process
from geometry.tasks.modular_arithmetic import ModularArithmetic

TASKS = {**PROCESSES, ModularArithmetic.name: ModularArithmetic}
"""What a config can name as a process: hidden Markov models, and modular arithmetic."""


def is_modular(task: Mapping) -> bool:
    """Whether a task section is of modular arithmetic, in place of a hidden Markov model."""
    return task["process"] == ModularArithmetic.name


def process_of(task: Mapping) -> Process | ModularArithmetic:
    """The process of a task section; raises `ProcessError`."""
    return _process(task["process"], json.dumps(task.get("parameters", {}), sort_keys=True))


@cache
def _process(name: str, parameters: str) -> Process | ModularArithmetic:
    if name == ModularArithmetic.name:
        check_parameters(name, ModularArithmetic, json.loads(parameters))
        return ModularArithmetic(**json.loads(parameters))
    return process_from_config(name, json.loads(parameters))


def modular_of(task: Mapping) -> ModularArithmetic:
    """The task of modular arithmetic of a task section; raises `ProcessError`."""
    return process_of(task)


def other_process(task: Mapping, parameters: Mapping) -> Process | None:
    """The process of a task with some other parameters, or None if none are given; raises `ProcessError`."""
    if not parameters:
        return None
    return process_of({**task, "parameters": {**task.get("parameters", {}), **parameters}})


def resolved_parameters(task: Mapping) -> dict:
    """The task's parameters, with the process's own defaults where the config is silent."""
    signature = inspect.signature(TASKS[task["process"]]).parameters
    defaults = {key: p.default for key, p in signature.items() if p.default not in (p.empty, None)}
    return {**defaults, **task.get("parameters", {})}


def task_name(task: Mapping) -> str:
    """A name for a resolved task, the same for every experiment that uses it."""
    parameters = task["parameters"]
    if task["process"] == "custom":
        values = [hashlib.sha256(json.dumps(parameters).encode()).hexdigest()[:12]]
    else:
        values = [str(parameters[key]) for key in inspect.signature(TASKS[task["process"]]).parameters]
    return "_".join([task["process"], *values, f"context{task['context']}"])
