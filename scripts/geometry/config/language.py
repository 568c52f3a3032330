"""Experiments on language models, which a job of the study has read sequences of the process: planned recordings.

Each seed is a sample of words: other sequences, which the same model reads beside a random network of that seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from snakemake.exceptions import WorkflowError

from geometry.config.pretrained import PLACEHOLDER
from geometry.config.recorded import experiment_on
from geometry.config.seeds import all_seeds
from geometry.networks.checkpoint_layouts import CheckpointError
from geometry.networks.hook_points import RECORDED, chosen_sites
from geometry.networks.language_files import language_model_files
from geometry.networks.language_tokens import MISSING, token_ids
from geometry.tasks.base import Task

OF_LANGUAGE_MODELS = {"tokens", "token_ids", "sequences", "normalized"}
"""Keys of the model section that only language models have."""

KEYS = {"checkpoint", "format", "bos", *OF_LANGUAGE_MODELS}

BYTES_PER_NUMBER = 0.5
"""The fewest bytes that a number takes in GGUF; in safetensors two."""


@dataclass(frozen=True)
class PlannedRecording:
    """The headers of a recording that is not made yet, as far as they are known from the configuration."""

    sites: list[str]
    n_features: int
    n_sequences: int
    n_positions: int
    n_tokens: int
    has_predictions: bool = True
    has_random_network: bool = True
    all_predict: bool = True


def is_language_model(model: Mapping) -> bool:
    """True if a model section names a language model of Hugging Face."""
    return model.get("format") == "huggingface"


def check_keys(model: Mapping, own: Mapping) -> None:
    """Raise a `CheckpointError` for a key that only language models have, or that they do not have."""
    if not is_language_model(model):
        if wrong := sorted(OF_LANGUAGE_MODELS & own.keys()):
            raise CheckpointError(f"model.{wrong[0]} is set, which only the format huggingface has; remove it")
        return
    if wrong := sorted(own.keys() - KEYS):
        raise CheckpointError(f"model.{wrong[0]} is {own[wrong[0]]!r}; the model's own folder tells of its network")
    if "sequences" not in model:
        raise CheckpointError("model.sequences is missing, the number of sequences that the model reads")
    if len(model.keys() & {"tokens", "token_ids"}) != 1:
        raise CheckpointError("model needs either tokens, texts of one token each, or token_ids, their numbers")


def language_experiment(name: str, experiment: Mapping, override: Mapping, task: Task) -> dict:
    """The experiment on the recording that a job will make of a language model; raises a `CheckpointError`."""
    model = experiment["model"]
    try:
        files = language_model_files(model["checkpoint"])
    except CheckpointError as error:
        raise CheckpointError(f"model.checkpoint {model['checkpoint']!r}: {error}") from None
    given = "tokens" if "tokens" in model else "token_ids"
    if len(model[given]) != task.n_tokens:
        raise CheckpointError(f"model.{given} has {len(model[given])} entries; the task has {task.n_tokens} tokens")
    planned = PlannedRecording(files.sites, files.d_model, model["sequences"], task.context, task.n_tokens)
    pattern, probe = f"results/{name}/seed_{PLACEHOLDER}/recording.zarr.zip", experiment["probe"]
    first = pattern.replace(PLACEHOLDER, str(all_seeds(experiment["seeds"])[0]))
    if chosen_sites({"architecture": RECORDED, "sites": files.sites}, probe):  # of defaults, too
        override = {**override, "probe": {**override.get("probe", {}), "sites": probe["sites"]}}
    found = experiment_on(planned, first, pattern, experiment, override)
    n_numbers = files.n_bytes / (BYTES_PER_NUMBER if files.gguf else 2)
    language = {"folder": model["checkpoint"], "sequences": model["sequences"], "bos": model["bos"]}
    language |= {"tokens": model.get("tokens"), "token_ids": model.get("token_ids"), "n_numbers": n_numbers}
    language["normalized"] = model.get("normalized", False)
    return {**found, "language": language}


def weights_of(experiment: Mapping) -> list[str]:
    """The files with the weights of an experiment's language model."""
    return list(language_model_files(experiment["language"]["folder"]).weights)


def check_tokens(experiments: Mapping[str, Mapping]) -> None:
    """Raise a `WorkflowError` where a language model's packages lack, or a text is not one token of its tokenizer."""
    for name, experiment in experiments.items():
        own = experiment.get("language", {})
        try:
            if own and find_spec("transformers") is None:
                raise CheckpointError(MISSING)
            if own and own["tokens"]:
                token_ids(language_model_files(own["folder"]), own["tokens"])
        except CheckpointError as error:
            where = f"experiment {name!r}: model.checkpoint {own['folder']!r}"
            raise WorkflowError(f"{where}: {error}") from None
