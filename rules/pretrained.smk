"""Networks that were trained elsewhere: each takes the place of one that is trained here.

Inputs:  the file that model.checkpoint names
         results/tasks/{task}/ground_truth.zarr.zip, for what it predicts at each position
Outputs: results/{experiment}/{run}/model.safetensors      its weights
         results/{experiment}/{run}/snapshots.safetensors  a new network of the same shape, and it
"""


ruleorder: import_model > train_model  # of experiments too many to be named in a pattern


rule import_model:
    """Import {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        checkpoint=checkpoint_of,
    output:
        model="results/{experiment}/{run}/model.safetensors",
        snapshots="results/{experiment}/{run}/snapshots.safetensors",
        record="results/provenance/{experiment}/{run}/import_model.json",
    log:
        "logs/import_model/{experiment}_{run}.log",
    wildcard_constraints:
        experiment="|".join(PRETRAINED),
        run=r"checkpoint|seed_[0-9]+",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("import_model"),
    params:
        experiment="{experiment}",
        run="{run}",
        seed=seed_of_run,
        task=task_of,
        model=model_of,
        code=code("import_model.py"),
    script:
        "../scripts/import_model.py"
