"""The configuration, checked, and what the rules ask of it. No rule stands here."""

import os
import re
import shlex
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# Snakemake 9 calls this interpreter unquoted, and so fails in a folder whose path has a space (its issue 2645).
if not sys.executable.startswith("'"):  # a process may read this file again
    sys.executable = shlex.quote(sys.executable)

SCRIPTS = Path(workflow.basedir) / "scripts"
LOCK = Path(workflow.basedir) / "envs/requirements.txt"
sys.path.append(str(SCRIPTS))

from geometry.digest import code_of, content_digest
from geometry.experiments import ConfigError, canonical, resolve_experiments
from geometry.lock import LockError, read_lock
from geometry.sites import chosen_sites, compared_sites, drawn_site
from geometry.tasks import task_name


class Known(dict):
    """What a study has, by name; another name is refused in a sentence."""

    def __missing__(self, name):
        raise WorkflowError(f"this study has no {name!r}; it has {', '.join(self)}")


ARTEFACT = config.pop("artefact", None)  # a question on the command line, no part of a study
config.update(canonical(config))
SOURCE_PATTERNS = """CITATION.cff LICENSE README.md Snakefile config.yaml envs/*.* profiles/*/*.yaml rules/*.smk
    rules/*/*.yaml rules/*/*.rst scripts/**/*.py scripts/*/*.mplstyle scripts/*/*.html""".split()
SOURCE = [
    path.relative_to(workflow.basedir).as_posix()
    for pattern in SOURCE_PATTERNS
    for path in sorted(Path(workflow.basedir).glob(pattern))
]
SCHEMA = yaml.safe_load((Path(workflow.basedir) / "rules/schemas/config.schema.yaml").read_text())
try:
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
HOW_TO_GO_ON = """
What is finished is kept. When the cause is mended, run the same command again: a training that was
interrupted goes on from where it was. If Snakemake itself was killed, run snakemake --unlock first.
"""

SEEDS = config["seeds"]
FORMAT = config["figures"]["format"]
UNTRAINED = "untrained"  # the run whose snapshots are networks that were never trained
TASKS = Known((task_name(experiment["task"]), experiment["task"]) for experiment in EXPERIMENTS.values())


def names(known, pattern):
    """A pattern of some names: of just these, unless they are so many that it would slow Snakemake down."""
    return "|".join(map(re.escape, known)) if len(known) <= 100 else pattern


wildcard_constraints:
    experiment=names(EXPERIMENTS, "[A-Za-z][A-Za-z0-9_-]*"),
    seed="[0-9]+",
    run=f"seed_[0-9]+|{UNTRAINED}",
    task=names(TASKS, "[^/]+"),


def code(script):
    """What a rule's script does, digested with every local module and every package that it imports."""
    try:
        return code_of(SCRIPTS / script, LOCK).digest
    except LockError as error:
        raise WorkflowError(f"{script}: {error}") from None


def content(pattern):
    """The digest of files that are no code: the style of the figures, the captions of the report."""
    return content_digest(Path(workflow.basedir).glob(pattern))


def task_of(wildcards):
    return EXPERIMENTS[wildcards.experiment]["task"]


def named_task(wildcards):
    return TASKS[wildcards.task]


def seed_of(wildcards):
    return int(wildcards.seed)


def model_of(wildcards):
    return EXPERIMENTS[wildcards.experiment]["model"]


def training_of(wildcards):
    return EXPERIMENTS[wildcards.experiment]["training"]


def batches_of(wildcards):
    """The part of the training section that the sequences depend on."""
    return {key: training_of(wildcards)[key] for key in ("batch_size", "steps")}


def reads_words(experiment):
    """Whether a network is trained on sampled words, not on the whole tree."""
    return experiment["training"]["labels"] != "tree"


def sequences_of(wildcards):
    words = f"results/{wildcards.experiment}/seed_{wildcards.seed}/sequences.zarr.zip"
    return [words] if reads_words(EXPERIMENTS[wildcards.experiment]) else []


def probe_of(wildcards):
    return EXPERIMENTS[wildcards.experiment]["probe"]


def regression_of(wildcards):
    """The part of the probe section that chooses neither sites nor networks."""
    return {key: value for key, value in probe_of(wildcards).items() if key not in ("sites", "untrained")}


def n_untrained_of(wildcards):
    return probe_of(wildcards)["untrained"]


def sites_of(wildcards):
    """The hook points that the probe's patterns choose."""
    return chosen_sites(model_of(wildcards), probe_of(wildcards))


def ground_truth_of(wildcards):
    return f"results/tasks/{task_name(task_of(wildcards))}/ground_truth.zarr.zip"


def runs_of(experiment):
    """The networks of an experiment that a claim can be made of: one for each seed."""
    return [f"seed_{seed}" for seed in SEEDS]


def in_every_run(name, experiments):
    """This file of every run of some experiments."""
    return [f"results/{experiment}/{run}/{name}" for experiment in experiments for run in runs_of(experiment)]


def in_runs(name):
    """A function of the wildcards: this file of every run of the experiment."""

    def paths(wildcards):
        return in_every_run(name, [wildcards.experiment])

    return paths


def in_first_run(name):
    """A function of the wildcards: this file of the experiment's first run."""

    def path(wildcards):
        return in_every_run(name, [wildcards.experiment])[0]

    return path


def drawn_site_of(wildcards):
    return drawn_site(EXPERIMENTS[wildcards.experiment], config["figures"]["sites"].get(wildcards.experiment))


def last_stream_of(wildcards):
    """The last residual stream or, if none is probed, the last site."""
    return compared_sites(EXPERIMENTS[wildcards.experiment])[0]


def compared_sites_of(wildcards):
    return compared_sites(EXPERIMENTS[wildcards.experiment])


PLOTS = [
    "belief_simplex",
    "emergence",
    "sites",
    "r2_by_site",
    "controls",
    "components",
    "loss",
    "distances",
    "steering",
]


def figures_of_the_study(wildcards):
    """Every figure: those of each experiment, and the explainer if the study has one."""
    explainer = [f"results/figures/explainer.{FORMAT}"] if config["figures"]["explainer"] else []
    return [
        *explainer,
        *expand("results/figures/{experiment}/{name}.{format}", experiment=EXPERIMENTS, name=PLOTS, format=FORMAT),
        *expand("results/figures/{experiment}/emergence.gif", experiment=EXPERIMENTS),
    ]


def labels_of_the_report(wildcards):
    """How the report names and sorts what it shows."""
    shown = ((rule, file.flags.get("report")) for rule in workflow.rules for file in rule.output)
    return {rule.name: [entry.category, entry.labels] for rule, entry in shown if entry}


def records_of_the_study(wildcards):
    """What each job behind the claims and figures leaves of itself."""
    per_seed = ["train_model", "extract_activations", "measure_loss", "probe_beliefs", "steer_network"]
    untrained = ["initialize_networks", "extract_activations", "probe_beliefs"]
    with_words = [name for name, experiment in EXPERIMENTS.items() if reads_words(experiment)]
    per_experiment = [*(f"plot_{name}.{FORMAT}" for name in PLOTS), "animate_emergence"]
    explainer = ["play_chaos_game", f"plot_explainer.{FORMAT}"] if config["figures"]["explainer"] else []
    names = [
        "collect_claims",
        "write_findings",
        *(f"figures/{rule}" for rule in explainer),
        *(f"tasks/{task}/build_ground_truth" for task in TASKS),
        *expand("{experiment}/seed_{seed}/sample_sequences", experiment=with_words, seed=SEEDS),
        *expand("{experiment}/seed_{seed}/{rule}", experiment=EXPERIMENTS, seed=SEEDS, rule=per_seed),
        *expand("{experiment}/{run}/{rule}", experiment=EXPERIMENTS, run=UNTRAINED, rule=untrained),
        *expand(
            "{experiment}/seed_{seed}/measure_{what}",
            experiment=EXPERIMENTS,
            seed=SEEDS[0],
            what=["distances", "components"],
        ),
        *expand("figures/{experiment}/{rule}", experiment=EXPERIMENTS, rule=per_experiment),
    ]
    return [f"results/provenance/{name}.json" for name in names]
