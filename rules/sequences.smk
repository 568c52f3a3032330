"""The words that a network is trained on, per experiment and seed.

Outputs: results/{experiment}/seed_{seed}/sequences.zarr.zip
"""


rule sample_sequences:
    """Training words of {wildcards.experiment}, seed {wildcards.seed}"""
    output:
        sequences="results/{experiment}/seed_{seed}/sequences.zarr.zip",
        record="results/provenance/{experiment}/seed_{seed}/sample_sequences.json",
    log:
        "logs/sample_sequences/{experiment}_seed_{seed}.log",
    wildcard_constraints:
        experiment=names(TRAINED, ANY_EXPERIMENT),
    cache: SHARED
    conda:
        "../envs/study.yaml"
    resources:
        **asks("sample_sequences"),
    params:
        experiment="{experiment}",
        seed=seed_of,
        task=task_of,
        size=batches_of,
        code=code("sample_sequences.py"),
    script:
        "../scripts/sample_sequences.py"
