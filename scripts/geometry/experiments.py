"""From a configuration to validated experiments, before any work starts.

Every problem is one sentence: where, which key, its value, what is allowed.
"""

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

import numpy as np
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from geometry.checkpoints import CheckpointError
from geometry.foreign import foreign_experiment, shape_in_files
from geometry.memory import count_at_most, peak_memory_gb
from geometry.modular import CONTEXT, ModularArithmetic
from geometry.prefixes import complete_tree, extend_beliefs
from geometry.process import Process, ProcessError
from geometry.sites import chosen_sites, hook_point_names, probed_sites
from geometry.tasks import is_modular, other_process, process_of, resolved_parameters

PREFIXES_LOOKED_AT = 1_000
"""How far a task's tree is grown while its configuration is checked."""

CONSTANT = 1e-9
"""Belief states closer than this are the same."""

MOST_CELLS = 128
"""How many cells of prefixes the repeated folds may cut; the probe holds second moments of each."""


class ConfigError(ValueError):
    """A configuration that cannot be run; the message is one sentence."""


def merged(base: Mapping, override: Mapping) -> dict:
    """`base` with the keys of `override` replaced, section by section; lists are replaced whole."""
    result = dict(base)
    for key, value in override.items():
        both = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        result[key] = merged(base[key], value) if both else value
    return result


def canonical(value):
    """The same content in one form: keys sorted, whole numbers as integers (1.0 is 1)."""
    if isinstance(value, Mapping):
        return {str(key): canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def resolve_experiments(config: Mapping, schema: Mapping) -> dict[str, dict]:
    """Each experiment of a canonical config merged with the defaults and checked; raises `ConfigError`."""
    check_schema(config, schema, "config")
    check_finite({key: value for key, value in config.items() if key not in ("defaults", "experiments")}, "config")
    experiments = {}
    for name, override in config["experiments"].items():
        if override is None:  # a study leaves out an experiment of config.yaml by setting it to null
            continue
        experiment = merged(config["defaults"], override)
        where, schema_of_one = f"experiment {name!r}", {**schema["$defs"]["experiment"], "$schema": schema["$schema"]}
        check_schema(experiment, schema_of_one, where)
        check_finite(experiment, where)
        process = check_task(experiment, where)
        if "checkpoint" in experiment["model"]:
            try:
                shape = shape_in_files(experiment, override, config["seeds"], process.n_tokens)
            except CheckpointError as error:
                raise ConfigError(f"{where}: {error}") from None
            experiment = merged(experiment, {"model": shape})
            check_schema(experiment, schema_of_one, where)
            experiment = foreign_experiment(experiment)
        check_experiment(experiment, process, where, config["tree"]["max_prefixes"], float(config["memory_gb"]))
        experiment["task"]["parameters"] = resolved_parameters(experiment["task"])
        experiments[name] = canonical(experiment)
    if not experiments:
        raise ConfigError("config: experiments is left with none; at least one must not be null")
    check_figures(config["figures"], experiments)
    return experiments


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


def sentence(error: ValidationError) -> str:
    """What a schema error means: the key, its value and what is allowed."""
    key = ".".join(str(part) for part in error.absolute_path) or "the top level"
    value, allowed = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        unknown = sorted(set(value) - set(error.schema["properties"]))[0]
        return f"unknown key {unknown!r} at {key}; allowed are {', '.join(error.schema['properties'])}"
    if error.validator in ("required", "dependentRequired"):
        needed = allowed if isinstance(allowed, list) else [n for key in value for n in allowed.get(key, [])]
        return f"key {next(name for name in needed if name not in value)!r} is missing at {key}"
    if error.validator == "enum":
        return f"{key} is {value!r}; allowed are {', '.join(map(str, allowed))}"
    if error.validator == "type":
        hint = " (YAML reads 1e-3 as text: write 1.0e-3)" if isinstance(value, str) and "number" in allowed else ""
        types = allowed if isinstance(allowed, str) else " or ".join(allowed)
        return f"{key} is {value!r}, a {type(value).__name__}; it must be of type {types}{hint}"
    if error.validator == "pattern":
        return (
            f"the name {value!r} at {key} must start with a letter, hold only letters, digits, _ and -, "
            "and be none of figures, provenance, tasks and workflow"
        )
    bounds = {
        "minimum": f"at least {allowed}",
        "maximum": f"at most {allowed}",
        "exclusiveMinimum": f"greater than {allowed}",
        "exclusiveMaximum": f"less than {allowed}",
        "uniqueItems": "a list without repetitions",
        "minItems": f"a list of at least {allowed}",
        "minProperties": f"a mapping of at least {allowed}",
    }
    return f"{key} is {value!r}; it must be {bounds[error.validator]}"


def check_task(experiment: Mapping, where: str) -> Process | ModularArithmetic:
    """The process of an experiment; raises an impossible one, one without geometry, and more folds than prefixes."""
    task, folds = experiment["task"], experiment["probe"]["folds"]
    try:
        process = process_of(task)
        if is_modular(task):
            check_modular(experiment, process, where)
            return process
        n_prefixes, spread = look_at_prefixes(process, task["context"])
    except ProcessError as error:
        raise ConfigError(f"{where}: task.process: {error}") from None
    if spread < CONSTANT:
        raise ConfigError(f"{where}: task.process: {process.name}: every prefix leads to the same belief state")
    check_other_process(task, process, experiment["probe"]["other_parameters"] or {}, where)
    if n_prefixes < 2 * folds:
        raise ConfigError(
            f"{where}: probe.folds is {folds} and needs at least {2 * folds} prefixes; "
            f"the task has {n_prefixes} up to task.context {task['context']}"
        )
    return process


def check_modular(experiment: Mapping, task: ModularArithmetic, where: str) -> None:
    """Raise what does not go with modular arithmetic: it is three tokens, and its analysis is of one kind of network."""
    needed = {
        "task.context": (CONTEXT, "the tokens a, b and ="),
        "model.n_layers": (1, "whose circuit the analysis is of"),
        "model.normalization": ("none", "whose circuit the analysis is of"),
        "model.activation": ("relu", "whose circuit the analysis is of"),
        "model.bos": (False, "as words begin with a number"),
        "training.labels": ("tree", "every pair that is trained on, at each step"),
        "probe.other_parameters": (None, "as no observer mistakes the modulus"),
    }
    for key, (value, reason) in needed.items():
        section, name = key.split(".")
        found = experiment[section][name]
        if found != value:
            raise ConfigError(f"{where}: {key} is {found!r}; {task.name} needs {_as_yaml(value)}, {reason}")
    folds = experiment["probe"]["folds"]
    if task.modulus < 2 * folds:
        raise ConfigError(
            f"{where}: probe.folds is {folds} and holds numbers out; it needs a modulus of at least {2 * folds}, "
            f"and task.parameters.modulus is {task.modulus}"
        )


def _as_yaml(value) -> str:
    return {None: "null", False: "false"}.get(value, value)


def check_experiment(
    experiment: Mapping, process: Process | ModularArithmetic, where: str, max_prefixes: int, memory_gb: float
) -> None:
    """Raise what a schema cannot see: too many folds or prefixes, unknown sites, too much memory."""
    task, probe, training = experiment["task"], experiment["probe"], experiment.get("training")  # none of a checkpoint
    if probe["folds"] ** probe["repeats"] > MOST_CELLS:
        raise ConfigError(
            f"{where}: probe.folds {probe['folds']} to the power of probe.repeats {probe['repeats']} "
            f"must be at most {MOST_CELLS}"
        )
    if training and experiment["model"]["activation"] == "gelu_new":
        raise ConfigError(
            f"{where}: model.activation is 'gelu_new', which only a checkpoint may have; allowed are relu, gelu"
        )
    if is_modular(task) and process.n_prefixes > max_prefixes:
        raise ConfigError(
            f"{where}: task.parameters.modulus is {process.modulus}, which gives {process.n_prefixes} prefixes; "
            f"tree.max_prefixes allows {max_prefixes}"
        )
    if (
        training
        and not is_modular(task)
        and training["labels"] == "tree"
        and not fits(process, task["context"], max_prefixes)
    ):
        raise ConfigError(
            f"{where}: training.labels is 'tree' and needs every prefix up to task.context {task['context']}; "
            f"these are more than tree.max_prefixes, {max_prefixes}"
        )
    names = hook_point_names(experiment["model"])
    known = hook_point_names({**experiment["model"], "normalization": "LN"})
    for pattern in probe["sites"]:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise ConfigError(f"{where}: probe.sites has {pattern!r}, which matches none of {', '.join(names)}")
    if not chosen_sites(experiment["model"], probe):
        raise ConfigError(f"{where}: probe.sites is {probe['sites']!r}, which matches none of {', '.join(names)}")
    needed = peak_memory_gb(experiment, process, max_prefixes)
    if needed > memory_gb:
        batch = f"training.batch_size {training['batch_size']} and " if training else ""
        raise ConfigError(
            f"{where}: task.context {task['context']} with {batch}tree.max_prefixes {max_prefixes} "
            f"needs about {needed:.1f} GB; memory_gb allows {memory_gb:g}"
        )


def check_other_process(task: Mapping, process: Process, parameters: Mapping, where: str) -> None:
    """Raise other parameters that are none of the process, or that rule out what it emits."""
    try:
        other = other_process(task, parameters)
    except ProcessError as error:
        hint = "set it to null where it was meant for another process"
        raise ConfigError(f"{where}: probe.other_parameters: {error}; {hint}") from None
    if other is None:
        return
    same_size = other.transition_tensor.shape == process.transition_tensor.shape
    if not same_size or ((process.transition_tensor != 0) & (other.transition_tensor == 0)).any():
        raise ConfigError(
            f"{where}: probe.other_parameters is {dict(parameters)}; they must give a process with the same states, "
            "tokens and possible transitions"
        )
    if np.allclose(other.transition_tensor, process.transition_tensor):
        raise ConfigError(
            f"{where}: probe.other_parameters is {dict(parameters)}, which gives the task's own process; "
            "it must give another, or be null"
        )


def check_figures(figures: Mapping, experiments: Mapping[str, Mapping]) -> None:
    """Raise a figure setting that names no experiment or no site."""
    explainer = figures["explainer"]
    drawable = [name for name, experiment in experiments.items() if _is_triangular(process_of(experiment["task"]))]
    if explainer is not None and explainer not in drawable:
        raise ConfigError(
            f"config: figures.explainer is {explainer!r}; allowed are null and the experiments with three hidden "
            f"states and three tokens: {', '.join(drawable) or 'none in this study'}"
        )
    for name, site in figures["sites"].items():
        if name not in experiments:
            raise ConfigError(f"config: figures.sites names {name!r}; allowed are {', '.join(experiments)}")
        sites = probed_sites(experiments[name])
        if site not in sites:
            raise ConfigError(f"config: figures.sites.{name} is {site!r}; allowed are {', '.join(sites)}")


def _is_triangular(process: Process | ModularArithmetic) -> bool:
    return isinstance(process, Process) and process.n_states == process.n_tokens == 3 and not process.generalized


@cache
def look_at_prefixes(process: Process, context: int) -> tuple[int | float, float]:
    """How many prefixes a task has, infinity if more than thousands; and how far their beliefs spread.

    Raises `ProcessError` where these show a negative probability.
    """
    belief, n_prefixes = process.initial_state[None], 0
    lowest, highest = np.full(process.n_states, np.inf), np.full(process.n_states, -np.inf)
    for _ in range(context):
        _, _, _, belief = extend_beliefs(process, belief)
        lowest, highest = np.minimum(lowest, belief.min(axis=0)), np.maximum(highest, belief.max(axis=0))
        n_prefixes += len(belief)
        if n_prefixes > PREFIXES_LOOKED_AT or len(belief) * process.n_tokens > 20 * PREFIXES_LOOKED_AT:
            n_prefixes = math.inf
            break
    return n_prefixes, float((highest - lowest).max())


def fits(process: Process, context: int, max_prefixes: int) -> bool:
    """Whether all prefixes are at most so many; grown only where counting words does not tell."""
    few_words = count_at_most(process.n_tokens, context, max_prefixes) < max_prefixes
    return few_words or complete_tree(process, context, max_prefixes) is not None
