"""The verdicts of the study, over all experiments and seeds, and what they rest on.

Inputs:  results/{experiment}/baselines.csv
         results/{experiment}/{run}/probe.csv, loss.csv; steering.csv, recovery.csv, symmetry.csv (and these two of
         the process), subspaces.csv, attention.csv, or circuit.csv, bases.csv, shift_symmetry.csv, surgery.csv
Outputs: results/claims/{experiment}.csv         every claim: estimate, interval, baseline, verdict
         results/claims.csv                      those of all experiments, corrected for their number
         results/power.csv                       the number of seeds that would decide each claim
         results/findings.md, findings.html      the same as text, with the scores behind it
         (all of them in results/studies/{study}/ if the study has a name)
"""


rule judge_claims:
    """Claims of {wildcards.experiment}"""
    input:
        probe=in_runs("probe.csv"),
        baselines=["results/{experiment}/baselines.csv"],
        random_init=in_random_init("probe.csv"),
        loss=in_runs_if_predicted("loss.csv"),
        steering=if_analysed("steer_network", in_runs("steering.csv")),
        recovery=if_analysed("score_recovery", in_runs("recovery.csv")),
        process_recovery=if_analysed("score_recovery", of_process("recovery.csv")),
        random_init_recovery=if_analysed("score_recovery", in_random_init("recovery.csv")),
        symmetry=if_analysed("find_symmetries", in_runs("symmetry.csv")),
        process_symmetry=if_analysed("measure_process", of_process("symmetry.csv")),
        random_init_symmetry=if_analysed("find_symmetries", in_random_init("symmetry.csv")),
        subspaces=if_analysed("measure_subspaces", in_runs("subspaces.csv")),
        random_init_subspaces=if_analysed("measure_subspaces", in_random_init("subspaces.csv")),
        attention=if_analysed("measure_attention", in_runs("attention.csv")),
        random_init_attention=if_analysed("measure_attention", in_random_init("attention.csv")),
        circuit=if_analysed("measure_circuit", in_runs("circuit.csv")),
        random_init_circuit=if_analysed("measure_circuit", in_random_init("circuit.csv")),
        bases=if_analysed("compare_bases", in_runs("bases.csv")),
        random_init_bases=if_analysed("compare_bases", in_random_init("bases.csv")),
        shift_symmetry=if_analysed("find_shift_symmetry", in_runs("shift_symmetry.csv")),
        random_init_shift_symmetry=if_analysed("find_shift_symmetry", in_random_init("shift_symmetry.csv")),
        surgery=if_analysed("measure_surgery", in_runs("surgery.csv")),
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
        kind=kind_of,
        samples=samples_of,
        claims=config["claims"],
        analysis={name: ANALYSIS[name] for name in ("recovery", "symmetry", "circuit", "loss")},
        code=code("judge_claims.py"),
    script:
        "../scripts/judge_claims.py"


rule collect_claims:
    """Claims of the study, and the seeds that would decide them"""
    input:
        claims=claims_of_the_study,
    output:
        claims=report(
            f"results/{STUDY}claims.csv",
            caption="captions/claims.rst",
            category="Claims",
            labels={"result": "claims with baselines and verdicts"},
        ),
        power=report(
            f"results/{STUDY}power.csv",
            caption="captions/power.rst",
            category="Claims",
            labels={"result": "seeds that would decide each claim"},
        ),
        record=f"results/provenance/{STUDY}collect_claims.json",
    log:
        f"logs/{STUDY}collect_claims.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("collect_claims"),
    params:
        experiments=list(study.experiments),
        claims=config["claims"],
        code=code("collect_claims.py"),
    script:
        "../scripts/collect_claims.py"


rule write_findings:
    """Findings of the study as text and tables"""
    input:
        claims=f"results/{STUDY}claims.csv",
        probe=study.in_every_run("probe.csv", study.experiments),
        baselines=[f"results/{name}/baselines.csv" for name in study.experiments],
        random_init=study.in_random_init("probe.csv", study.experiments),
        circuit=study.in_every_run("circuit.csv", study.analysed_by("measure_circuit")),
        surgery=study.in_every_run("surgery.csv", study.analysed_by("measure_surgery")),
    output:
        text=f"results/{STUDY}findings.md",
        page=report(
            f"results/{STUDY}findings.html",
            caption="captions/findings.rst",
            category="Claims",
            labels={"result": "findings: verdicts, baselines and scores"},
        ),
        record=f"results/provenance/{STUDY}write_findings.json",
    log:
        f"logs/{STUDY}write_findings.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("write_findings"),
    params:
        experiments=study.kinds,
        claims=config["claims"],
        published=content("docs/claims.csv"),
        code=code("write_findings.py"),
    script:
        "../scripts/write_findings.py"
