"""Causal tests: steering and ablation of the belief in a trained network's activations.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip
         results/{experiment}/{run}/snapshots.safetensors     the last is steered
         results/{experiment}/{run}/activations.zarr.zip
Outputs: results/{experiment}/{run}/steering.csv              divergences from optimal predictions
"""


rule steer_network:
    """Steer {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        snapshots="results/{experiment}/{run}/snapshots.safetensors",
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        steering="results/{experiment}/{run}/steering.csv",
        record="results/provenance/{experiment}/{run}/steer_network.json",
    log:
        "logs/steer_network/{experiment}_{run}.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("steer_network"),
    params:
        task=task_of,
        model=model_of,
        steering=ANALYSIS["steering"],
        pairs_seed=0,
        device=config["device"],
        code=code("steer_network.py"),
    script:
        "../scripts/steer_network.py"
