"""What an optimal observer knows, per task: every distinct prefix with its belief state.

Outputs: results/tasks/{task}/ground_truth.zarr.zip
"""


rule build_ground_truth:
    """Ground truth of {wildcards.task}"""
    output:
        ground_truth="results/tasks/{task}/ground_truth.zarr.zip",
        record="results/provenance/tasks/{task}/build_ground_truth.json",
    log:
        "logs/build_ground_truth/{task}.log",
    cache: SHARED
    conda:
        "../envs/study.yaml"
    resources:
        **asks("build_ground_truth"),
    params:
        name="{task}",
        task=named_task,
        tree=config["tree"],
        code=code("build_ground_truth.py"),
    script:
        "../scripts/build_ground_truth.py"
