"""The symmetry of modular arithmetic in a network's geometry: translations of the numbers, read without any wave.

Inputs:  results/{experiment}/{run}/activations.zarr.zip
Outputs: results/{experiment}/{run}/shift_symmetry.csv      how permutations of the pairs act on the activations
         results/figures/{experiment}/shift_symmetry.*
"""


rule find_shift_symmetry:
    """Translations of {wildcards.experiment}, {wildcards.run}"""
    input:
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        shift_symmetry="results/{experiment}/{run}/shift_symmetry.csv",
        record="results/provenance/{experiment}/{run}/find_shift_symmetry.json",
    log:
        "logs/find_shift_symmetry/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(MODULAR, ANY_EXPERIMENT),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("find_shift_symmetry"),
    params:
        task=task_of,
        code=code("find_shift_symmetry.py"),
    script:
        "../scripts/find_shift_symmetry.py"


rule plot_shift_symmetry:
    """Draw the translations of {wildcards.experiment}"""
    input:
        shift_symmetry=in_runs("shift_symmetry.csv"),
        random_init=f"results/{{experiment}}/{RANDOM_INIT}/shift_symmetry.csv",
        circuit=in_runs("circuit.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/shift_symmetry.{FORMAT}",
            caption="captions/shift_symmetry.rst",
            category="{experiment}",
            labels={"figure": "symmetry of the numbers"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_shift_symmetry.{FORMAT}.json",
    log:
        "logs/plot_shift_symmetry/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_shift_symmetry"),
    params:
        task=task_of,
        site=last_layer_output_of,
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_shift_symmetry.py"),
    script:
        "../scripts/plot_shift_symmetry.py"
