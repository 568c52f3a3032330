"""Every figure: one rule and one script each; statistics arrive computed.

Inputs:  results/tasks/, results/{experiment}/{run}/ and the style file
Outputs: results/figures/{experiment}/*
"""


rule plot_belief_simplex:
    """Draw true and decoded beliefs of {wildcards.experiment}"""
    input:
        ground_truth=ground_truth_of,
        decoded=in_first_run("decoded.zarr.zip"),
        probe=in_first_run("probe.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/belief_simplex.{FORMAT}",
            caption="captions/belief_simplex.rst",
            category="{experiment}",
            labels={"figure": "true and decoded beliefs"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_belief_simplex.{FORMAT}.json",
    log:
        "logs/plot_belief_simplex/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_belief_simplex"),
    params:
        site=drawn_site_of,
        dpi=config["figures"]["dpi"],
        max_points=config["figures"]["max_points"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_belief_simplex.py"),
    script:
        "../scripts/plot_belief_simplex.py"


rule plot_emergence:
    """Draw the emergence of {wildcards.experiment}"""
    input:
        ground_truth=ground_truth_of,
        decoded=in_first_run("decoded.zarr.zip"),
        probe=in_first_run("probe.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/emergence.{FORMAT}",
            caption="captions/emergence.rst",
            category="{experiment}",
            labels={"figure": "emergence over training"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_emergence.{FORMAT}.json",
    log:
        "logs/plot_emergence/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_emergence"),
    params:
        site=drawn_site_of,
        dpi=config["figures"]["dpi"],
        max_points=config["figures"]["max_points"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_emergence.py"),
    script:
        "../scripts/plot_emergence.py"


rule animate_emergence:
    """Animate the emergence of {wildcards.experiment}"""
    input:
        ground_truth=ground_truth_of,
        decoded=in_first_run("decoded.zarr.zip"),
        probe=in_first_run("probe.csv"),
    output:
        animation=report(
            "results/figures/{experiment}/emergence.gif",
            caption="captions/animation.rst",
            category="{experiment}",
            labels={"figure": "emergence, animated"},
        ),
        record="results/provenance/figures/{experiment}/animate_emergence.json",
    log:
        "logs/animate_emergence/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("animate_emergence"),
    params:
        site=drawn_site_of,
        max_points=config["figures"]["max_points"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("animate_emergence.py"),
    script:
        "../scripts/animate_emergence.py"


rule plot_sites:
    """Draw the decoded beliefs of {wildcards.experiment} by site"""
    input:
        ground_truth=ground_truth_of,
        decoded=in_first_run("decoded.zarr.zip"),
        probe=in_first_run("probe.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/sites.{FORMAT}",
            caption="captions/sites.rst",
            category="{experiment}",
            labels={"figure": "decoded beliefs by site"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_sites.{FORMAT}.json",
    log:
        "logs/plot_sites/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_sites"),
    params:
        dpi=config["figures"]["dpi"],
        max_points=config["figures"]["max_points"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_sites.py"),
    script:
        "../scripts/plot_sites.py"


rule plot_r2_by_site:
    """Draw R2 by site of {wildcards.experiment}"""
    input:
        probe=in_runs("probe.csv"),
        random_init=f"results/{{experiment}}/{RANDOM_INIT}/probe.csv",
    output:
        figure=report(
            f"results/figures/{{experiment}}/r2_by_site.{FORMAT}",
            caption="captions/r2_by_site.rst",
            category="{experiment}",
            labels={"figure": "R² by site"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_r2_by_site.{FORMAT}.json",
    log:
        "logs/plot_r2_by_site/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_r2_by_site"),
    params:
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_r2_by_site.py"),
    script:
        "../scripts/plot_r2_by_site.py"


rule plot_loss:
    """Draw the loss of {wildcards.experiment} beside its optimum"""
    input:
        training=in_runs("training.csv"),
        loss=in_runs("loss.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/loss.{FORMAT}",
            caption="captions/loss.rst",
            category="{experiment}",
            labels={"figure": "loss beside the optimum"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_loss.{FORMAT}.json",
    log:
        "logs/plot_loss/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_loss"),
    params:
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_loss.py"),
    script:
        "../scripts/plot_loss.py"


rule plot_distances:
    """Draw the pairwise distances of {wildcards.experiment}"""
    input:
        distances=in_first_run("distances.zarr.zip"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/distances.{FORMAT}",
            caption="captions/distances.rst",
            category="{experiment}",
            labels={"figure": "pairwise distances"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_distances.{FORMAT}.json",
    log:
        "logs/plot_distances/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_distances"),
    params:
        sites=compared_sites_of,
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_distances.py"),
    script:
        "../scripts/plot_distances.py"


rule plot_controls:
    """Draw the controls of {wildcards.experiment}"""
    input:
        probe=in_runs("probe.csv"),
        random_init=f"results/{{experiment}}/{RANDOM_INIT}/probe.csv",
    output:
        figure=report(
            f"results/figures/{{experiment}}/controls.{FORMAT}",
            caption="captions/controls.rst",
            category="{experiment}",
            labels={"figure": "baselines and wrong targets"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_controls.{FORMAT}.json",
    log:
        "logs/plot_controls/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_controls"),
    params:
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_controls.py"),
    script:
        "../scripts/plot_controls.py"


rule plot_components:
    """Draw the principal components of {wildcards.experiment}"""
    input:
        ground_truth=ground_truth_of,
        components=in_first_run("components.zarr.zip"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/components.{FORMAT}",
            caption="captions/components.rst",
            category="{experiment}",
            labels={"figure": "geometry without a probe"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_components.{FORMAT}.json",
    log:
        "logs/plot_components/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_components"),
    params:
        max_points=config["figures"]["max_points"],
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_components.py"),
    script:
        "../scripts/plot_components.py"


rule plot_steering:
    """Draw the steering of {wildcards.experiment}"""
    input:
        steering=in_runs("steering.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/steering.{FORMAT}",
            caption="captions/steering.rst",
            category="{experiment}",
            labels={"figure": "steering and ablation"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_steering.{FORMAT}.json",
    log:
        "logs/plot_steering/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_steering"),
    params:
        dpi=config["figures"]["dpi"],
        style=content("scripts/geometry/figures/study.mplstyle"),
        code=code("plot_steering.py"),
    script:
        "../scripts/plot_steering.py"
