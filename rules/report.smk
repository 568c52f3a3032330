"""The report: claims, figures, captions and the workflow itself on one page that needs no network.

Inputs:  everything that rule `study` asks for
Outputs: results/report.html    in results/studies/{study}/ if the study has a name
"""


rule write_report:
    """Write the report"""
    input:
        f"results/{STUDY}claims.csv",
        f"results/{STUDY}findings.html",
        figures_of_the_study,
        f"results/{STUDY}provenance/index.html",
    output:
        report=f"results/{STUDY}report.html",
        record=f"results/provenance/{STUDY}write_report.json",
    log:
        f"logs/{STUDY}write_report.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("write_report"),
    params:
        config=config,
        captions=content("rules/captions/*.rst"),
        labels=labels_of_the_report,
        engine=ENGINE,
        code=code("write_report.py"),
    script:
        "../scripts/write_report.py"
