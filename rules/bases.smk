"""The bases in which what modular addition has learned of its tokens may be sparse: Fourier, wavelets, and others.

Inputs:  results/{experiment}/{run}/snapshots.safetensors    of trained runs, and of the networks that never are
Outputs: results/{experiment}/{run}/bases.csv                measures of sparsity per snapshot, matrix and basis
         results/figures/{experiment}/bases.*
"""


rule compare_bases:
    """Compare bases for {wildcards.experiment}, {wildcards.run}"""
    input:
        snapshots="results/{experiment}/{run}/snapshots.safetensors",
    output:
        bases="results/{experiment}/{run}/bases.csv",
        record="results/provenance/{experiment}/{run}/compare_bases.json",
    log:
        "logs/compare_bases/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=names(MODULAR, ANY_EXPERIMENT),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("compare_bases"),
    params:
        task=task_of,
        code=code("compare_bases.py"),
    script:
        "../scripts/compare_bases.py"


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
        task=task_of,
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_bases.py"),
    script:
        "../scripts/plot_bases.py"
