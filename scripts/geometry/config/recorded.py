"""Experiments on recordings: activations in a file that somebody else made, from whose headers their sizes are read."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from geometry.config.pretrained import checkpoint_runs
from geometry.config.seeds import all_seeds
from geometry.networks.hook_points import RECORDED, concatenated_sites, is_layer_output
from geometry.networks.recorded_prefixes import MOST_COLUMNS, n_columns_read
from geometry.networks.recording import Recording, RecordingError
from geometry.tasks.base import Analyses, Task
from geometry.tasks.task import task_of

LONGEST_CONTEXT = 1024

FROM_THE_START = {"recover_process", "score_recovery", "find_symmetries"}
"""Rules that need predictions after all prefixes, the shortest ones too."""


SHARED = ("sites", "n_features", "n_sequences", "n_positions", "has_predictions", "has_random_network", "all_predict")
"""What all recordings of an experiment must have in common."""


def is_recorded(experiment: Mapping) -> bool:
    """True if the activations of an experiment are read from a file."""
    return "recording" in experiment


def sampled_seeds(experiment: Mapping) -> list[int]:
    """The seeds of an experiment, if each is a sample of words that one language model reads; else none."""
    return all_seeds(experiment["seeds"]) if "language" in experiment else []


def tasks_of(experiment: Mapping) -> list[Mapping]:
    """The task sections of an experiment: one or, where each seed has words of its own, one for each of these."""
    task, seeds = experiment["task"], sampled_seeds(experiment)
    paths = checkpoint_runs(experiment["recording"]["path"], seeds) if seeds else {}
    return [{**task, "recording": path} for path in paths.values()] or [task]


def recordings_of(experiment: Mapping, seeds: list[int]) -> dict[str, Recording]:
    """The recordings of an experiment by path, whose headers must fit each other; raises `RecordingError`."""
    found = {}
    for path in checkpoint_runs(experiment["model"]["activations"], seeds, "activations").values():
        try:
            if Path(path).resolve().is_relative_to(Path("results").resolve()):  # Snakemake deletes what it makes again
                raise RecordingError("it is under results/, whose files come and go; copy it to another folder")
            found[path] = Recording(path)
            first_path, first = next(iter(found.items()))
            for what in SHARED:
                own, others = getattr(found[path], what), getattr(first, what)
                if own != others:
                    raise RecordingError(f"its {what} is {own}; it must be {others}, as of {first_path!r}")
        except RecordingError as error:
            raise RecordingError(f"model.activations {path!r}: {error}") from None
    return found


def recorded_experiment(experiment: Mapping, override: Mapping, seeds: list[int]) -> dict:
    """The experiment with the sizes in its files in place of a network's; raises `RecordingError`."""
    own = override.get("model", {})
    if others := sorted(own.keys() - {"activations"}):
        raise RecordingError(f"model.{others[0]} is {own[others[0]]!r}, but of model.activations no network is known")
    if "training" in override:
        raise RecordingError("training is set, but the network of model.activations is not trained here; remove it")
    path, recording = next(iter(recordings_of(experiment, seeds).items()))
    return experiment_on(recording, path, experiment["model"]["activations"], experiment, override)


def experiment_on(recording, path: str, pattern: str, experiment: Mapping, override: Mapping) -> dict:
    """The experiment on a recording, or a planned one, at a path; with ``{seed}`` in it, a pattern is of several."""
    task = {**experiment["task"], "recording": path, "first_position": experiment["task"].get("first_position", 1)}
    task["context"] = override.get("task", {}).get("context", recording.n_positions)
    if not task["context"] <= min(recording.n_positions, LONGEST_CONTEXT):
        raise RecordingError(
            f"task.context is {task['context']}; it must be at most {min(recording.n_positions, LONGEST_CONTEXT)}: "
            f"{path!r} has {recording.n_positions} positions, of which later ones are left out"
        )
    if task["first_position"] > task["context"]:
        raise RecordingError(
            f"task.first_position is {task['first_position']}; it must be at most {task['context']}, the last position"
        )
    layers = list(filter(is_layer_output, recording.sites))
    width = n_columns_read(recording.n_features)
    model = {"architecture": RECORDED, "sites": recording.sites, "n_layers": len(layers) or 1, "d_model": width}
    probe = {**experiment["probe"]}
    if "sites" not in override.get("probe", {}):
        probe["sites"] = ["*"]
    if "concatenated" not in override.get("probe", {}):
        parts = concatenated_sites(recording.sites, probe) or layers
        probe["concatenated"] = parts if len(parts) * width <= MOST_COLUMNS else []
    return {
        "seeds": experiment["seeds"],
        "task": task,
        "model": model | {"bos": False},
        "probe": probe,
        "attention": experiment["attention"],
        "recording": {
            "path": pattern,
            "n_positions": recording.n_sequences * task["context"],
            "n_tokens": recording.n_tokens,
            "n_features": recording.n_features,
            "has_random_network": recording.has_random_network,
            "all_predict": recording.all_predict,
        },
    }


def check_recorded(experiment: Mapping, task: Task) -> None:
    """Raise a `RecordingError` for a task that a recording cannot be of."""
    n_tokens, path = experiment["recording"]["n_tokens"], experiment["recording"]["path"]
    if task.kind != "markov":
        raise RecordingError(f"model.activations needs a hidden Markov model; task.process is {task.name!r}")
    if n_tokens not in (None, task.n_tokens):
        raise RecordingError(
            f"model.activations {path!r}: 'log_probability' is of {n_tokens} tokens; the task has {task.n_tokens}"
        )
    if experiment["attention"]:
        raise RecordingError("attention is true, which needs a network; of model.activations none is known")


def analyses_of_recording(analyses: Analyses, experiment: Mapping) -> Analyses:
    """Those analyses that need no more than a recording has; figures that compare need a random network."""
    from_start = experiment["task"]["first_position"] == 1
    can_recover = from_start and experiment["recording"]["all_predict"]
    left_out = {"steer_network", "steering", "measure_dimension", "dimension", "emergence", "loss"}
    if not can_recover:
        left_out |= {*FROM_THE_START, "recovery", "symmetry"}
    if not from_start:
        left_out |= {"measure_subspaces", "subspaces", "measure_convergence", "convergence"}
    if not experiment["recording"]["has_random_network"]:
        left_out |= {"measure_distances", "distances", "measure_components", "components"}
        left_out |= {"measure_convergence", "convergence", "subspaces", "recovery", "symmetry"}
    parts = ("every_network", "runs", "first_run", "over_training", "figures", "animations")
    retained = {part: tuple(one for one in getattr(analyses, part) if one not in left_out) for part in parts}
    return replace(analyses, **retained, with_attention=None)


def analyses_of(experiment: Mapping) -> Analyses:
    """The rules and figures of an experiment besides those of all experiments, with its attention if it asks for it."""
    analyses = task_of(experiment["task"]).analyses
    if is_recorded(experiment):
        return analyses_of_recording(analyses, experiment)
    return analyses.with_attention if experiment["attention"] else analyses
