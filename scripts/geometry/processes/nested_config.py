"""The parts of a composed process, from its parameters in the config.

A part is a mapping with the name of its `process` and its `parameters`, which may have parts again. Every problem is
one sentence that begins with the path of what is wrong.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from geometry.processes.composed import Dependent
from geometry.processes.process import ParameterError, Process, ProcessError

DEEPEST = 10
"""The number of processes that may be nested."""

LISTS = ("components", "factors")
"""Parameters that are lists of parts; that of a single part is `of`."""


Build = Callable[[str, dict], Process]
"""A process from its name and parameters."""


def with_parts(name: str, parameters: Mapping, build: Build, known: Iterable[str]) -> dict:
    """The parameters of a composed process, with a process or a factor of a chain in place of each part.

    `known` are the names that a part's process may have. Raises `ParameterError`.
    """
    if depth(parameters) > DEEPEST:
        key = next(key for key in (*LISTS, "of") if key in parameters)
        raise ParameterError(f"{key} is nested {depth(parameters)} processes deep; at most {DEEPEST} are allowed")
    found = dict(parameters)
    for key in LISTS:
        if key in found:
            parts = found[key]
            if not isinstance(parts, list | tuple) or len(parts) < 2:
                raise ParameterError(f"{key} is {parts!r}; it must be a list of at least 2 processes")
            found[key] = [_part(f"{key}[{k}]", part, build, known, name == "chain") for k, part in enumerate(parts)]
    if "of" in found:
        found["of"] = _part("of", found["of"], build, known)
    return found


def depth(parameters: Mapping) -> int:
    """The number of processes, one within the other, that some parameters nest."""
    listed = [part for key in LISTS if isinstance(parameters.get(key), list | tuple) for part in parameters[key]]
    parts = [part for part in [*listed, parameters.get("of")] if isinstance(part, Mapping)]
    inner = [found for part in parts if isinstance(found := part.get("parameters", {}), Mapping)]
    return max((1 + depth(found) for found in inner), default=0)


def with_defaults(parameters: Mapping, defaults: Callable[[str], dict]) -> dict:
    """The parameters with those of every part, at any depth, filled in from the defaults of its process.

    What is no part is left for `with_parts` to refuse.
    """
    found = dict(parameters)
    for key in LISTS:
        if isinstance(found.get(key), list | tuple):
            found[key] = [_filled(part, defaults) for part in found[key]]
    if "of" in found:
        found["of"] = _filled(found["of"], defaults)
    return found


def _filled(part, defaults: Callable[[str], dict]):
    if not isinstance(part, Mapping) or not isinstance(own := part.get("parameters", {}), Mapping):
        return part
    return {**part, "parameters": with_defaults({**defaults(part.get("process")), **own}, defaults)}


def _part(where: str, part, build: Build, known: Iterable[str], in_chain: bool = False) -> Process | Dependent:
    """The process of a part or, of a factor that depends on the one before, its variants."""
    _check_keys(where, part, ("process", "parameters", *(("depends_on", "by") if in_chain else ())))
    name, parameters = part["process"], part.get("parameters", {})
    if name not in known:
        raise ParameterError(f"{where}.process is {name!r}; allowed are {', '.join(known)}")
    _check_mapping(f"{where}.parameters", parameters)
    if "by" not in part and "depends_on" not in part:
        return _built(where, f"{where}.parameters", name, parameters, build)
    for key, other in (("by", "depends_on"), ("depends_on", "by")):
        if key not in part:
            raise ParameterError(f"{where}.{key} is missing; it goes with {other}")
    if not isinstance(part["by"], list | tuple):
        raise ParameterError(f"{where}.by is {part['by']!r}; it must be a list of parameters")
    variants = []
    for k, other in enumerate(part["by"]):
        _check_mapping(f"{where}.by[{k}]", other)
        variants.append(_built(f"{where}.by[{k}]", f"{where}.by[{k}]", name, {**parameters, **other}, build))
    return Dependent(tuple(variants), part["depends_on"])


def _built(where: str, of_parameters: str, name: str, parameters: Mapping, build: Build) -> Process:
    try:
        return build(name, dict(parameters))
    except ParameterError as error:
        raise ParameterError(f"{of_parameters}.{error}") from None
    except ProcessError as error:
        raise ParameterError(f"{where}: {error}") from None


def _check_mapping(where: str, value) -> None:
    if not isinstance(value, Mapping):
        raise ParameterError(f"{where} is {value!r}; it must be a mapping")


def _check_keys(where: str, part, allowed: Sequence[str]) -> None:
    _check_mapping(where, part)
    if unknown := sorted(set(part) - set(allowed), key=str):
        raise ParameterError(f"{where}.{unknown[0]} is unknown; allowed are {', '.join(allowed)}")
    if "process" not in part:
        raise ParameterError(f"{where}.process is missing")
