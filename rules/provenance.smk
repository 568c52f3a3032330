"""Where every file came from, and whether it is still what it was.

Inputs:  results/provenance/, the records that all other jobs leave
Outputs: results/provenance/index.html, the graph of all jobs    in results/studies/{study}/ if the study has a name

"""


rule draw_provenance:
    """Draw the provenance of the study"""
    input:
        records_of_the_study,
    output:
        page=report(
            f"results/{STUDY}provenance/index.html",
            caption="captions/provenance.rst",
            category="Provenance",
            labels={"figure": "where every file came from"},
        ),
        record=f"results/provenance/{STUDY}draw_provenance.json",
    log:
        f"logs/{STUDY}draw_provenance.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("draw_provenance"),
    params:
        template=content("scripts/geometry/provenance/page.html"),
        code=code("draw_provenance.py"),
    script:
        "../scripts/draw_provenance.py"


rule audit:
    """Verify every file, record and link from the configuration to the report"""
    log:
        "logs/audit.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("audit"),
    params:
        config=config,
    script:
        "../scripts/audit.py"


rule provenance:
    """Print the ancestry of one file: snakemake provenance --config artefact=PATH"""
    log:
        "logs/provenance.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("provenance"),
    params:
        artefact=ARTEFACT,
    script:
        "../scripts/provenance.py"


rule bill:
    """Print what a study costs before it runs: hours by rule, longest chain, time of so many workers; and more seeds"""
    log:
        "logs/bill.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("bill"),
    params:
        config=config,
        power=f"results/{STUDY}power.csv",
    script:
        "../scripts/bill.py"
