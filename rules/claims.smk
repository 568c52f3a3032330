"""The verdicts of the study, over all experiments and seeds, and what they rest on.

Inputs:  results/{experiment}/baselines.csv
         results/{experiment}/{run}/probe.csv, loss.csv; steering.csv, recovery.csv, symmetry.csv (and these two of
         the process), or circuit.csv, bases.csv, shift_symmetry.csv, surgery.csv
Outputs: results/claims/{experiment}.csv         every claim: estimate, interval, baseline, verdict
         results/claims.csv                      those of all experiments
         results/findings.md, findings.html      the same in words, with the scores behind it
         (all of them in results/studies/{study}/ if the study has a name)
"""


rule judge_claims:
    """Claims of {wildcards.experiment}"""
    input:
        probe=in_runs("probe.csv"),
        baselines=["results/{experiment}/baselines.csv"],
        random_init=[f"results/{{experiment}}/{RANDOM_INIT}/probe.csv"],
        loss=in_runs("loss.csv"),
        steering=in_runs_of(MARKOV, "steering.csv"),
        recovery=in_runs_of(MARKOV, "recovery.csv"),
        process_recovery=of_process_of(MARKOV, "recovery.csv"),
        random_init_recovery=in_random_init_of(MARKOV, "recovery.csv"),
        symmetry=in_runs_of(MARKOV, "symmetry.csv"),
        process_symmetry=of_process_of(MARKOV, "symmetry.csv"),
        random_init_symmetry=in_random_init_of(MARKOV, "symmetry.csv"),
        circuit=in_runs_of(MODULAR, "circuit.csv"),
        random_init_circuit=in_random_init_of(MODULAR, "circuit.csv"),
        bases=in_runs_of(MODULAR, "bases.csv"),
        random_init_bases=in_random_init_of(MODULAR, "bases.csv"),
        shift_symmetry=in_runs_of(MODULAR, "shift_symmetry.csv"),
        random_init_shift_symmetry=in_random_init_of(MODULAR, "shift_symmetry.csv"),
        surgery=in_runs_of(LINEAR, "surgery.csv"),
    output:
        claims=f"results/{STUDY}claims/{{experiment}}.csv",
        record=f"results/provenance/{STUDY}claims/{{experiment}}/judge_claims.json",
    log:
        f"logs/{STUDY}judge_claims/{{experiment}}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("judge_claims"),
    params:
        claims=config["claims"],
        code=code("judge_claims.py"),
    script:
        "../scripts/judge_claims.py"


rule collect_claims:
    """Claims of the study"""
    input:
        claims=claims_of_the_study,
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
        code=code("collect_claims.py"),
    script:
        "../scripts/collect_claims.py"


rule write_findings:
    """Findings of the study in words and tables"""
    input:
        claims=f"results/{STUDY}claims.csv",
        probe=in_every_run("probe.csv", EXPERIMENTS),
        baselines=expand("results/{experiment}/baselines.csv", experiment=EXPERIMENTS),
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
