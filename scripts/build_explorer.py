"""Build the explorer: one page with the belief states, a running network of each experiment, and the claims."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from geometry.explorer.clouds import MOST_NUMBERS, cloud_content, numbers_of
from geometry.explorer.evidence import claims_content
from geometry.explorer.live_network import (
    MOST_WEIGHTS,
    first_of,
    maps_of,
    network_content,
    steering_content,
    surgery_content,
)
from geometry.explorer.packing import as_json
from geometry.explorer.page import assembled
from geometry.files import write_text
from geometry.provenance.job import Job, project_folder
from geometry.storage import open_dataset, read_tensors
from geometry.tables import read_table
from geometry.tasks.task import modular_of, process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


LEAST_SHARE = 0.01
"""The share of the points below which clouds are not reduced any more."""


def by_place(paths) -> dict[str, dict[str, str]]:
    """The paths of files of networks, results/{experiment}/{run}/..., by experiment and run."""
    found: dict[str, dict[str, str]] = {}
    for path in paths:
        experiment, run = Path(path).parts[-3:-1]
        found.setdefault(experiment, {})[run] = path
    return found


def share_of_points(decoded: Mapping[str, Mapping[str, str]]) -> float:
    """The largest share of the points, in steps of a twentieth, with which all clouds fit into the page."""
    datasets = [{run: open_dataset(path) for run, path in runs.items()} for runs in decoded.values()]
    share = 1.0
    while share > LEAST_SHARE and sum(numbers_of(runs, share) for runs in datasets) > MOST_NUMBERS:
        share *= 0.95
    return share


def of_markov(name: str, settings: Mapping, files: Mapping[str, Mapping], share: float, is_live: bool) -> dict:
    """The content of an experiment on a hidden Markov model: clouds, maps and steering."""
    process, first = process_of(settings["task"]), settings["runs"][0]
    with open_dataset(files["ground_truth"][name]) as truth:
        paths = files["decoded"][name].items()
        runs = {run: (open_dataset(path), read_table(files["probe"][name][run])) for run, path in paths}
        content = cloud_content(process, truth, runs, share)
        if is_live:
            with open_dataset(files["activations"][name][first]) as activations:
                content["maps"] = maps_of(truth, activations, settings["concatenated"])
    if name in files["steering"]:
        content["steering"] = steering_content(read_table(files["steering"][name][first]))
    return content | {name: settings[name] for name in ("concatenated", "output")}


def experiment_content(name: str, settings: Mapping, files: Mapping[str, Mapping], share: float, spare: int) -> dict:
    """Everything on one experiment; `spare` is the number of weights for which there is room."""
    first = settings["runs"][0]
    has_network = name in files["model"]
    weights = first_of(read_tensors(files["model"][name][first])) if has_network else {}
    size = sum(array.size for array in weights.values())
    is_live = has_network and size <= spare
    content = {"name": name, "kind": settings["kind"], "context": settings["task"]["context"], "n_weights": size}
    content |= {key: settings["task"][key] for key in ("process", "parameters")}
    if settings["kind"] == "markov":
        content |= of_markov(name, settings, files, share, is_live)
    elif name in files["surgery"]:
        surgery = read_table(files["surgery"][name][first])
        sign = modular_of(settings["task"]).sign
        content["surgery"] = surgery_content(weights, sign, settings["key_share"], surgery)
    if is_live:
        content["network"] = network_content(weights, settings["model"], f"the first network of {first}")
    return content


if __name__ == "__main__":
    with Job(snakemake) as job:
        source, params = snakemake.input, snakemake.params
        experiments = json.loads(params.experiments)
        files = {name: by_place(source[name]) for name in ("decoded", "probe", "activations", "model", "steering")}
        files["surgery"] = by_place(source.surgery)
        truths = {Path(path).parts[-2]: path for path in source.ground_truth}
        files["ground_truth"] = {name: truths.get(one["task_name"]) for name, one in experiments.items()}
        markov = {name: files["decoded"][name] for name, one in experiments.items() if one["kind"] == "markov"}
        share, spare, data = share_of_points(markov), MOST_WEIGHTS, {}
        for number, (name, settings) in enumerate(experiments.items()):
            content = experiment_content(name, settings, files, share, spare)
            spare -= content["n_weights"] if "network" in content else 0
            data[f"experiment-{number}"] = as_json(content)
        runs, figures = ({name: one[key] for name, one in experiments.items()} for key in ("runs", "figures"))
        tables = read_table(source.claims), read_table(source.power)
        claims = claims_content(*tables, params.claims, runs, figures, params.format)
        study = {"name": params.study, "experiments": list(experiments), "root": params.root, "share": share}
        data["study"] = as_json(study | {"claims": claims})
        folder = project_folder(snakemake) / "scripts/explorer"
        sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}
        page = assembled(sources, "Belief explorer" + f": {params.study}" * bool(params.study), data)
        write_text(page, snakemake.output.explorer)
        job.info(f"{len(page) / 1e6:.1f} MB, {len(experiments)} experiments")
