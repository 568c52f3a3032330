"""The symmetry of modular arithmetic in a network's geometry: translations of the numbers, read without any wave.

Inputs:  results/{experiment}/{run}/activations.zarr.zip
Outputs: results/{experiment}/{run}/translations.csv      how permutations of the pairs act on the activations
         results/figures/{experiment}/translations.*
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


rule plot_translations:
    """Draw the translations of {wildcards.experiment}"""
    input:
        translations=in_runs("translations.csv"),
        untrained=f"results/{{experiment}}/{UNTRAINED}/translations.csv",
        circuit=in_runs("circuit.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/translations.{FORMAT}",
            caption="captions/translations.rst",
            category="{experiment}",
            labels={"figure": "symmetry of the numbers"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_translations.{FORMAT}.json",
    log:
        "logs/plot_translations/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_translations"),
    params:
        task=task_of,
        site=last_stream_of,
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/study.mplstyle"),
        code=code("plot_translations.py"),
    script:
        "../scripts/plot_translations.py"
