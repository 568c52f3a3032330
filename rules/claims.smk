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
        random_init=study.in_random_init("probe.csv", study.experiments),
        loss=study.in_every_run("loss.csv", study.experiments),
        steering=study.in_every_run("steering.csv", study.analysed_by("steer_network")),
        recovery=study.in_every_run("recovery.csv", study.analysed_by("score_recovery")),
        random_init_recovery=study.in_random_init("recovery.csv", study.analysed_by("score_recovery")),
        symmetry=study.in_every_run("symmetry.csv", study.analysed_by("find_symmetries")),
        random_init_symmetry=study.in_random_init("symmetry.csv", study.analysed_by("find_symmetries")),
        circuit=study.in_every_run("circuit.csv", study.analysed_by("measure_circuit")),
        random_init_circuit=study.in_random_init("circuit.csv", study.analysed_by("measure_circuit")),
        bases=study.in_every_run("bases.csv", study.analysed_by("compare_bases")),
        random_init_bases=study.in_random_init("bases.csv", study.analysed_by("compare_bases")),
        shift_symmetry=study.in_every_run("shift_symmetry.csv", study.analysed_by("find_shift_symmetry")),
        random_init_shift_symmetry=study.in_random_init("shift_symmetry.csv", study.analysed_by("find_shift_symmetry")),
        surgery=study.in_every_run("surgery.csv", study.analysed_by("measure_surgery")),
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
        experiments=study.kinds,
        foreign=study.pretrained,
        claims=config["claims"],
        code=code("collect_claims.py"),
    script:
        "../scripts/collect_claims.py"


rule write_findings:
    """Findings of the study in words and tables"""
    input:
        claims=f"results/{STUDY}claims.csv",
        probe=study.in_every_run("probe.csv", study.experiments),
        random_init=study.in_random_init("probe.csv", study.experiments),
        circuit=study.in_every_run("circuit.csv", study.analysed_by("measure_circuit")),
        surgery=study.in_every_run("surgery.csv", study.analysed_by("measure_surgery")),
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
        experiments=study.kinds,
        claims=config["claims"],
        code=code("write_findings.py"),
    script:
        "../scripts/write_findings.py"
