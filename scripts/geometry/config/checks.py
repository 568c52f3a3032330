"""Checks of one experiment's configuration beyond its schema.

Every problem is one sentence: where, which key, its value, what is allowed.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import yaml

from geometry.config.job_costs import peak_memory_gb
from geometry.networks.hook_points import STATES, chosen_sites, hook_point_names
from geometry.probing.cross_validation import FEWEST_FOLDS
from geometry.processes.process import ParameterError, ProcessError
from geometry.tasks.base import Task, TaskError
from geometry.tasks.task import task_of

PREFIXES_PER_FEATURE = 10
"""Rows for each regressor that make a linear regression steady, by a rule of thumb (Harrell 2015)."""

FEWEST_TOKENS = 3
"""The shortest context whose attention is compared by its decay, the last position of a pretrained network left out."""

ARCHITECTURES = ["transformer", *STATES]

TRAINED_ACTIVATIONS = ["relu", "gelu"]

ONLY_OF = {
    "transformer": ["n_heads", "d_head", "d_mlp", "activation", "normalization", "biases", "checkpoint", "format"],
    "kuramoto": ["oscillator_dim", "kuramoto_steps", "coupled"],
    "selective_ssm": ["d_state"],
}
"""Keys of the model section that no other architecture has."""

DIVISORS = {"kuramoto": "oscillator_dim", "selective_ssm": "d_state"}
"""The key of the model section that must divide d_model, by architecture."""


class ConfigError(ValueError):
    """A configuration that cannot be run; the message is one sentence."""


def architectures_of(key: str) -> list[str]:
    """The architectures that have a key of the model section."""
    return [name for name, keys in ONLY_OF.items() if key in keys] or ARCHITECTURES


def check_architecture(model: Mapping, own: Mapping, where: str) -> None:
    """Raise what a model's architecture does not have, if the experiment's `own` section asks for it, or cannot be."""
    architecture = model["architecture"]
    for key, value in own.items():
        if architecture not in architectures_of(key):
            only = " or ".join(architectures_of(key))
            raise ConfigError(
                f"{where}: model.{key} is {value!r}, which only the architecture {only} has; "
                f"model.architecture is {architecture!r}"
            )
    if architecture == "kuramoto" and model["n_layers"] != 1:
        raise ConfigError(f"{where}: model.n_layers is {model['n_layers']}; the architecture kuramoto needs 1")
    divisor = DIVISORS.get(architecture)
    if divisor and model["d_model"] % model[divisor]:
        raise ConfigError(
            f"{where}: model.d_model is {model['d_model']}; it must be a multiple of model.{divisor}, {model[divisor]}"
        )


def probe_caution(experiment: Mapping, max_prefixes: int) -> str | None:
    """The caution about a task with too few prefixes for a regression on the activations after them; or None."""
    n_features, repeats = experiment["model"]["d_model"], experiment["probe"]["repeats"]
    max_prefixes = min(max_prefixes, experiment.get("recording", {}).get("n_positions", max_prefixes))
    needed = PREFIXES_PER_FEATURE * n_features
    n_prefixes = task_of(experiment["task"]).n_prefixes_if_fewer(needed, max_prefixes)
    if n_prefixes is None:
        return None
    return (
        f"the probe has {n_prefixes} prefixes for {n_features} features of a site and "
        f"should have {needed}: its scores depend on the draw of the folds. A longer task.context, a smaller "
        f"model.d_model or more draws of the folds (probe.repeats, now {repeats}) make them steadier."
    )


def check_task(experiment: Mapping, where: str, max_prefixes: int) -> Task:
    """The task of an experiment; raises one that cannot be, or cannot be probed, and impossible control parameters."""
    try:
        task = task_of(experiment["task"])
        task.check(FEWEST_FOLDS, max_prefixes)
        if control := experiment["probe"]["control_parameters"]:
            task.check_control_parameters(control)
    except ParameterError as error:
        raise ConfigError(f"{where}: task.parameters.{error}") from None
    except ProcessError as error:
        raise ConfigError(f"{where}: task.process: {error}") from None
    except TaskError as error:
        raise ConfigError(f"{where}: {error}") from None
    return task


def check_required_settings(experiment: Mapping, task: Task, where: str) -> None:
    """Raise a setting that the analysis of a task is not made for."""
    for key, (value, reason) in task.required_settings.items():
        section, name = key.split(".")
        found = experiment.get(section, {}).get(name, value)  # a checkpoint comes without training
        if found != value:
            as_yaml = yaml.safe_dump(value).split("\n")[0]
            raise ConfigError(f"{where}: {key} is {found!r}; {task.name} needs {as_yaml}, {reason}")


def check_variant(model: Mapping, task: Task, is_trained: bool, where: str) -> None:
    """Raise a variant of the transformer that only a checkpoint may be, or that the analysis of a task is not for."""
    activation = model.get("activation", "relu")
    if is_trained and activation not in TRAINED_ACTIVATIONS:
        raise ConfigError(
            f"{where}: model.activation is {activation!r}, which only a checkpoint may have; allowed are "
            f"{', '.join(TRAINED_ACTIVATIONS)}"
        )
    if is_trained and model.get("d_mlp") == 0:
        raise ConfigError(f"{where}: model.d_mlp is 0, which only a checkpoint may have; it must be at least 1")
    if model.get("d_mlp") == 0 and "measure_circuit" in task.analyses.rules:
        raise ConfigError(f"{where}: model.checkpoint has no MLP; {task.name} needs one, whose neurons are analysed")


def check_attention(experiment: Mapping, task: Task, where: str) -> None:
    """Raise an experiment that asks for its attention to be compared with constrained updates, and has none of both."""
    if not experiment["attention"]:
        return
    architecture = experiment["model"]["architecture"]
    if architecture != "transformer":
        raise ConfigError(
            f"{where}: attention is true, which needs a transformer; model.architecture is {architecture!r}"
        )
    if experiment["model"]["d_mlp"] == 0:
        raise ConfigError(f"{where}: attention is true, which needs an MLP behind it; model.checkpoint has none")
    if task.analyses.with_attention is None:
        raise ConfigError(
            f"{where}: attention is true, which needs a hidden Markov model; task.process is {task.name!r}"
        )
    if task.context < FEWEST_TOKENS:
        raise ConfigError(
            f"{where}: attention is true, which needs a task.context of at least {FEWEST_TOKENS}; it is {task.context}"
        )


def check_trained_context(experiment: Mapping, task: Task, where: str, max_prefixes: int) -> None:
    """Raise a trained context that its task or architecture has not, or with more prefixes than one batch may have."""
    training, architecture = experiment["training"], experiment["model"]["architecture"]
    context, key = training["context"], "training.context"
    if context > task.context:
        raise ConfigError(
            f"{where}: {key} is {context}; it must be at most task.context, {task.context}, which is scored"
        )
    if context < task.context and architecture == "transformer":
        raise ConfigError(
            f"{where}: {key} is {context} and task.context {task.context}, which only a recurrent network may have: a "
            "transformer learns a vector for each position, and none beyond its trained context"
        )
    trained = task_of({**experiment["task"], "context": context})
    if training["labels"] == "full_distribution" and not trained.has_every_prefix(max_prefixes):
        raise ConfigError(
            f"{where}: training.labels is 'full_distribution' and needs every prefix up to "
            f"{key if context < task.context else 'task.context'} {context}; these are more than tree.max_prefixes, "
            f"{max_prefixes}"
        )


def check_experiment(experiment: Mapping, task: Task, where: str, max_prefixes: int, memory_gb: float) -> None:
    """Raise what a schema cannot see: a setting the task does not go with, unknown sites, too much memory."""
    probe, training = experiment["probe"], experiment.get("training")  # none of a checkpoint
    check_variant(experiment["model"], task, bool(training), where)
    check_required_settings(experiment, task, where)
    check_attention(experiment, task, where)
    if training:
        check_trained_context(experiment, task, where, max_prefixes)
    names = hook_point_names(experiment["model"])
    every = {**experiment["model"], "normalization": "LN", "d_mlp": 1}
    anywhere = [{**every, "architecture": other} for other in ARCHITECTURES]
    known = {*names} | {name for model in anywhere for name in hook_point_names(model)}
    for key in ("sites", "concatenated"):
        for pattern in probe[key]:  # one that is of another architecture does no harm
            if not any(fnmatchcase(name, pattern) for name in known):
                raise ConfigError(f"{where}: probe.{key} has {pattern!r}, which matches none of {', '.join(names)}")
    if not chosen_sites(experiment["model"], probe):
        raise ConfigError(f"{where}: probe.sites is {probe['sites']!r}, which matches none of {', '.join(names)}")
    needed = peak_memory_gb(experiment, max_prefixes)
    if needed > memory_gb:
        batch = f"training.batch_size {training['batch_size']} and " if training else ""
        raise ConfigError(
            f"{where}: task.context {task.context} with {batch}tree.max_prefixes {max_prefixes} "
            f"needs about {needed:.1f} GB; memory_gb allows {memory_gb:g}"
        )
