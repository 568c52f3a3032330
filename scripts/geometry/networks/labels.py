"""Labels of networks, for comparisons of several experiments on one task."""

from collections.abc import Mapping

COMPARED = ("architecture", "n_layers", "d_model")
"""The keys of a model section by which labels distinguish networks; an ablation is always named."""


def network_labels(models: Mapping[str, Mapping]) -> dict[str, str]:
    """A label for each experiment's network, made of the values that differ; the experiment's name if not unique."""
    differing = {"coupled", *(key for key in COMPARED if len({model[key] for model in models.values()}) > 1)}
    labels = {name: ", ".join(_parts(model, differing)) for name, model in models.items()}
    return {
        name: label if label and list(labels.values()).count(label) == 1 else name for name, label in labels.items()
    }


def _parts(model: Mapping, differing: set[str]) -> list[str]:
    n_layers = model["n_layers"]
    parts = {
        "architecture": model["architecture"],
        "coupled": "" if model.get("coupled", True) else "uncoupled",
        "n_layers": f"{n_layers} layer{'s' * (n_layers > 1)}",
        "d_model": f"{model['d_model']} wide",
    }
    return [part for key, part in parts.items() if key in differing and part]
