"""Activations and exact losses: snapshots of a network on every distinct prefix that its task scores.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip
         results/{experiment}/{run}/snapshots.safetensors, or the file that model.activations names
         the folder of a language model
Outputs: results/{experiment}/{run}/recording.zarr.zip
         results/{experiment}/{run}/activations.zarr.zip
         results/{experiment}/{run}/loss.csv
"""


rule extract_activations:
    """Activations of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        snapshots="results/{experiment}/{run}/snapshots.safetensors",
    output:
        activations="results/{experiment}/{run}/activations.zarr.zip",
        record="results/provenance/{experiment}/{run}/extract_activations.json",
    log:
        "logs/extract_activations/{experiment}_{run}.log",
    cache: SHARED
    priority: 15  # probes, the next longest, wait for them
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("extract_activations"),
    params:
        experiment="{experiment}",
        run="{run}",
        model=model_of,
        sites=sites_of,
        n_snapshots=n_snapshots_of,
        device=config["device"],
        code=code("extract_activations.py"),
    script:
        "../scripts/extract_activations.py"


LANGUAGE = [name for name, one in study.experiments.items() if "language" in one]

if LANGUAGE:

    if workflow.is_main_process:  # not once more in each job: tokenizers take seconds
        check_tokens(study.experiments)

    rule record_activations:
        """Let the language model of {wildcards.experiment} read the words of {wildcards.run}"""
        input:
            weights=language_files_of,
        output:
            recording="results/{experiment}/{run}/recording.zarr.zip",
            record="results/provenance/{experiment}/{run}/record_activations.json",
        log:
            "logs/record_activations/{experiment}_{run}.log",
        wildcard_constraints:
            experiment="|".join(LANGUAGE),
            run=RUN,
        priority: 20  # all else waits for it
        conda:
            "../envs/study.yaml"
        threads: 1
        resources:
            **asks("record_activations"),
        params:
            experiment="{experiment}",
            task=task_of,
            language=language_of,
            sites=sites_of,
            tree_seed=config["tree"]["seed"],
            seed=seed_of_run,
            device=config["device"],
            weights=language_digests_of,
            packages=content("envs/language.txt"),
            code=code("record_activations.py"),
        script:
            "../scripts/record_activations.py"


if study.recorded:

    ruleorder: import_activations > extract_activations  # of experiments too many to be named in a pattern

    rule import_activations:
        """Import the activations of {wildcards.experiment}, {wildcards.run}"""
        input:
            ground_truth=ground_truth_of,
            recording=recording_files_of,
        output:
            activations="results/{experiment}/{run}/activations.zarr.zip",
            record="results/provenance/{experiment}/{run}/import_activations.json",
        log:
            "logs/import_activations/{experiment}_{run}.log",
        wildcard_constraints:
            experiment="|".join(study.recorded),
        priority: 15
        conda:
            "../envs/study.yaml"
        threads: 1
        resources:
            **asks("import_activations"),
        params:
            experiment="{experiment}",
            run="{run}",
            seed=seed_of_run,
            first_random_seed=1_000_001,
            paths=recordings_of,
            sites=sites_of,
            recording=recording_digests_of,
            code=code("import_activations.py"),
        script:
            "../scripts/import_activations.py"


rule measure_loss:
    """Exact loss of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        loss="results/{experiment}/{run}/loss.csv",
        record="results/provenance/{experiment}/{run}/measure_loss.json",
    log:
        "logs/measure_loss/{experiment}_{run}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("measure_loss"),
    params:
        loss=ANALYSIS["loss"],
        code=code("measure_loss.py"),
    script:
        "../scripts/measure_loss.py"
