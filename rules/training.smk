"""Networks and their training sequences: trained here, pretrained elsewhere, or at random initialisation.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip, for what a pretrained network predicts at each position
         the file that model.checkpoint names
Outputs: results/{experiment}/{run}/sequences.zarr.zip               training sequences
         results/{experiment}/{run}/model.safetensors                weights at the last step
         results/{experiment}/{run}/snapshots.safetensors            weights over training; of a pretrained network, a
                                                                     new one of its shape before it
         results/{experiment}/{run}/training.csv                     loss over training
         results/{experiment}/random_init/snapshots.safetensors      random networks, which are never trained
"""


rule sample_sequences:
    """Training sequences of {wildcards.experiment}, {wildcards.run}"""
    output:
        sequences="results/{experiment}/{run}/sequences.zarr.zip",
        record="results/provenance/{experiment}/{run}/sample_sequences.json",
    log:
        "logs/sample_sequences/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(study.trained),
        run=RUN,
    cache: SHARED
    priority: 20  # networks wait for them
    conda:
        "../envs/study.yaml"
    resources:
        **asks("sample_sequences"),
    params:
        experiment="{experiment}",
        seeds=seeds_of_run,
        task=trained_task_of,
        size=batches_of,
        code=code("sample_sequences.py"),
    script:
        "../scripts/sample_sequences.py"


rule train_model:
    """Train {wildcards.experiment}, {wildcards.run}"""
    input:
        sequences=sequences_of,
    output:
        model="results/{experiment}/{run}/model.safetensors",
        snapshots="results/{experiment}/{run}/snapshots.safetensors",
        training="results/{experiment}/{run}/training.csv",
        record="results/provenance/{experiment}/{run}/train_model.json",
    log:
        "logs/train_model/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(study.trained),
        run=RUN,
    cache: SHARED
    priority: 10  # the longest jobs first, so that none runs alone at the end
    conda:
        "../envs/study.yaml"
    threads: 1  # more would change the order of sums, and with it the bytes
    resources:
        **asks("train_model"),
    params:
        experiment="{experiment}",
        seeds=seeds_of_run,
        task=trained_task_of,
        model=model_of,
        training=training_of,
        device=config["device"],
        unfinished="unfinished/train_model/{experiment}",
        code=code("train_model.py"),
    script:
        "../scripts/train_model.py"


rule initialize_networks:
    """Random networks of {wildcards.experiment}"""
    output:
        snapshots=f"results/{{experiment}}/{RANDOM_INIT}/snapshots.safetensors",
        record=f"results/provenance/{{experiment}}/{RANDOM_INIT}/initialize_networks.json",
    log:
        "logs/initialize_networks/{experiment}.log",
    cache: SHARED
    conda:
        "../envs/study.yaml"
    resources:
        **asks("initialize_networks"),
    params:
        experiment="{experiment}",
        task=trained_task_of,
        model=model_of,
        n_networks=n_random_networks_of,
        code=code("initialize_networks.py"),
    script:
        "../scripts/initialize_networks.py"


if study.pretrained:

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
            experiment="|".join(study.pretrained),
            run=f"pretrained|{RUN}",
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
            checkpoint=checkpoint_digest_of,
            format=checkpoint_format_of,
            loss=ANALYSIS["loss"],
            code=code("import_model.py"),
        script:
            "../scripts/import_model.py"
