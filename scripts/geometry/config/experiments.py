"""From a configuration to validated experiments, before any work starts.

Every problem is one sentence: where, which key, its value, what is allowed.
"""

import math
from collections.abc import Iterable, Mapping, Set

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from geometry.config.checks import ConfigError, architectures_of, check_architecture, check_experiment, check_task
from geometry.config.language import check_keys, is_language_model, language_experiment
from geometry.config.literals import typed
from geometry.config.pretrained import pretrained_experiment, shape_in_files
from geometry.config.recorded import check_recorded, is_recorded, recorded_experiment
from geometry.config.seeds import all_seeds, seeds_problem
from geometry.networks.checkpoint_layouts import CheckpointError
from geometry.networks.hook_points import probed_sites
from geometry.networks.stored_arrays import RecordingError
from geometry.tasks.task import resolved_parameters, task_of

RENAMED = {
    "probe.joined": "'concatenated'",
    "probe.untrained": "'random_networks'",
    "probe.other_parameters": "'control_parameters'",
    "training.labels: tree": "'full_distribution'",
    "surgery": "analysis.surgery",
}
"""The present name for a former key, or for a former value of a key."""


def merged(base: Mapping, override: Mapping) -> dict:
    """`base` with the keys of `override` replaced, section by section; lists are replaced whole."""
    result = dict(base)
    for key, value in override.items():
        both = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        result[key] = merged(base[key], value) if both else value
    return result


def unquoted(value) -> str:
    """A hint at how YAML came to read a word as a boolean or null; of other values, nothing."""
    words = {True: "yes, on or true", False: "no, off or false", None: "null or ~"}
    if not isinstance(value, bool | None):
        return ""
    return f" (YAML reads an unquoted {words[value]} so; put a name in quotes, as in 'no'; null can be no name)"


def canonical(value, where: str = ""):
    """The same content in one form: keys sorted, whole numbers as integers (1.0 is 1); no key is a boolean or null."""
    if isinstance(value, Mapping):
        for key in value:
            if isinstance(key, bool | None):
                raise ConfigError(f"config: the key {key} at {where or 'the top level'} is no text{unquoted(key)}")
        return {str(key): canonical(value[key], f"{where}.{key}".lstrip(".")) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [canonical(item, where) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def canonical_config(config: Mapping, schema: Mapping) -> dict:
    """A configuration in canonical form, each text in it read as what the schema wants there; raises `ConfigError`."""
    experiment = schema["$defs"]["experiment"]
    experiments = {"type": "object", "additionalProperties": {**experiment, "type": ["object", "null"]}}
    properties = {**schema["properties"], "defaults": experiment, "experiments": experiments}
    try:
        return canonical(typed(config, {**schema, "properties": properties}))
    except RecursionError:
        raise ConfigError("config: it is nested too deep") from None


def resolve_experiments(config: Mapping, schema: Mapping) -> dict[str, dict]:
    """Each experiment of a canonical config merged with the defaults and checked; raises `ConfigError`."""
    check_schema(config, schema, "config")
    check_finite({key: value for key, value in config.items() if key not in ("defaults", "experiments")}, "config")
    experiments = {}
    for name, override in chosen_experiments(config).items():
        whole = merged(config["defaults"], override)
        where, schema_of_one = f"experiment {name!r}", {**schema["$defs"]["experiment"], "$schema": schema["$schema"]}
        check_schema(whole, schema_of_one, where)
        check_finite(whole, where)
        seeds = seeds_of_experiment(config, name)
        check_architecture(whole["model"], override.get("model", {}), where)
        training = {**whole["training"], "context": whole["training"]["context"] or whole["task"]["context"]}
        experiment = {**whole, "seeds": seeds, "model": of_its_architecture(whole["model"]), "training": training}
        try:
            check_keys(experiment["model"], override.get("model", {}))
            if is_language_model(experiment["model"]):
                task = check_task(experiment, where, config["tree"]["max_prefixes"])
                experiment = language_experiment(name, experiment, override, task)
            elif "activations" in experiment["model"]:
                experiment = recorded_experiment(experiment, override, all_seeds(seeds))
            elif "first_position" in experiment["task"]:
                raise ConfigError(
                    f"{where}: task.first_position is set, which only model.activations may have; remove it"
                )
            task = check_task(experiment, where, config["tree"]["max_prefixes"])
            if is_recorded(experiment):
                check_recorded(experiment, task)
            elif "checkpoint" in experiment["model"]:
                shape = shape_in_files(experiment, override, all_seeds(seeds), task)
                check_schema(merged(whole, {"model": shape}), schema_of_one, where)
                experiment = pretrained_experiment(merged(experiment, {"model": shape}))
        except (CheckpointError, RecordingError) as error:
            raise ConfigError(f"{where}: {error}") from None
        check_experiment(experiment, task, where, config["tree"]["max_prefixes"], float(config["memory_gb"]))
        experiment["task"]["parameters"] = resolved_parameters(experiment["task"])
        experiments[name] = canonical(experiment)
    check_figures(config["figures"], experiments, config["experiments"].keys() - experiments.keys())
    return experiments


def seeds_of_experiment(config: Mapping, name: str) -> list:
    """The seeds of one experiment: its own, or those of all without their own; raises `ConfigError`."""
    seeds = config["seeds"]
    if isinstance(seeds, Mapping):
        if unknown := sorted(seeds.keys() - config["experiments"].keys() - {"default"}):
            allowed = ", ".join(["default", *config["experiments"]])
            raise ConfigError(f"config: seeds names {unknown[0]!r}; allowed are {allowed}")
        seeds = seeds.get(name, seeds["default"])
    if problem := seeds_problem(seeds):
        raise ConfigError(f"experiment {name!r}: {problem}")
    return seeds


def of_its_architecture(model: Mapping) -> dict:
    """A model section without the keys that only other architectures have."""
    return {key: value for key, value in model.items() if model["architecture"] in architectures_of(key)}


def chosen_experiments(config: Mapping) -> dict[str, Mapping]:
    """Those that are neither null nor left out by `only`."""
    experiments = {name: override for name, override in config["experiments"].items() if override is not None}
    if not experiments:
        raise ConfigError("config: experiments is left with none; at least one must not be null")
    by_folder = {}
    for name in experiments:
        other = by_folder.setdefault(name.casefold(), name)
        if other != name:
            raise ConfigError(
                f"config: experiments has {other!r} and {name!r}, whose folders are one where the case of letters "
                "does not count (macOS, Windows); rename one, or set one to null"
            )
    only = config["only"] or list(experiments)
    for name in only:
        if name not in experiments:
            raise ConfigError(f"config: only names {name!r}; allowed are {', '.join(experiments)}")
    return {name: override for name, override in experiments.items() if name in only}


def check_schema(value: Mapping, schema: Mapping, where: str) -> None:
    """Raise the gravest breach of a JSON schema as a sentence."""
    error = best_match(Draft202012Validator(schema).iter_errors(value))
    if error is not None:
        raise ConfigError(f"{where}: {sentence(error)}")


def check_finite(value: Mapping, where: str) -> None:
    """Raise a number that is not finite; a process's own arrays are checked with the process."""
    for key, number in _numbers(value):
        if not math.isfinite(number) and not key.startswith("task.parameters"):
            raise ConfigError(f"{where}: {key} is {number}; it must be a finite number")


def _numbers(value, key: str = ""):
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _numbers(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _numbers(item, f"{key}[{place}]")
    elif isinstance(value, float):
        yield key, value


def present_names(former: str, allowed: Iterable) -> str:
    """The present name for a former key or value; all that are allowed for one that never was."""
    return f"it is now {RENAMED[former]}" if former in RENAMED else f"allowed are {', '.join(map(str, allowed))}"


def sentence(error: ValidationError) -> str:
    """A schema error in words: the key, its value and what is allowed."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    key = key.lstrip(".") or "the top level"
    value, allowed = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        unknown = min(set(value) - set(error.schema["properties"]), key=str)
        place = ".".join(map(str, [*error.absolute_path, unknown]))
        return f"unknown key {unknown!r} at {key}; {present_names(place, error.schema['properties'])}"
    if error.validator in ("required", "dependentRequired"):
        needed = allowed if isinstance(allowed, list) else [n for key in value for n in allowed.get(key, [])]
        return f"key {next(name for name in needed if name not in value)!r} is missing at {key}"
    if error.validator == "enum":
        return f"{key} is {value!r}; {present_names(f'{key}: {value}', allowed)}"
    if error.validator == "type":
        hint = unquoted(value) if "string" in allowed else ""
        types = allowed if isinstance(allowed, str) else " or ".join(allowed)
        return f"{key} is {value!r}, a {type(value).__name__}; it must be of type {types}{hint}"
    is_name = "seeds" not in error.absolute_path
    if error.validator == "pattern" and is_name:
        return (
            f"the name {value!r} at {key} must start with a letter, hold only letters, digits, _ and -, and be none of "
            "claims, default, figures, null, provenance, studies, tasks and workflow, in small letters or large"
        )
    bounds = {
        "pattern": "a seed, or a range of seeds such as 1-5",
        "minimum": f"at least {allowed}",
        "maximum": f"at most {allowed}",
        "exclusiveMinimum": f"greater than {allowed}",
        "exclusiveMaximum": f"less than {allowed}",
        "contains": f"a list that holds {allowed.get('const') if isinstance(allowed, dict) else ''}",
        "uniqueItems": "a list without repetitions",
        "minItems": f"a list of at least {allowed}",
        "minProperties": f"a mapping of at least {allowed}",
    }
    return f"{key} is {value!r}; it must be {bounds[error.validator]}"


def check_figures(figures: Mapping, experiments: Mapping[str, Mapping], left_out: Set[str]) -> None:
    """Raise a figure setting that names no experiment or no site; of an experiment that is left out none is drawn."""
    explainer = figures["explainer"]
    drawable = [name for name, experiment in experiments.items() if task_of(experiment["task"]).is_explainable]
    if explainer is not None and explainer not in {*drawable, *left_out}:
        raise ConfigError(
            f"config: figures.explainer is {explainer!r}; allowed are null and the experiments with three hidden "
            f"states and three tokens: {', '.join(drawable) or 'none in this study'}"
        )
    for name, site in figures["sites"].items():
        if name in left_out:
            continue
        if name not in experiments:
            raise ConfigError(f"config: figures.sites names {name!r}; allowed are {', '.join(experiments)}")
        sites = probed_sites(experiments[name])
        if site not in sites:
            raise ConfigError(f"config: figures.sites.{name} is {site!r}; allowed are {', '.join(sites)}")
