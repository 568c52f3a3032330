"""What an optimal observer knows, per task: every distinct prefix with its belief state.

Outputs: results/tasks/{task}/ground_truth.zarr.zip
"""


rule build_ground_truth:
    """Ground truth of {wildcards.task}"""
    output:
        ground_truth="results/tasks/{task}/ground_truth.zarr.zip",
    log:
        "logs/build_ground_truth/{task}.log",
    benchmark:
        "benchmarks/build_ground_truth/{task}.tsv"
    conda:
        "../envs/study.yaml"
    params:
        task=named_task,
        tree=config["tree"],
        code=code("build_ground_truth.py"),
    script:
        "../scripts/build_ground_truth.py"
