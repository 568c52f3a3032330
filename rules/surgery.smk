"""Surgery: a network of modular addition re-cut for other moduli, without training.

Inputs:  results/{experiment}/{run}/snapshots.safetensors
Outputs: results/{experiment}/{run}/surgery.csv                      accuracy by modulus, with controls
         results/{experiment}/{run}/surgery.zarr.zip                 circles of one modulus, to be drawn
         results/{experiment}/{run}/modulus_{modulus}.safetensors    the network for one, if asked for
         results/figures/{experiment}/surgery.*
"""


rule measure_surgery:
    """Other moduli for {wildcards.experiment}, {wildcards.run}"""
    input:
        snapshots="results/{experiment}/{run}/snapshots.safetensors",
    output:
        surgery="results/{experiment}/{run}/surgery.csv",
        circles="results/{experiment}/{run}/surgery.zarr.zip",
        record="results/provenance/{experiment}/{run}/measure_surgery.json",
    log:
        "logs/measure_surgery/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(LINEAR, ANY_EXPERIMENT),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("measure_surgery"),
    params:
        task=task_of,
        surgery=config["surgery"],
        code=code("measure_surgery.py"),
    script:
        "../scripts/measure_surgery.py"


rule export_surgery:
    """{wildcards.experiment}, {wildcards.run}, for modulus {wildcards.modulus}"""
    input:
        model="results/{experiment}/{run}/model.safetensors",
    output:
        model="results/{experiment}/{run}/modulus_{modulus}.safetensors",
        record="results/provenance/{experiment}/{run}/export_surgery_{modulus}.json",
    log:
        "logs/export_surgery/{experiment}_{run}_{modulus}.log",
    wildcard_constraints:
        experiment=names(LINEAR, ANY_EXPERIMENT),
        modulus="[0-9]+",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("export_surgery"),
    params:
        task=task_of,
        code=code("export_surgery.py"),
    script:
        "../scripts/export_surgery.py"


rule plot_surgery:
    """Draw the surgery of {wildcards.experiment}"""
    input:
        surgery=in_runs("surgery.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/surgery.{FORMAT}",
            caption="captions/surgery.rst",
            category="{experiment}",
            labels={"figure": "surgery for other moduli"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_surgery.{FORMAT}.json",
    log:
        "logs/plot_surgery/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_surgery"),
    params:
        task=task_of,
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_surgery.py"),
    script:
        "../scripts/plot_surgery.py"
