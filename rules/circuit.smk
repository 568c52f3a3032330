"""The circuit of a network of modular arithmetic: the waves it answers with, and what it is without them.

Inputs:  results/{experiment}/{run}/snapshots.safetensors
Outputs: results/{experiment}/{run}/circuit.csv            losses, spectra, ablations, attention
         results/{experiment}/{run}/circuit.zarr.zip       energies, amplitudes, circles, neurons
         results/figures/{experiment}/{progress,spectrum,circles}.*
"""


rule measure_circuit:
    """The circuit of {wildcards.experiment}, {wildcards.run}"""
    input:
        snapshots="results/{experiment}/{run}/snapshots.safetensors",
    output:
        measures="results/{experiment}/{run}/circuit.csv",
        circuit="results/{experiment}/{run}/circuit.zarr.zip",
        record="results/provenance/{experiment}/{run}/measure_circuit.json",
    log:
        "logs/measure_circuit/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(MODULAR, ANY_EXPERIMENT),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("measure_circuit"),
    params:
        task=task_of,
        code=code("measure_circuit.py"),
    script:
        "../scripts/measure_circuit.py"


rule plot_progress:
    """Draw the progress of {wildcards.experiment}"""
    input:
        training=in_runs("training.csv"),
        circuit=in_runs("circuit.csv"),
        surgery=surgery_of,
        probe=in_runs("probe.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/progress.{FORMAT}",
            caption="captions/progress.rst",
            category="{experiment}",
            labels={"figure": "progress over training"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_progress.{FORMAT}.json",
    log:
        "logs/plot_progress/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_progress"),
    params:
        task=task_of,
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_progress.py"),
    script:
        "../scripts/plot_progress.py"


rule plot_spectrum:
    """Draw the frequencies of {wildcards.experiment}"""
    input:
        circuit=in_runs("circuit.zarr.zip"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/spectrum.{FORMAT}",
            caption="captions/spectrum.rst",
            category="{experiment}",
            labels={"figure": "frequencies"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_spectrum.{FORMAT}.json",
    log:
        "logs/plot_spectrum/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_spectrum"),
    params:
        task=task_of,
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_spectrum.py"),
    script:
        "../scripts/plot_spectrum.py"


rule plot_circles:
    """Draw the circles of {wildcards.experiment}"""
    input:
        circuit=in_first_run("circuit.zarr.zip"),
        circles=in_first_run("surgery.zarr.zip"),
        surgery=in_first_run("surgery.csv"),
        probe=in_first_run("probe.csv"),
        random_init=f"results/{{experiment}}/{RANDOM_INIT}/probe.csv",
    output:
        figure=report(
            f"results/figures/{{experiment}}/circles.{FORMAT}",
            caption="captions/circles.rst",
            category="{experiment}",
            labels={"figure": "circles of numbers and answers"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_circles.{FORMAT}.json",
    log:
        "logs/plot_circles/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_circles"),
    params:
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_circles.py"),
    script:
        "../scripts/plot_circles.py"
