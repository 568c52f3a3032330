"""Where every file came from, and whether it is still what it was.

Inputs:  results/provenance/, the records that all other jobs leave
Outputs: none; both rules print, and audit fails if it finds a break
"""


rule audit:
    """Verify every file, record and link from the configuration to the report"""
    log:
        "logs/audit.log",
    conda:
        "../envs/study.yaml"
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
    params:
        artefact=ARTEFACT,
    script:
        "../scripts/provenance.py"
