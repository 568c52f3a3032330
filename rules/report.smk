"""The report, on one page that needs no network; and the study as one research object, for an archive.

Inputs:  everything that `rule study` gathers
Outputs: results/report.html                 in results/studies/{study}/ if the study has a name
         results/ro-crate-metadata.json      the RO-Crate, and in results/workflow/ what was run

There is one research object, at the root of results/: of the study without a name, or else of the first that was run.
With the configuration of another study, `snakemake export_crate` makes it that one's.
"""


rule write_report:
    """Write the report"""
    input:  # in the order in which the report shows them
        f"results/{STUDY}findings.html",
        figures_of_the_study,
        f"results/{STUDY}claims.csv",
        f"results/{STUDY}power.csv",
        cards_of_the_study,
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


rule export_crate:
    """Export the study as a Workflow Run RO-Crate"""
    input:
        records_of_the_study,
        f"results/provenance/{STUDY}draw_provenance.json",
        f"results/provenance/{STUDY}write_report.json",
    output:
        crate="results/ro-crate-metadata.json",
        config="results/workflow/study.yaml",
        source=expand("results/workflow/{file}", file=source_files(PROJECT)),
        record="results/provenance/export_crate.json",
    log:
        "logs/export_crate.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("export_crate"),
    params:
        config=config,
        engine=ENGINE,
        source=source_files(PROJECT),
        citation=content("CITATION.cff"),
        code=code("export_crate.py"),
    script:
        "../scripts/export_crate.py"
