"""The checked configuration, digests of code, and resources of rules. It defines no rule.

`study` (scripts/geometry/config/study.py) has the experiments, networks and files; rules/wildcards.smk reads wildcards.
"""

import math
import os
import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import yaml
from snakemake.dag import DAG, ScriptProcessor
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.sourcecache import LocalSourceFile

PROJECT = Path(workflow.basedir)
SCRIPTS, LOCK = PROJECT / "scripts", PROJECT / "envs/requirements.txt"
sys.path.append(str(SCRIPTS))
library = SCRIPTS / "geometry/__init__.py"
if "geometry" not in sys.modules and not library.samefile(found := find_spec("geometry").origin):
    raise WorkflowError(f"{found} hides the package 'geometry' of {SCRIPTS}: unset PYTHONPATH, or uninstall it")

from geometry.claims.replication import ReplicationError, check_experiments, read_claims
from geometry.config.engine import HOW_TO_GO_ON, LOST_MEMORY, dead_links, is_memory_lost, work_around_snakemake
from geometry.config.experiments import ConfigError, canonical_config, resolve_experiments
from geometry.config.gathered import source_files
from geometry.config.job_costs import Estimates
from geometry.config.seeds import RUN, seeds_of
from geometry.config.study import RANDOM_INIT, Study
from geometry.machine import kernels
from geometry.provenance.code_digest import code_of, content_digest, file_digest
from geometry.provenance.requirements_lock import LockError, hidden_package, read_lock

work_around_snakemake(DAG, ScriptProcessor, LocalSourceFile, logger)
os.environ.update(kernels())  # of each job, whatever the shell has
ARTEFACT = config.pop("artefact", None)  # questions on the command line, no part of a study
REFERENCE = config.pop("reference", None)
SCHEMA = yaml.safe_load((PROJECT / "rules/schemas/config.schema.yaml").read_bytes())
try:
    config.update(canonical_config(config, SCHEMA))
    study = Study(config, resolve_experiments(config, SCHEMA))
except ConfigError as error:
    raise WorkflowError(str(error)) from None

ANALYSIS = config["analysis"]
STUDY, FORMAT = study.folder, study.format  # in paths: studies/NAME/ or nothing; png, svg or pdf
ENGINE = read_lock(LOCK)["snakemake"].version
SHARED = "SNAKEMAKE_OUTPUT_CACHE" in os.environ  # a folder from which --cache takes what was made elsewhere
if SHARED and config["device"] == "auto":
    raise WorkflowError("config: device is 'auto'; what $SNAKEMAKE_OUTPUT_CACHE shares needs cpu, cuda or mps")
if SHARED and is_memory_lost():
    raise WorkflowError(f"{LOST_MEMORY} Unset $SNAKEMAKE_OUTPUT_CACHE, run snakemake audit, then snakemake --touch.")
if workflow.is_main_process:  # not once more in each job
    lost = [f"{LOST_MEMORY} Run snakemake audit; if it finds no break, run snakemake --touch."] * is_memory_lost()
    for sentence in [*lost, *dead_links(), *study.cautions()]:
        logger.warning(sentence)


def names(known, pattern="[A-Za-z][A-Za-z0-9_-]*"):
    """A pattern of some names: of just these, unless they are so many that it would slow Snakemake down; or of none."""
    if not known:
        return "(?!)"  # Snakemake takes an empty pattern for no constraint
    return "|".join(map(re.escape, known)) if len(known) <= 100 else pattern


def analysed_by(rule):
    """A pattern of the experiments whose task has a rule."""
    return names(study.analysed_by(rule))


wildcard_constraints:
    experiment=names(study.experiments),
    run=f"{RUN}|pretrained|{RANDOM_INIT}",
    task=names(study.tasks, "[^/]+"),


def code(script):
    """The digest of a rule's script with every local module and every package that it imports."""
    try:
        found = code_of(SCRIPTS / script, LOCK)
    except LockError as error:
        raise WorkflowError(f"{script}: {error}") from None
    if problem := next(filter(None, (hidden_package(name, read_lock(LOCK)[name]) for name in found.packages)), None):
        raise WorkflowError(problem)
    return found.digest


def content(pattern):
    """The digest of files that are no code: the style of the figures, the captions of the report."""
    return content_digest(PROJECT.glob(pattern))


STYLE = content("scripts/geometry/figures/study.mplstyle")


def drawing(rule):
    """The parameters of every rule of a figure."""
    return {"dpi": config["figures"]["dpi"], "style": STYLE, "code": code(f"{rule}.py")}


OF_CLUSTER_MB = 400  # of the two Snakemakes that a cluster runs around each job
ESTIMATES = Estimates(study.experiments, config["tree"]["max_prefixes"], config["gpus"])


def asks(rule):
    """The resources of a rule: memory and minutes as estimated; a retry asks for more."""

    def mem_mb(wildcards, attempt):
        around = OF_CLUSTER_MB if workflow.non_local_exec else 0
        return attempt * (around + math.ceil(ESTIMATES.memory_bytes(rule, dict(wildcards.items())) / 1e6))

    def runtime(wildcards, attempt):
        return attempt * math.ceil(5 + ESTIMATES.seconds(rule, dict(wildcards.items())) / 10)

    return {"mem_mb": mem_mb, "runtime": runtime} | ({"gpu": config["gpus"]} if rule in ESTIMATES.on_gpu else {})
