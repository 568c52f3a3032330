"""The explorer: one page, to be opened from disk, in which beliefs are turned, words followed and networks run.

Inputs:  results/claims.csv, power.csv                         in results/studies/{study}/ if the study has a name
         results/tasks/{task}/ground_truth.zarr.zip
         results/{experiment}/{run}/decoded.zarr.zip, probe.csv, activations.zarr.zip, model.safetensors, steering.csv
         or, of modular arithmetic, model.safetensors, surgery.csv
Outputs: results/explorer.html                                 with the claims
"""

from geometry.config.explored import explorer_settings, in_all_runs, in_first_runs


rule build_explorer:
    """Build the explorer"""
    input:
        claims=f"results/{STUDY}claims.csv",
        power=f"results/{STUDY}power.csv",
        ground_truth=[
            f"results/tasks/{task}/ground_truth.zarr.zip" for task in study.tasks_analysed_by("measure_process")
        ],
        decoded=in_all_runs(study, "decoded.zarr.zip", study.analysed_by("measure_process")),
        probe=in_all_runs(study, "probe.csv", study.analysed_by("measure_process")),
        activations=in_first_runs(study, "activations.zarr.zip", study.analysed_by("steer_network")),
        steering=in_first_runs(study, "steering.csv", study.analysed_by("steer_network")),
        surgery=in_first_runs(study, "surgery.csv", study.analysed_by("measure_surgery")),
        model=in_first_runs(study, "model.safetensors", [*study.trained, *study.pretrained]),
    output:
        explorer=f"results/{STUDY}explorer.html",
        record=f"results/provenance/{STUDY}build_explorer.json",
    log:
        f"logs/{STUDY}build_explorer.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("build_explorer"),
    params:
        study=config["study"],
        root="../../" if STUDY else "",
        experiments=lambda wildcards: quoted(explorer_settings(study, ANALYSIS["circuit"]["key_share"])),
        claims=config["claims"],
        format=FORMAT,
        sources=content("scripts/explorer/*"),
        code=code("build_explorer.py"),
    script:
        "../scripts/build_explorer.py"
