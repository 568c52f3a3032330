"""Activations and exact losses: every snapshot of a network on every distinct prefix of its task.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip
         results/{experiment}/seed_{seed}/snapshots.safetensors
Outputs: results/{experiment}/seed_{seed}/activations.zarr.zip
         results/{experiment}/seed_{seed}/loss.csv
"""


rule extract_activations:
    """Activations of {wildcards.experiment}, seed {wildcards.seed}"""
    input:
        ground_truth=ground_truth_of,
        snapshots="results/{experiment}/seed_{seed}/snapshots.safetensors",
    output:
        activations="results/{experiment}/seed_{seed}/activations.zarr.zip",
        record="results/provenance/{experiment}/seed_{seed}/extract_activations.json",
    log:
        "logs/extract_activations/{experiment}_seed_{seed}.log",
    cache: SHARED
    conda:
        "../envs/study.yaml"
    threads: 1
    params:
        experiment="{experiment}",
        seed=seed_of,
        model=model_of,
        sites=sites_of,
        device=config["device"],
        code=code("extract_activations.py"),
    script:
        "../scripts/extract_activations.py"


rule measure_loss:
    """Exact loss of {wildcards.experiment}, seed {wildcards.seed}"""
    input:
        ground_truth=ground_truth_of,
        activations="results/{experiment}/seed_{seed}/activations.zarr.zip",
    output:
        loss="results/{experiment}/seed_{seed}/loss.csv",
        record="results/provenance/{experiment}/seed_{seed}/measure_loss.json",
    log:
        "logs/measure_loss/{experiment}_seed_{seed}.log",
    conda:
        "../envs/study.yaml"
    params:
        code=code("measure_loss.py"),
    script:
        "../scripts/measure_loss.py"
