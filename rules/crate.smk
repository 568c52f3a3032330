"""The study as one research object, for a journal or an archive: results/ with the workflow that made it.

There is one, at the root of results/: of the study without a name, or else of the first one that was run. With the
configuration of another study, `snakemake export_crate` makes it that one's.

Inputs:  results/provenance/, the records of all jobs
Outputs: results/ro-crate-metadata.json      the RO-Crate
         results/workflow/                   the source and the configuration that were run
"""


rule export_crate:
    """Export the study as a Workflow Run RO-Crate"""
    input:
        records_of_the_study,
        f"results/provenance/{STUDY}draw_provenance.json",
        f"results/provenance/{STUDY}write_report.json",
    output:
        crate="results/ro-crate-metadata.json",
        config="results/workflow/study.yaml",
        source=expand("results/workflow/{file}", file=SOURCE),
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
        source=SOURCE,
        citation=content("CITATION.cff"),
        code=code("export_crate.py"),
    script:
        "../scripts/export_crate.py"
