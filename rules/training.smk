"""Networks: one trained per experiment and seed, and some that never are, as a baseline.

Inputs:  results/{experiment}/seed_{seed}/sequences.zarr.zip    none where the whole tree is trained on
Outputs: results/{experiment}/seed_{seed}/model.safetensors      the trained weights
         results/{experiment}/seed_{seed}/snapshots.safetensors  the weights over training, stacked
         results/{experiment}/seed_{seed}/training.csv           loss, optimum and gap in nats
         results/{experiment}/random_init/snapshots.safetensors    networks as they are initialised
"""


rule train_model:
    """Train {wildcards.experiment}, seed {wildcards.seed}"""
    input:
        sequences=sequences_of,
    output:
        model="results/{experiment}/seed_{seed}/model.safetensors",
        snapshots="results/{experiment}/seed_{seed}/snapshots.safetensors",
        training="results/{experiment}/seed_{seed}/training.csv",
        record="results/provenance/{experiment}/seed_{seed}/train_model.json",
    log:
        "logs/train_model/{experiment}_seed_{seed}.log",
    wildcard_constraints:
        experiment=names(TRAINED, ANY_EXPERIMENT),
    cache: SHARED
    priority: 10  # the longest jobs first
    conda:
        "../envs/study.yaml"
    threads: 1  # more would change the order of sums, and with it the bytes
    resources:
        **asks("train_model"),
    params:
        experiment="{experiment}",
        seed=seed_of,
        task=task_of,
        model=model_of,
        training=training_of,
        device=config["device"],
        unfinished="unfinished/train_model/{experiment}_seed_{seed}.safetensors",
        code=code("train_model.py"),
    script:
        "../scripts/train_model.py"


rule initialize_networks:
    """Networks of {wildcards.experiment} that are never trained"""
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
        task=task_of,
        model=model_of,
        n_networks=n_random_networks_of,
        code=code("initialize_networks.py"),
    script:
        "../scripts/initialize_networks.py"
