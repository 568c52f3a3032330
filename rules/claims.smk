"""The verdicts of the study, over all experiments and seeds.

Inputs:  results/{experiment}/{run}/probe.csv and loss.csv
Outputs: results/claims.csv
"""


rule collect_claims:
    """Claims of the study"""
    input:
        probe=in_every_run("probe.csv", EXPERIMENTS),
        untrained=expand("results/{experiment}/{run}/probe.csv", experiment=EXPERIMENTS, run=UNTRAINED),
        loss=in_every_run("loss.csv", EXPERIMENTS),
    output:
        claims=report(
            "results/claims.csv",
            caption="captions/claims.rst",
            category="Claims",
            labels={"table": "claims with floors and verdicts"},
        ),
        record="results/provenance/collect_claims.json",
    log:
        "logs/collect_claims.log",
    conda:
        "../envs/study.yaml"
    params:
        experiments=list(EXPERIMENTS),
        claims=config["claims"],
        code=code("collect_claims.py"),
    script:
        "../scripts/collect_claims.py"
