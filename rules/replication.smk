"""Replication: the claims of this study beside those of a reference, by default the published ones, docs/claims.csv.

Inputs:  results/claims.csv, and the reference
Outputs: results/replication.csv            every claim: same verdict, changed, or only in one of the two
         results/figures/replication.*      in results/studies/{study}/ if the study has a name

It is a question: `snakemake replicate --config reference=PATH`. No study waits for it.
"""

PUBLISHED = PROJECT / "docs/claims.csv"
SOURCE = "published" if REFERENCE is None else f"in {REFERENCE}"

if REFERENCE is not None:
    reference_of_the_study(None)  # which refuses what is no table of claims, before anything is planned


rule compare_claims:
    """Compare the claims with those of the reference"""
    input:
        claims=f"results/{STUDY}claims.csv",
        reference=reference_of_the_study,
    output:
        replication=f"results/{STUDY}replication.csv",
        record=f"results/provenance/{STUDY}compare_claims.json",
    log:
        f"logs/{STUDY}compare_claims.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("compare_claims"),
    params:
        confidence=config["claims"]["confidence"],
        source=SOURCE,
        code=code("compare_claims.py"),
    script:
        "../scripts/compare_claims.py"


rule plot_replication:
    """Draw the claims against those of the reference"""
    input:
        replication=f"results/{STUDY}replication.csv",
    output:
        figure=f"results/{STUDY}figures/replication.{FORMAT}",
        record=f"results/provenance/{STUDY}figures/plot_replication.{FORMAT}.json",
    log:
        f"logs/{STUDY}plot_replication.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_replication"),
    params:
        **drawing("plot_replication"),
        claims=config["claims"],
        source=SOURCE,
    script:
        "../scripts/plot_replication.py"


rule replicate:
    """Compare with published verdicts, or with those of a table: snakemake replicate --config reference=PATH"""
    input:
        replication=f"results/{STUDY}replication.csv",
        figure=f"results/{STUDY}figures/replication.{FORMAT}",
    log:
        f"logs/{STUDY}replicate.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("replicate"),
    params:
        source=SOURCE,
    script:
        "../scripts/replicate.py"
