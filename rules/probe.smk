"""The regressions from activations to belief states, with their controls, and what they decode.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip
         results/{experiment}/seed_{seed}/activations.zarr.zip
Outputs: results/{experiment}/seed_{seed}/probe.csv               every score
         results/{experiment}/seed_{seed}/decoded.zarr.zip        beliefs decoded out of fold
         results/{experiment}/seed_{seed}/distances.zarr.zip      pairwise distances
"""


rule probe_beliefs:
    """Probe {wildcards.experiment}, seed {wildcards.seed}"""
    input:
        ground_truth=ground_truth_of,
        activations="results/{experiment}/seed_{seed}/activations.zarr.zip",
    output:
        probe="results/{experiment}/seed_{seed}/probe.csv",
        decoded="results/{experiment}/seed_{seed}/decoded.zarr.zip",
        record="results/provenance/{experiment}/seed_{seed}/probe_beliefs.json",
    log:
        "logs/probe_beliefs/{experiment}_seed_{seed}.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    params:
        probe=regression_of,
        code=code("probe_beliefs.py"),
    script:
        "../scripts/probe_beliefs.py"


rule measure_distances:
    """Pairwise distances of {wildcards.experiment}, seed {wildcards.seed}"""
    input:
        ground_truth=ground_truth_of,
        decoded="results/{experiment}/seed_{seed}/decoded.zarr.zip",
    output:
        distances="results/{experiment}/seed_{seed}/distances.zarr.zip",
        record="results/provenance/{experiment}/seed_{seed}/measure_distances.json",
    log:
        "logs/measure_distances/{experiment}_seed_{seed}.log",
    conda:
        "../envs/study.yaml"
    params:
        probe=regression_of,
        n_pairs=20000,
        code=code("measure_distances.py"),
    script:
        "../scripts/measure_distances.py"
