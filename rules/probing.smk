"""The regressions from activations to belief states, with their controls, and what they decode.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip
         results/{experiment}/baselines.csv
         results/{experiment}/{run}/activations.zarr.zip
Outputs: results/{experiment}/{run}/probe.csv               every score of a network
         results/{experiment}/{run}/decoded.zarr.zip        beliefs decoded out of fold
         results/{experiment}/{run}/distances.zarr.zip      pairwise distances; distances.csv: how far they agree
         results/{experiment}/{run}/components.zarr.zip     principal components
"""


rule probe_beliefs:
    """Probe {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        baselines="results/{experiment}/baselines.csv",
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        probe="results/{experiment}/{run}/probe.csv",
        decoded="results/{experiment}/{run}/decoded.zarr.zip",
        record="results/provenance/{experiment}/{run}/probe_beliefs.json",
    log:
        "logs/probe_beliefs/{experiment}_{run}.log",
    priority: 5  # the longest after training
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("probe_beliefs"),
    params:
        task=task_of,
        probe=regression_of,
        concatenated=concatenated_of,
        seed=seed_of_run,
        samples=samples_of,
        code=code("probe_beliefs.py"),
    script:
        "../scripts/probe_beliefs.py"


rule measure_distances:
    """Pairwise distances of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        decoded="results/{experiment}/{run}/decoded.zarr.zip",
    output:
        distances="results/{experiment}/{run}/distances.zarr.zip",
        table="results/{experiment}/{run}/distances.csv",
        record="results/provenance/{experiment}/{run}/measure_distances.json",
    log:
        "logs/measure_distances/{experiment}_{run}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("measure_distances"),
    params:
        probe=regression_of,
        n_pairs=ANALYSIS["sampling"]["distance_pairs"],
        code=code("measure_distances.py"),
    script:
        "../scripts/measure_distances.py"


rule measure_components:
    """Principal components of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        components="results/{experiment}/{run}/components.zarr.zip",
        record="results/provenance/{experiment}/{run}/measure_components.json",
    log:
        "logs/measure_components/{experiment}_{run}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("measure_components"),
    params:
        site=last_layer_output_of,
        code=code("measure_components.py"),
    script:
        "../scripts/measure_components.py"
