"""The symmetry of modular arithmetic in a network's geometry: translations of the numbers, read without any wave.

Inputs:  results/{experiment}/{run}/activations.zarr.zip
Outputs: results/{experiment}/{run}/translations.csv      how permutations of the pairs act on the activations
"""


rule find_translations:
    """Translations of {wildcards.experiment}, {wildcards.run}"""
    input:
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        translations="results/{experiment}/{run}/translations.csv",
        record="results/provenance/{experiment}/{run}/find_translations.json",
    log:
        "logs/find_translations/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(MODULAR, ANY_EXPERIMENT),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("find_translations"),
    params:
        task=task_of,
        code=code("find_translations.py"),
    script:
        "../scripts/find_translations.py"
