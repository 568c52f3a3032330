"""Recovery of the process from a network's predictions and activations, and how near it is to the true one.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip          a recovery reads its prefixes alone
         results/{experiment}/{run}/activations.zarr.zip
Outputs: results/{experiment}/{run}/generator.zarr.zip       dimensions, operators, read-out, by snapshot and site
         results/{experiment}/{run}/recovery.csv             its scores, and those of learning from sampled sequences
         results/{experiment}/{run}/fractal.zarr.zip         the chaos game on the recovered maps; eigenvalues
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
        experiment=analysed_by("recover_process"),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("recover_process"),
    params:
        concatenated=concatenated_of,
        faintest=ANALYSIS["recovery"]["faintest_singular_value"],
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
        experiment=analysed_by("score_recovery"),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("score_recovery"),
    params:
        task=trained_task_of,
        site=last_layer_output_of,
        n_sequences=n_sequences_of,
        seed=config["tree"]["seed"],
        code=code("score_recovery.py"),
    script:
        "../scripts/score_recovery.py"
