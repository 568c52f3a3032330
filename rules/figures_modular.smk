"""Figures of modular arithmetic, one rule and one script each.

Outputs: results/figures/{experiment}/{name}.*
"""


rule plot_progress:
    """Draw the progress of {wildcards.experiment}"""
    input:
        training=in_runs("training.csv"),
        circuit=in_runs("circuit.csv"),
        surgery=if_analysed("measure_surgery", in_runs("surgery.csv")),
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
        **drawing("plot_progress"),
        task=task_of,
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
        **drawing("plot_spectrum"),
        task=task_of,
        pure_neuron_share=ANALYSIS["circuit"]["pure_neuron_share"],
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
        **drawing("plot_circles"),
    script:
        "../scripts/plot_circles.py"


rule plot_bases:
    """Draw the bases of {wildcards.experiment}"""
    input:
        bases=in_runs("bases.csv"),
        random_init=f"results/{{experiment}}/{RANDOM_INIT}/bases.csv",
    output:
        figure=report(
            f"results/figures/{{experiment}}/bases.{FORMAT}",
            caption="captions/bases.rst",
            category="{experiment}",
            labels={"figure": "Fourier and other bases"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_bases.{FORMAT}.json",
    log:
        "logs/plot_bases/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_bases"),
    params:
        **drawing("plot_bases"),
        task=task_of,
    script:
        "../scripts/plot_bases.py"


rule plot_shift_symmetry:
    """Draw the shift symmetry of {wildcards.experiment}"""
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
        **drawing("plot_shift_symmetry"),
        task=task_of,
        site=last_layer_output_of,
    script:
        "../scripts/plot_shift_symmetry.py"


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
        **drawing("plot_surgery"),
        task=task_of,
    script:
        "../scripts/plot_surgery.py"
