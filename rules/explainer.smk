"""Why a fractal: the chaos game on the belief maps of one experiment's task.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip
Outputs: results/figures/explainer.*, explainer.zarr.zip    in results/studies/{study}/ if the study has a name
"""

EXPLAINED_TASK = EXPLAINED["task"]


rule play_chaos_game:
    """Points of the explainer"""
    output:
        chaos_game=f"results/{STUDY}figures/explainer.zarr.zip",
        record=f"results/provenance/{STUDY}figures/play_chaos_game.json",
    log:
        f"logs/{STUDY}play_chaos_game.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("play_chaos_game"),
    params:
        task=EXPLAINED_TASK,
        n_points=100000,
        seed=config["tree"]["seed"],
        code=code("play_chaos_game.py"),
    script:
        "../scripts/play_chaos_game.py"


rule plot_explainer:
    """Draw the explainer"""
    input:
        chaos_game=f"results/{STUDY}figures/explainer.zarr.zip",
        ground_truth=f"results/tasks/{task_name(EXPLAINED_TASK)}/ground_truth.zarr.zip",
    output:
        figure=report(
            f"results/{STUDY}figures/explainer.{FORMAT}",
            caption="captions/explainer.rst",
            category="Explainer",
            labels={"figure": "why a fractal"},
        ),
        record=f"results/provenance/{STUDY}figures/plot_explainer.{FORMAT}.json",
    log:
        f"logs/{STUDY}plot_explainer.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_explainer"),
    params:
        dpi=config["figures"]["dpi"],
        max_points=config["figures"]["max_points"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_explainer.py"),
    script:
        "../scripts/plot_explainer.py"
