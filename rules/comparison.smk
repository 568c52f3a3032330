"""Experiments that share a task, side by side: architectures, widths and depths.

Inputs:  results/{experiment}/{run}/loss.csv, probe.csv, recovery.csv
         results/tasks/{task}/ground_truth.zarr.zip
Outputs: results/comparison.csv             both in results/studies/{study}/ if the study has a name
         results/figures/comparison.*
"""


rule compare_experiments:
    """Compare networks on the same task"""
    input:
        ground_truth=expand("results/tasks/{task}/ground_truth.zarr.zip", task=SHARED_TASKS),
        loss=in_every_run("loss.csv", COMPARED),
        probe=in_every_run("probe.csv", COMPARED),
        recovery=in_every_run("recovery.csv", COMPARED),
    output:
        comparison=f"results/{STUDY}comparison.csv",
        record=f"results/provenance/{STUDY}compare_experiments.json",
    log:
        f"logs/{STUDY}compare_experiments.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("compare_experiments"),
    params:
        tasks=SHARED_TASKS,
        networks=compared_networks(),
        code=code("compare_experiments.py"),
    script:
        "../scripts/compare_experiments.py"


rule plot_comparison:
    """Draw networks on the same task side by side"""
    input:
        comparison=f"results/{STUDY}comparison.csv",
    output:
        figure=report(
            f"results/{STUDY}figures/comparison.{FORMAT}",
            caption="captions/comparison.rst",
            category="Study",
            labels={"figure": "networks side by side"},
        ),
        record=f"results/provenance/{STUDY}figures/plot_comparison.{FORMAT}.json",
    log:
        f"logs/{STUDY}plot_comparison.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_comparison"),
    params:
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_comparison.py"),
    script:
        "../scripts/plot_comparison.py"
