"""The numbers of the study beside those of the literature that its section `published` has.

Inputs:  the tables that its rows select from
Outputs: results/published.csv              every number with its interval, a baseline and the verdict
         results/figures/published.*        in results/studies/{study}/ if the study has a name
"""

from geometry.config.published import files_of as files_of_rows


rule hold_against_published:
    """Hold the numbers of the study against published ones"""
    input:
        tables=files_of_rows(study.published),
    output:
        published=f"results/{STUDY}published.csv",
        record=f"results/provenance/{STUDY}hold_against_published.json",
    log:
        f"logs/{STUDY}hold_against_published.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("hold_against_published"),
    params:
        rows=quoted(study.published),
        confidence=config["claims"]["confidence"],
        code=code("hold_against_published.py"),
    script:
        "../scripts/hold_against_published.py"


rule plot_published:
    """Draw the numbers of the study against published ones"""
    input:
        published=f"results/{STUDY}published.csv",
    output:
        figure=report(
            f"results/{STUDY}figures/published.{FORMAT}",
            caption="captions/published.rst",
            category="Claims",
            labels={"result": "published numbers, and those of this study"},
        ),
        record=f"results/provenance/{STUDY}figures/plot_published.{FORMAT}.json",
    log:
        f"logs/{STUDY}plot_published.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_published"),
    params:
        **drawing("plot_published"),
    script:
        "../scripts/plot_published.py"
