"""The report: claims, figures, captions and the workflow itself on one page that needs no network.

Inputs:  everything that rule `study` asks for
Outputs: results/report.html
"""


rule write_report:
    """Write the report"""
    input:
        "results/claims.csv",
        "results/findings.html",
        figures_of_the_study,
        "results/provenance/index.html",
    output:
        report="results/report.html",
        record="results/provenance/write_report.json",
    log:
        "logs/write_report.log",
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
