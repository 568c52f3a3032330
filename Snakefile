"""Belief-state geometry in neural networks, as one reproducible study.

Each phase is a file under rules/, in the order of execution:
theory -> training -> activations -> probing -> interventions -> recovery, structure, modular -> claims ->
figures -> provenance -> report.
"""

from snakemake.utils import min_version

min_version("9.27.1")


if not workflow.remote_exec:  # a job of a cluster starts where it belongs

    workdir: workflow.basedir  # wherever Snakemake is called from; --directory overrides it


configfile: f"{workflow.basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/wildcards.smk"


rule all:
    """Everything: claims and figures, gathered in results/report.html and results/ro-crate-metadata.json"""
    input:
        f"results/{STUDY}report.html",
        crate_of_the_study,


rule study:
    """The table of claims, every figure and where they came from"""
    input:
        f"results/{STUDY}claims.csv",
        f"results/{STUDY}power.csv",
        f"results/{STUDY}findings.html",
        f"results/{STUDY}explorer.html",
        figures_of_the_study,
        cards_of_the_study,
        f"results/{STUDY}provenance/index.html",


include: "rules/theory.smk"
include: "rules/training.smk"
include: "rules/activations.smk"
include: "rules/probing.smk"
include: "rules/interventions.smk"


if study.analysed_by("measure_process"):

    include: "rules/recovery.smk"
    include: "rules/structure.smk"


if study.analysed_by("measure_attention"):

    include: "rules/attention.smk"


if study.analysed_by("measure_circuit"):

    include: "rules/modular.smk"
    include: "rules/figures_modular.smk"


include: "rules/claims.smk"


if study.published:

    include: "rules/published.smk"


include: "rules/explorer.smk"
include: "rules/replication.smk"
include: "rules/figures_beliefs.smk"
include: "rules/figures_study.smk"
include: "rules/provenance.smk"
include: "rules/report.smk"


onstart:
    # Snakemake's limit of jobs per second wakes the scheduler once a second for every job that has ended.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


onsuccess:
    if found := what_was_found():
        logger.info(f"\n{found}\n")


onerror:
    sys.stderr.write(HOW_TO_GO_ON)


report: "rules/captions/study.rst"
