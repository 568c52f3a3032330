"""The configuration, checked, and what the rules ask of it. No rule stands here."""

import gc
import math
import os
import re
import shlex
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import yaml
from snakemake.dag import DAG
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.sourcecache import LocalSourceFile

# What planning makes stays: to look for garbage among it after every 700 objects takes a tenth of the time.
gc.set_threshold(50_000)

# Snakemake 9 calls this interpreter unquoted, and so fails in a folder whose path has a space (its issue 2645).
if not sys.executable.startswith("'"):  # a process may read this file again
    sys.executable = shlex.quote(sys.executable)

# It takes braces in the path of the project's folder for wildcards, when it looks for the environment of a rule. The
# paths of ours have no wildcards.
LocalSourceFile.format = lambda path, **wildcards: path


# It fails a job whose input is dated in the future, lest the next run repeats it; content decides what ours repeat.
async def allow_any_date(dag, job, outputs):
    pass


DAG.check_output_mtime = allow_any_date

SCRIPTS = Path(workflow.basedir) / "scripts"
LOCK = Path(workflow.basedir) / "envs/requirements.txt"
sys.path.append(str(SCRIPTS))
library = SCRIPTS / "geometry/__init__.py"
if "geometry" not in sys.modules and not library.samefile(found := find_spec("geometry").origin):
    raise WorkflowError(f"{found} hides the package 'geometry' of {SCRIPTS}: unset PYTHONPATH, or uninstall it")

from geometry.config.checks import probe_caution
from geometry.networks.labels import network_labels
from geometry.provenance.code_digest import code_of, content_digest
from geometry.config.experiments import ConfigError, canonical_config, resolve_experiments
from geometry.config.pretrained import checkpoint_runs, is_pretrained
from geometry.config.gathered import has_crate_of_another, replaced
from geometry.provenance.requirements_lock import LockError, hidden_package, read_lock
from geometry.config.job_costs import Estimates
from geometry.networks.hook_points import chosen_sites, compared_sites, drawn_site, concatenated_sites
from geometry.tasks.task import is_modular, process_of, task_name


class Known(dict):
    """What a study has, by name; another name is refused in a sentence."""

    def __missing__(self, name):
        raise WorkflowError(f"this study has no {name!r}; it has {', '.join(self)}")


ARTEFACT = config.pop("artefact", None)  # a question on the command line, no part of a study
SOURCE_PATTERNS = """CITATION.cff LICENSE README.md Snakefile config.yaml envs/*.* profiles/*/*.yaml rules/*.smk
    rules/*/*.yaml rules/*/*.rst scripts/**/*.py scripts/**/*.mplstyle scripts/**/*.html""".split()
SOURCE = [
    path.relative_to(workflow.basedir).as_posix()
    for pattern in SOURCE_PATTERNS
    for path in sorted(Path(workflow.basedir).glob(pattern))
]
SCHEMA = yaml.safe_load((Path(workflow.basedir) / "rules/schemas/config.schema.yaml").read_bytes())
try:
    config.update(canonical_config(config, SCHEMA))
    EXPERIMENTS = Known(resolve_experiments(config, SCHEMA))
except ConfigError as error:
    raise WorkflowError(str(error)) from None

ENGINE = read_lock(LOCK)["snakemake"].version
SHARED = "SNAKEMAKE_OUTPUT_CACHE" in os.environ  # a folder from which --cache takes what was made elsewhere
if SHARED and config["device"] == "auto":
    raise WorkflowError(
        "config: device is 'auto'; what is shared through $SNAKEMAKE_OUTPUT_CACHE needs cpu, cuda or mps"
    )
if not Path(".snakemake/metadata").exists() and Path("results/provenance").exists():
    lost = (
        "There are results, but Snakemake's memory of how they were made (.snakemake) is lost: it cannot see changes."
    )
    if SHARED:
        raise WorkflowError(f"{lost} Unset $SNAKEMAKE_OUTPUT_CACHE, run snakemake audit, then snakemake --touch.")
    logger.warning(f"{lost} Run snakemake audit; if it finds no break, run snakemake --touch.")
for path in [Path("results"), *(path for depth in ("*", "*/*", "*/*/*") for path in Path("results").glob(depth))]:
    if path.is_symlink() and not path.exists():
        logger.warning(
            f"{path} is a link to {os.readlink(path)}, where nothing is: bring that back, or remove the link."
        )
HOW_TO_GO_ON = """
What is finished is kept. When the cause is mended, run the same command again: a training that was
interrupted goes on from where it was. If Snakemake itself was killed, run snakemake --unlock first.
"""

# Where the files that are of all experiments stand, below results/, results/provenance/ and logs/
STUDY = f"studies/{config['study']}/" if config["study"] else ""
SEEDS = config["seeds"]
EXPLAINED = EXPERIMENTS.get(config["figures"]["explainer"])  # None: no explainer is drawn
FORMAT = config["figures"]["format"]
RANDOM_INIT = "random_init"  # the run whose snapshots are networks that were never trained
PRETRAINED = [name for name, experiment in EXPERIMENTS.items() if is_pretrained(experiment)]
TRAINED = [name for name, experiment in EXPERIMENTS.items() if not is_pretrained(experiment)]
MODULAR = [name for name, experiment in EXPERIMENTS.items() if is_modular(experiment["task"])]
LINEAR = [name for name in MODULAR if EXPERIMENTS[name]["task"]["parameters"]["operation"] != "polynomial"]
MARKOV = [name for name in EXPERIMENTS if name not in MODULAR]
for name in MARKOV if workflow.is_main_process else ():  # not once more in each job
    told = *process_of(EXPERIMENTS[name]["task"]).notes, probe_caution(
        EXPERIMENTS[name], config["tree"]["max_prefixes"]
    )
    for note in filter(None, told):
        logger.warning(f"experiment {name!r}: {note}")
TASKS = Known((task_name(experiment["task"]), experiment["task"]) for experiment in EXPERIMENTS.values())
ON_TASK = {task: [] for task in TASKS}
for name in MARKOV:
    ON_TASK[task_name(EXPERIMENTS[name]["task"])].append(name)
MARKOV_TASKS = [task for task, on_task in ON_TASK.items() if on_task]
SHARED_TASKS = [task for task, on_task in ON_TASK.items() if len(on_task) > 1]
COMPARED = [name for task in SHARED_TASKS for name in ON_TASK[task]]


def names(known, pattern):
    """A pattern of some names: of just these, unless they are so many that it would slow Snakemake down; or of none."""
    if not known:
        return "(?!)"  # Snakemake takes an empty pattern for no constraint
    return "|".join(map(re.escape, known)) if len(known) <= 100 else pattern


ANY_EXPERIMENT = "[A-Za-z][A-Za-z0-9_-]*"


wildcard_constraints:
    experiment=names(EXPERIMENTS, ANY_EXPERIMENT),
    seed="[0-9]+",
    run=f"seed_[0-9]+|pretrained|{RANDOM_INIT}",
    task=names(TASKS, "[^/]+"),


def code(script):
    """What a rule's script does, digested with every local module and every package that it imports."""
    try:
        found = code_of(SCRIPTS / script, LOCK)
    except LockError as error:
        raise WorkflowError(f"{script}: {error}") from None
    for name in found.packages:
        if problem := hidden_package(name, read_lock(LOCK)[name]):
            raise WorkflowError(problem)
    return found.digest


def content(pattern):
    """The digest of files that are no code: the style of the figures, the captions of the report."""
    return content_digest(Path(workflow.basedir).glob(pattern))


STYLE = content("scripts/geometry/figures/study.mplstyle")


def drawing(rule):
    """The parameters of every rule of a figure."""
    return {"dpi": config["figures"]["dpi"], "style": STYLE, "code": code(f"{rule}.py")}


OF_CLUSTER_MB = 400  # of the two Snakemakes that a cluster runs around each job
ESTIMATES = Estimates(EXPERIMENTS, config["tree"]["max_prefixes"], config["gpus"])


def asks(rule):
    """The resources of a rule: memory and minutes as estimated; a retry asks for more."""

    def mem_mb(wildcards, attempt):
        around = OF_CLUSTER_MB if workflow.non_local_exec else 0
        return attempt * (around + math.ceil(ESTIMATES.memory_bytes(rule, dict(wildcards.items())) / 1e6))

    def runtime(wildcards, attempt):
        return attempt * math.ceil(5 + ESTIMATES.seconds(rule, dict(wildcards.items())) / 10)

    return {"mem_mb": mem_mb, "runtime": runtime} | ({"gpu": config["gpus"]} if rule in ESTIMATES.on_gpu else {})


def compared_networks():
    """What is told of each network that shares its task with another."""
    found = {}
    for task in SHARED_TASKS:
        models = {name: EXPERIMENTS[name]["model"] for name in ON_TASK[task]}
        for name, label in network_labels(models).items():
            shape = {key: models[name][key] for key in ("architecture", "n_layers", "d_model")}
            found[name] = {"task": task, "process": TASKS[task]["process"], "label": label, **shape}
    return found


def task_of(wildcards):
    return EXPERIMENTS[wildcards.experiment]["task"]


def named_task(wildcards):
    return TASKS[wildcards.task]


def seed_of(wildcards):
    return int(wildcards.seed)


def seed_of_run(wildcards):
    """The seed in the name of a run; 0 where it names none."""
    return int(wildcards.run.removeprefix("seed_")) if wildcards.run.startswith("seed_") else 0


def model_of(wildcards):
    return EXPERIMENTS[wildcards.experiment]["model"]


def training_of(wildcards):
    """The training section, which a network from elsewhere does not have."""
    return EXPERIMENTS[wildcards.experiment].get("training", {})


def batches_of(wildcards):
    """The part of the training section that the sequences depend on."""
    return {key: value for key, value in training_of(wildcards).items() if key in ("batch_size", "steps")}


def n_sequences_of(wildcards):
    """How many sequences a training reads; None where it is given distributions, is not known, or there is none."""
    if (
        wildcards.run == RANDOM_INIT
        or wildcards.experiment in PRETRAINED
        or training_of(wildcards)["labels"] != "sampled"
    ):
        return None
    return training_of(wildcards)["batch_size"] * training_of(wildcards)["steps"]


def reads_sequences(experiment):
    """Whether a network is trained on sampled words, not on all that there is, nor elsewhere."""
    return "training" in experiment and experiment["training"]["labels"] != "full_distribution"


def sequences_of(wildcards):
    words = f"results/{wildcards.experiment}/seed_{wildcards.seed}/sequences.zarr.zip"
    return [words] if reads_sequences(EXPERIMENTS[wildcards.experiment]) else []


def probe_of(wildcards):
    return EXPERIMENTS[wildcards.experiment]["probe"]


def regression_of(wildcards):
    """The part of the probe section that chooses neither sites nor networks."""
    choices = "sites", "concatenated", "snapshots", "random_networks"
    return {key: value for key, value in probe_of(wildcards).items() if key not in choices}


def n_snapshots_of(wildcards):
    """How many snapshots of a run are probed at most: of networks that are never trained, all."""
    return probe_of(wildcards)["random_networks" if wildcards.run == RANDOM_INIT else "snapshots"]


def n_random_networks_of(wildcards):
    return probe_of(wildcards)["random_networks"]


def sites_of(wildcards):
    """The hook points that the probe's patterns choose."""
    return chosen_sites(model_of(wildcards), probe_of(wildcards))


def concatenated_of(wildcards):
    """The hook points, of those that are probed, that are joined to one site."""
    return concatenated_sites(sites_of(wildcards), probe_of(wildcards))


def ground_truth_of(wildcards):
    return f"results/tasks/{task_name(task_of(wildcards))}/ground_truth.zarr.zip"


def of_process(name):
    """A function of the wildcards: this table of the experiment's process."""

    def path(wildcards):
        return f"results/tasks/{task_name(task_of(wildcards))}/{name}"

    return path


def checkpoints_of(experiment):
    """The files of networks from elsewhere, by run."""
    return checkpoint_runs(EXPERIMENTS[experiment]["checkpoint"]["path"], SEEDS)


def checkpoint_of(wildcards):
    """The file of one such network, in the spelling that Snakemake wants."""
    return os.path.normpath(Known(checkpoints_of(wildcards.experiment))[wildcards.run])


def runs_of(experiment):
    """The networks of an experiment that a claim can be made of: one for each seed, or for each file from elsewhere."""
    if is_pretrained(EXPERIMENTS[experiment]):
        return list(checkpoints_of(experiment))
    return [f"seed_{seed}" for seed in SEEDS]


def in_every_run(name, experiments):
    """This file of every run of some experiments."""
    return [f"results/{experiment}/{run}/{name}" for experiment in experiments for run in runs_of(experiment)]


def in_runs(name):
    """A function of the wildcards: this file of every run of the experiment."""

    def paths(wildcards):
        return in_every_run(name, [wildcards.experiment])

    return paths


def in_runs_of(kind, name):
    """A function of the wildcards: this file of every run of the experiment, if that is one of a kind."""

    def paths(wildcards):
        return in_every_run(name, [experiment for experiment in kind if experiment == wildcards.experiment])

    return paths


def in_random_init_of(kind, name):
    """A function of the wildcards: this file of the experiment's random networks, if that is one of a kind."""

    def paths(wildcards):
        own = [experiment for experiment in kind if experiment == wildcards.experiment]
        return [f"results/{experiment}/{RANDOM_INIT}/{name}" for experiment in own]

    return paths


def of_process_of(kind, name):
    """A function of the wildcards: this table of the experiment's process, if the experiment is one of a kind."""

    def paths(wildcards):
        return [of_process(name)(wildcards)] if wildcards.experiment in kind else []

    return paths


def in_first_run(name):
    """A function of the wildcards: this file of the experiment's first run."""

    def path(wildcards):
        return in_every_run(name, [wildcards.experiment])[0]

    return path


def drawn_site_of(wildcards):
    return drawn_site(EXPERIMENTS[wildcards.experiment], config["figures"]["sites"].get(wildcards.experiment))


def last_layer_output_of(wildcards):
    """The last stream or, if none is probed, the last site."""
    return compared_sites(EXPERIMENTS[wildcards.experiment])[0]


def compared_sites_of(wildcards):
    return compared_sites(EXPERIMENTS[wildcards.experiment])
