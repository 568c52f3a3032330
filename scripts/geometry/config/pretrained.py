"""Experiments on pretrained networks, whose shape is read from their files."""

import math
from collections.abc import Mapping
from pathlib import Path

from geometry.networks.checkpoint_file import (
    check_outputs,
    check_shapes,
    check_task,
    describe,
    network_parameters,
    read,
)
from geometry.networks.checkpoint_layouts import CheckpointError
from geometry.tasks.base import Task

PLACEHOLDER = "{seed}"
"""The part of a path that stands for the seed of each of several networks."""

LOOKED_AT = 25_000_000
"""Numbers in a file, all of which are looked at while a study is planned; of a larger one, when it is imported."""

UNUSUAL = {"nanogpt": "gelu of nanoGPT, gelu_new of GPT-2"}
"""Formats of networks whose activation function is never the default."""

SIZES = ("n_layers", "n_heads", "d_model", "d_head", "d_mlp")


def is_pretrained(experiment: Mapping) -> bool:
    """True if an experiment is on a network that is not trained here."""
    return "checkpoint" in experiment


def checkpoint_runs(path: str, seeds: list[int], key: str = "checkpoint") -> dict[str, str]:
    """The file of each run: one, or one for each seed where the path, under that key, has a place for it."""
    if any(brace in path.replace(PLACEHOLDER, "") for brace in "{}"):
        raise CheckpointError(f"model.{key} is {path!r}; of braces only {PLACEHOLDER} is allowed")
    if PLACEHOLDER not in path:
        return {"pretrained": path}
    return {f"seed_{seed}": path.replace(PLACEHOLDER, str(seed)) for seed in seeds}


def shape_in_file(path: str, experiment: Mapping, stated: Mapping, task: Task) -> dict[str, int]:
    """The sizes of the network in a file, which must be one that the task can be shown to."""
    model, context, layout = experiment["model"], task.context, (experiment["model"]["format"], stated.get("n_heads"))
    try:
        shapes = describe(path, *layout)
        sizes = check_shapes(shapes, model["normalization"])
        check_task(sizes, task.n_tokens, context, model["bos"])
        check_outputs(shapes, sizes, model["bos"] or not task.predicts_every_token)
        if Path(path).resolve().is_relative_to(Path("results").resolve()):  # Snakemake deletes what it makes again
            raise CheckpointError("it is under results/, whose files come and go; copy it to another folder")
        if sum(map(math.prod, shapes.values())) <= LOOKED_AT:
            network_parameters(read(path, *layout), context + model["bos"], model["normalization"])
    except CheckpointError as error:
        raise CheckpointError(f"model.checkpoint {path!r}: {error}") from None
    return {name: sizes[name] for name in SIZES}


def shape_in_files(experiment: Mapping, override: Mapping, seeds: list[int], task: Task) -> dict[str, int]:
    """The sizes that the files of an experiment have in common; what the experiment itself states must be so.

    Raises a `CheckpointError`, and also for a training section, which could have no effect.
    """
    if "training" in override:
        raise CheckpointError("training is set, but the network of model.checkpoint is not trained here; remove it")
    stated, layout = override.get("model", {}), experiment["model"]["format"]
    if layout in UNUSUAL and "activation" not in stated:
        raise CheckpointError(f"model.activation must be given with the format {layout}: {UNUSUAL[layout]}")
    paths = checkpoint_runs(experiment["model"]["checkpoint"], seeds).values()
    shapes = {path: shape_in_file(path, experiment, stated, task) for path in paths}
    (first, shape), *others = shapes.items()
    for other, found in others:
        for name in SIZES:
            if found[name] != shape[name]:
                raise CheckpointError(
                    f"model.checkpoint {other!r} has {name} {found[name]}; it must have {shape[name]}, as {first!r} has"
                )
    for name, value in stated.items():
        if shape.get(name, value) != value:
            raise CheckpointError(f"model.{name} is {value}; model.checkpoint {first!r} has {shape[name]}")
    return shape


def pretrained_experiment(experiment: Mapping) -> dict:
    """The experiment with the network's file apart from its shape, and without training."""
    model = dict(experiment["model"])
    checkpoint = {"path": model.pop("checkpoint"), "format": model.pop("format")}
    own = {key: experiment[key] for key in ("seeds", "task", "probe", "attention")}
    return {**own, "model": model, "checkpoint": checkpoint}
