"""Figures over experiments: all claims, the explainer of the chaos game, and the comparison of networks on one task.

Inputs:  results/claims.csv; results/tasks/{task}/ground_truth.zarr.zip; the tables of the compared networks
Outputs: results/figures/claims.*, explainer.*, explainer.zarr.zip, comparison.*; comparison.csv
         in results/studies/{study}/ if the study has a name
"""


rule plot_claims:
    """Draw the gain of every claim"""
    input:
        claims=f"results/{STUDY}claims.csv",
    output:
        figure=report(
            f"results/{STUDY}figures/claims.{FORMAT}",
            caption="captions/gains.rst",
            category="Claims",
            labels={"result": "gain of every claim"},
        ),
        record=f"results/provenance/{STUDY}figures/plot_claims.{FORMAT}.json",
    log:
        f"logs/{STUDY}plot_claims.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_claims"),
    params:
        **drawing("plot_claims"),
        claims=config["claims"],
    script:
        "../scripts/plot_claims.py"


if study.explained:
    EXPLAINED_TASK = study.explained["task"]

    rule play_chaos_game:
        """Chaos game of the explainer"""
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
            ground_truth=study.ground_truth(config["figures"]["explainer"]),
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
            **drawing("plot_explainer"),
            max_points=config["figures"]["max_points"],
        script:
            "../scripts/plot_explainer.py"


if study.shared_tasks:

    from geometry.config.compared import compared_networks

    rule compare_experiments:
        """Compare networks on the same task"""
        input:
            ground_truth=expand("results/tasks/{task}/ground_truth.zarr.zip", task=study.shared_tasks),
            loss=study.in_every_run("loss.csv", study.compared),
            probe=study.in_every_run("probe.csv", study.compared),
            recovery=study.in_every_run("recovery.csv", study.compared),
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
            tasks=list(study.shared_tasks),
            networks=compared_networks(study),
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
            **drawing("plot_comparison"),
        script:
            "../scripts/plot_comparison.py"
