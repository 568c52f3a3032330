"""The task section of an experiment, as a task, as the process or arithmetic behind it, and as a name in paths."""

import hashlib
import inspect
import json
from collections.abc import Mapping

from geometry.processes.catalog import COMPOSED, PROCESSES
from geometry.processes.nested_config import with_defaults
from geometry.processes.process import ProcessError
from geometry.tasks.base import Task
from geometry.tasks.markov import MarkovTask, process_of
from geometry.tasks.modular import ModularTask
from geometry.tasks.modular_arithmetic import ModularArithmetic

__all__ = ["TASKS", "modular_of", "process_of", "resolved_parameters", "task_name", "task_of"]

TASKS: dict[str, type[Task]] = {**dict.fromkeys(PROCESSES, MarkovTask), ModularArithmetic.name: ModularTask}
"""The class of a task by what `task.process` names."""


def task_of(section: Mapping) -> Task:
    """The task of a task section; raises `ProcessError`."""
    name = section["process"]
    if name not in TASKS:
        raise ProcessError(f"process is {name!r}; allowed are {', '.join(TASKS)}")
    return TASKS[name].from_parameters(name, section.get("parameters", {}), section["context"])


def modular_of(section: Mapping) -> ModularArithmetic:
    """The modular arithmetic of a task section; raises `ProcessError`."""
    return ModularTask.from_parameters(section["process"], section["parameters"], section["context"]).arithmetic


def resolved_parameters(section: Mapping) -> dict:
    """The task's parameters, and those of its parts, with their own defaults where the config is silent."""
    return with_defaults({**_defaults(section["process"]), **section.get("parameters", {})}, _defaults)


def _defaults(process) -> dict:
    """The default parameters of a process or task; none of an unknown one."""
    if process not in TASKS:
        return {}
    signature = inspect.signature(TASKS[process].builder(process)).parameters
    return {key: p.default for key, p in signature.items() if p.default not in (p.empty, None)}


def task_name(section: Mapping) -> str:
    """The name of a resolved task in paths, the same for every experiment that uses it."""
    process, parameters = section["process"], section["parameters"]
    if process in ("custom", *COMPOSED):
        values = [hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:12]]
    else:
        values = [str(parameters[key]) for key in inspect.signature(TASKS[process].builder(process)).parameters]
    name = "_".join([process, *values, f"context{section['context']}"])
    if "recording" not in section:
        return name
    digest = hashlib.sha256(section["recording"].encode()).hexdigest()[:12]
    return f"{name}_from{section['first_position']}_of_{digest}"
