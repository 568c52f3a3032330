"""The verdicts of the study, over all experiments and seeds, and what they rest on.

Inputs:  results/{experiment}/{run}/probe.csv, loss.csv, and steering.csv or circuit.csv, bases.csv,
         shift_symmetry.csv, surgery.csv
Outputs: results/claims.csv                      every claim: estimate, interval, baseline, verdict
         results/findings.md, findings.html      the same in words, with the scores behind it
         (all of them in results/studies/{study}/ if the study has a name)
"""


rule collect_claims:
    """Claims of the study"""
    input:
        probe=probes_of_the_study,
        random_init=expand("results/{experiment}/{run}/probe.csv", experiment=EXPERIMENTS, run=RANDOM_INIT),
        loss=in_every_run("loss.csv", EXPERIMENTS),
        steering=in_every_run("steering.csv", MARKOV),
        recovery=in_every_run("recovery.csv", MARKOV),
        random_init_recovery=expand("results/{experiment}/{run}/recovery.csv", experiment=MARKOV, run=RANDOM_INIT),
        symmetry=in_every_run("symmetry.csv", MARKOV),
        random_init_symmetry=expand("results/{experiment}/{run}/symmetry.csv", experiment=MARKOV, run=RANDOM_INIT),
        circuit=in_every_run("circuit.csv", MODULAR),
        random_init_circuit=expand("results/{experiment}/{run}/circuit.csv", experiment=MODULAR, run=RANDOM_INIT),
        bases=in_every_run("bases.csv", MODULAR),
        random_init_bases=expand("results/{experiment}/{run}/bases.csv", experiment=MODULAR, run=RANDOM_INIT),
        shift_symmetry=in_every_run("shift_symmetry.csv", MODULAR),
        random_init_shift_symmetry=expand(
            "results/{experiment}/{run}/shift_symmetry.csv", experiment=MODULAR, run=RANDOM_INIT
        ),
        surgery=in_every_run("surgery.csv", LINEAR),
    output:
        claims=report(
            f"results/{STUDY}claims.csv",
            caption="captions/claims.rst",
            category="Claims",
            labels={"table": "claims with baselines and verdicts"},
        ),
        record=f"results/provenance/{STUDY}collect_claims.json",
    log:
        f"logs/{STUDY}collect_claims.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("collect_claims"),
    params:
        experiments=list(EXPERIMENTS),
        foreign=PRETRAINED,
        claims=config["claims"],
        code=code("collect_claims.py"),
    script:
        "../scripts/collect_claims.py"


rule write_findings:
    """Findings of the study in words and tables"""
    input:
        claims=f"results/{STUDY}claims.csv",
        probe=in_every_run("probe.csv", EXPERIMENTS),
        random_init=expand("results/{experiment}/{run}/probe.csv", experiment=EXPERIMENTS, run=RANDOM_INIT),
        circuit=in_every_run("circuit.csv", MODULAR),
        surgery=in_every_run("surgery.csv", LINEAR),
    output:
        text=f"results/{STUDY}findings.md",
        page=report(
            f"results/{STUDY}findings.html",
            caption="captions/findings.rst",
            category="Claims",
            labels={"table": "findings: verdicts, baselines and scores"},
        ),
        record=f"results/provenance/{STUDY}write_findings.json",
    log:
        f"logs/{STUDY}write_findings.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("write_findings"),
    params:
        claims=config["claims"],
        code=code("write_findings.py"),
    script:
        "../scripts/write_findings.py"
