"""The inverse: the process that a network has found, read out of the network alone, and how near it is to the truth.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip          of which a recovery reads the prefixes alone
         results/{experiment}/{run}/activations.zarr.zip
Outputs: results/{experiment}/{run}/generator.zarr.zip       dimensions, operators, read-out, by snapshot and site
         results/{experiment}/{run}/recovery.csv             its scores, and those of baselines
         results/{experiment}/{run}/fractal.zarr.zip         the chaos game on the recovered maps; eigenvalues
         results/figures/{experiment}/recovery.*
"""


rule recover_process:
    """Recover the process of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        generator="results/{experiment}/{run}/generator.zarr.zip",
        record="results/provenance/{experiment}/{run}/recover_process.json",
    log:
        "logs/recover_process/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(MARKOV, ANY_EXPERIMENT),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("recover_process"),
    params:
        concatenated=concatenated_of,
        seed=0,
        code=code("recover_process.py"),
    script:
        "../scripts/recover_process.py"


rule score_recovery:
    """Score the recovered process of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        generator="results/{experiment}/{run}/generator.zarr.zip",
    output:
        recovery="results/{experiment}/{run}/recovery.csv",
        fractal="results/{experiment}/{run}/fractal.zarr.zip",
        record="results/provenance/{experiment}/{run}/score_recovery.json",
    log:
        "logs/score_recovery/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(MARKOV, ANY_EXPERIMENT),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("score_recovery"),
    params:
        task=task_of,
        site=last_layer_output_of,
        n_sequences=n_sequences_of,
        sequences_seed=seed_of_run,
        seed=0,
        code=code("score_recovery.py"),
    script:
        "../scripts/score_recovery.py"


rule plot_recovery:
    """Draw the recovered process of {wildcards.experiment}"""
    input:
        ground_truth=ground_truth_of,
        fractal=in_first_run("fractal.zarr.zip"),
        recovery=in_runs("recovery.csv"),
        random_init=f"results/{{experiment}}/{RANDOM_INIT}/recovery.csv",
    output:
        figure=report(
            f"results/figures/{{experiment}}/recovery.{FORMAT}",
            caption="captions/recovery.rst",
            category="{experiment}",
            labels={"figure": "the process that came out of the network"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_recovery.{FORMAT}.json",
    log:
        "logs/plot_recovery/{experiment}.log",
    wildcard_constraints:
        experiment=names(MARKOV, ANY_EXPERIMENT),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_recovery"),
    params:
        trained_here=is_trained_here,
        max_points=config["figures"]["max_points"],
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_recovery.py"),
    script:
        "../scripts/plot_recovery.py"
