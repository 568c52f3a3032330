"""Belief-state geometry in neural networks, as one reproducible study.

Each phase is a file under rules/, in the order of execution:
task -> ground truth -> sequences -> model -> activations -> probe -> steering, circuit -> claims ->
figures -> provenance -> report -> crate.
"""

from snakemake.utils import min_version

min_version("9.27.1")


if not workflow.remote_exec:  # a job of a cluster starts where it belongs

    workdir: workflow.basedir  # wherever Snakemake is called from; --directory overrides it


configfile: f"{workflow.basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/targets.smk"


rule all:
    """Everything: claims and figures, gathered in results/report.html and results/ro-crate-metadata.json"""
    input:
        f"results/{STUDY}report.html",
        crate_of_the_study,


rule study:
    """The table of claims, every figure and where they came from"""
    input:
        f"results/{STUDY}claims.csv",
        f"results/{STUDY}findings.html",
        figures_of_the_study,
        f"results/{STUDY}provenance/index.html",


include: "rules/ground_truth.smk"
include: "rules/sequences.smk"
include: "rules/training.smk"


if PRETRAINED:

    include: "rules/pretrained.smk"


include: "rules/activations.smk"
include: "rules/probe.smk"
include: "rules/steering.smk"


if MARKOV:

    include: "rules/recovery.smk"
    include: "rules/inverse.smk"


if MODULAR:

    include: "rules/circuit.smk"
    include: "rules/shift_symmetry.smk"
    include: "rules/bases.smk"
    include: "rules/surgery.smk"


include: "rules/claims.smk"
include: "rules/figures.smk"


if EXPLAINED:

    include: "rules/explainer.smk"


if COMPARED:

    include: "rules/comparison.smk"


include: "rules/provenance.smk"
include: "rules/report.smk"
include: "rules/crate.smk"


onerror:
    sys.stderr.write(HOW_TO_GO_ON)


report: "rules/captions/study.rst"
