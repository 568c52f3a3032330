"""The networks of a study that share their task with others, side by side."""

from geometry.config.study import Study
from geometry.networks.labels import network_labels


def compared_networks(study: Study) -> dict[str, dict]:
    """Task, process, label and shape of each network that shares its task with another."""
    found = {}
    for task, experiments in study.shared_tasks.items():
        labels = network_labels({name: study.model(name) for name in experiments})
        for name, label in labels.items():
            shape = {key: study.model(name)[key] for key in ("architecture", "n_layers", "d_model")}
            found[name] = {"task": task, "process": study.tasks[task]["process"], "label": label, **shape}
    return found
