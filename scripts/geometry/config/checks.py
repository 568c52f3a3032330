"""What is wrong with one experiment's configuration that no schema can see.

Every problem is one sentence: where, which key, its value, what is allowed.
"""

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache

import numpy as np

from geometry.config.job_costs import count_at_most, peak_memory_gb
from geometry.networks.hook_points import STATES, chosen_sites, hook_point_names
from geometry.probing.cross_validation import FEWEST_FOLDS
from geometry.processes.belief_states import complete_tree, extend_beliefs
from geometry.processes.process import Process, ProcessError
from geometry.tasks.modular_arithmetic import CONTEXT, ModularArithmetic
from geometry.tasks.task import is_modular, other_process, process_of

PREFIXES_LOOKED_AT = 1_000
"""How far a task's tree is grown while its configuration is checked."""

PREFIXES_PER_FEATURE = 10
"""Rows for each regressor that make a linear regression steady, by a rule of thumb (Harrell 2015)."""

CONSTANT = 1e-9
"""Belief states closer than this are the same."""


ARCHITECTURES = ["transformer", *STATES]

ONLY_OF = {
    "transformer": ["n_heads", "d_head", "d_mlp", "activation", "normalization", "biases", "checkpoint", "format"],
    "kuramoto": ["oscillator_dim", "kuramoto_steps", "coupled"],
}
"""Keys of the model section that no other architecture has."""


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
    if architecture == "kuramoto":
        if model["n_layers"] != 1:
            raise ConfigError(f"{where}: model.n_layers is {model['n_layers']}; the architecture kuramoto needs 1")
        if model["d_model"] % model["oscillator_dim"]:
            raise ConfigError(
                f"{where}: model.d_model is {model['d_model']}; it must be a multiple of model.oscillator_dim, "
                f"{model['oscillator_dim']}"
            )


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


def probe_caution(experiment: Mapping, max_prefixes: int) -> str | None:
    """What is said of a task with too few prefixes for what is regressed on the activations after them; or None."""
    task, probe, n_features = experiment["task"], experiment["probe"], experiment["model"]["d_model"]
    needed = PREFIXES_PER_FEATURE * n_features
    few = not is_modular(task) and complete_tree(process_of(task), task["context"], needed)
    n_prefixes = min(len(few) if few else needed, max_prefixes)
    if is_modular(task) or n_prefixes >= needed:
        return None
    return (
        f"the probe has {n_prefixes} prefixes for {n_features} features of a site and should have {needed}: its scores "
        "hang on how the folds fall. A longer task.context, a smaller model.d_model or more draws of the folds "
        f"(probe.repeats, now {probe['repeats']}) make them steadier."
    )


def check_other_process(task: Mapping, process: Process, parameters: Mapping, where: str) -> None:
    """Raise other parameters that are none of the process, or that rule out what it emits."""
    try:
        other = other_process(task, parameters)
    except ProcessError as error:
        hint = "set it to null where it was meant for another process"
        raise ConfigError(f"{where}: probe.control_parameters: {error}; {hint}") from None
    if other is None:
        return
    same_size = other.transition_tensor.shape == process.transition_tensor.shape
    if not same_size or ((process.transition_tensor != 0) & (other.transition_tensor == 0)).any():
        raise ConfigError(
            f"{where}: probe.control_parameters is {dict(parameters)}; they must give a process with the same states, "
            "tokens and possible transitions"
        )
    if np.allclose(other.transition_tensor, process.transition_tensor):
        raise ConfigError(
            f"{where}: probe.control_parameters is {dict(parameters)}, which gives the task's own process; "
            "it must give another, or be null"
        )


def check_task(experiment: Mapping, where: str) -> Process | ModularArithmetic:
    """The process of an experiment; raises an impossible one, one without geometry, and too few prefixes."""
    task = experiment["task"]
    try:
        process = process_of(task)
        if is_modular(task):
            return process
        n_prefixes, spread = look_at_prefixes(process, task["context"])
    except ProcessError as error:
        raise ConfigError(f"{where}: task.process: {error}") from None
    if spread < CONSTANT:
        raise ConfigError(f"{where}: task.process: {process.name}: every prefix leads to the same belief state")
    check_other_process(task, process, experiment["probe"]["control_parameters"] or {}, where)
    if n_prefixes < FEWEST_FOLDS:
        raise ConfigError(
            f"{where}: task.context is {task['context']}, up to which {process.name} has {n_prefixes} prefixes; "
            f"holding them out needs at least {FEWEST_FOLDS}, so it must be greater"
        )
    return process


def check_modular(experiment: Mapping, task: ModularArithmetic, where: str, max_prefixes: int) -> None:
    """Raise what does not go with modular arithmetic, whose analysis is of one kind of network."""
    needed = {
        "task.context": (CONTEXT, "the tokens a, b and ="),
        "model.architecture": ("transformer", "whose circuit the analysis is of"),
        "model.n_layers": (1, "whose circuit the analysis is of"),
        "model.normalization": ("none", "whose circuit the analysis is of"),
        "model.activation": ("relu", "whose circuit the analysis is of"),
        "model.bos": (False, "as words begin with a number"),
        "training.labels": ("full_distribution", "every pair that is trained on, at each step"),
        "probe.control_parameters": (None, "as no observer mistakes the modulus"),
    }
    for key, (value, reason) in needed.items():
        section, name = key.split(".")
        found = experiment.get(section, {}).get(name, value)  # a checkpoint comes without training
        if found != value:
            raise ConfigError(f"{where}: {key} is {found!r}; {task.name} needs {_as_yaml(value)}, {reason}")
    if task.n_prefixes > max_prefixes:
        raise ConfigError(
            f"{where}: task.parameters.modulus is {task.modulus}, which gives {task.n_prefixes} prefixes; "
            f"tree.max_prefixes allows {max_prefixes}"
        )


def _as_yaml(value) -> str:
    return {None: "null", False: "false"}.get(value, str(value))


def check_experiment(
    experiment: Mapping, process: Process | ModularArithmetic, where: str, max_prefixes: int, memory_gb: float
) -> None:
    """Raise what a schema cannot see: too many folds or prefixes, unknown sites, too much memory."""
    task, probe, training = experiment["task"], experiment["probe"], experiment.get("training")  # none of a checkpoint
    if training and experiment["model"].get("activation") == "gelu_new":
        raise ConfigError(
            f"{where}: model.activation is 'gelu_new', which only a checkpoint may have; allowed are relu, gelu"
        )
    if is_modular(task):
        check_modular(experiment, process, where, max_prefixes)
    elif training and training["labels"] == "full_distribution" and not fits(process, task["context"], max_prefixes):
        raise ConfigError(
            f"{where}: training.labels is 'full_distribution' and needs every prefix up to task.context "
            f"{task['context']}; "
            f"these are more than tree.max_prefixes, {max_prefixes}"
        )
    names = hook_point_names(experiment["model"])
    anywhere = [{**experiment["model"], "architecture": other, "normalization": "LN"} for other in ARCHITECTURES]
    known = {name for model in anywhere for name in hook_point_names(model)}
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
            f"{where}: task.context {task['context']} with {batch}tree.max_prefixes {max_prefixes} "
            f"needs about {needed:.1f} GB; memory_gb allows {memory_gb:g}"
        )
