"""Figures of beliefs, one rule and one script each; statistics arrive computed.

Outputs: results/figures/{experiment}/{name}.*
"""

DRAWN = study.analysed_by("plot_belief_simplex")


rule preview:
    """A first look: draw the beliefs of each experiment's first network, and print their R2 beside its baselines"""
    input:
        figures=expand("results/figures/{experiment}/belief_simplex.{format}", experiment=DRAWN, format=FORMAT),
        probe=[study.in_every_run("probe.csv", [name])[0] for name in DRAWN],
        baselines=expand("results/{experiment}/baselines.csv", experiment=DRAWN),
    log:
        "logs/preview.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("preview"),
    params:
        sites=[study.drawn_site(name) for name in DRAWN],
    script:
        "../scripts/preview.py"


rule plot_belief_simplex:
    """Draw true and decoded beliefs of {wildcards.experiment}"""
    input:
        ground_truth=ground_truth_of,
        decoded=in_first_run("decoded.zarr.zip"),
        probe=in_first_run("probe.csv"),
        of_tokens="results/{experiment}/decoded_from_tokens.zarr.zip",
        baselines="results/{experiment}/baselines.csv",
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
        **drawing("plot_belief_simplex"),
        site=drawn_site_of,
        max_points=config["figures"]["max_points"],
    script:
        "../scripts/plot_belief_simplex.py"


rule plot_process:
    """Draw the process of {wildcards.experiment}"""
    output:
        figure=report(
            f"results/figures/{{experiment}}/process.{FORMAT}",
            caption="captions/process.rst",
            category="{experiment}",
            labels={"figure": "process"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_process.{FORMAT}.json",
    log:
        "logs/plot_process/{experiment}.log",
    wildcard_constraints:
        experiment=analysed_by("plot_process"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_process"),
    params:
        **drawing("plot_process"),
        task=quoted_task_of,
    script:
        "../scripts/plot_process.py"


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
        **drawing("plot_emergence"),
        site=drawn_site_of,
        max_points=config["figures"]["max_points"],
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
        style=STYLE,
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
        **drawing("plot_sites"),
        max_points=config["figures"]["max_points"],
    script:
        "../scripts/plot_sites.py"


rule plot_r2_by_site:
    """Draw R2 by site of {wildcards.experiment}"""
    input:
        probe=in_runs("probe.csv"),
        baselines="results/{experiment}/baselines.csv",
        random_init=in_random_init("probe.csv"),
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
        **drawing("plot_r2_by_site"),
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
        **drawing("plot_loss"),
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
        **drawing("plot_distances"),
        sites=compared_sites_of,
    script:
        "../scripts/plot_distances.py"


rule plot_controls:
    """Draw the controls of {wildcards.experiment}"""
    input:
        probe=in_runs("probe.csv"),
        baselines="results/{experiment}/baselines.csv",
        random_init=in_random_init("probe.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/controls.{FORMAT}",
            caption="captions/controls.rst",
            category="{experiment}",
            labels={"figure": "baselines and control targets"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_controls.{FORMAT}.json",
    log:
        "logs/plot_controls/{experiment}.log",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_controls"),
    params:
        **drawing("plot_controls"),
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
        **drawing("plot_components"),
        max_points=config["figures"]["max_points"],
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
        **drawing("plot_steering"),
    script:
        "../scripts/plot_steering.py"


rule plot_recovery:
    """Draw the recovered process of {wildcards.experiment}"""
    input:
        ground_truth=ground_truth_of,
        fractal=in_first_run("fractal.zarr.zip"),
        recovery=in_runs("recovery.csv"),
        of_process=of_process("recovery.csv"),
        random_init=in_random_init("recovery.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/recovery.{FORMAT}",
            caption="captions/recovery.rst",
            category="{experiment}",
            labels={"figure": "the process that came out of the network"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_recovery.{FORMAT}.json",
    log:
        "logs/plot_recovery/{experiment}.log",
    wildcard_constraints:
        experiment=analysed_by("plot_recovery"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_recovery"),
    params:
        **drawing("plot_recovery"),
        identifiable_share=ANALYSIS["recovery"]["identifiable_share"],
        max_points=config["figures"]["max_points"],
    script:
        "../scripts/plot_recovery.py"


rule plot_dimension:
    """Draw the dimensions of {wildcards.experiment}"""
    input:
        dimension=in_runs("dimension.csv"),
        of_process=of_process("dimension.csv"),
        loss=in_runs("loss.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/dimension.{FORMAT}",
            caption="captions/dimension.rst",
            category="{experiment}",
            labels={"figure": "fractal dimension and resolution"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_dimension.{FORMAT}.json",
    log:
        "logs/plot_dimension/{experiment}.log",
    wildcard_constraints:
        experiment=analysed_by("plot_dimension"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_dimension"),
    params:
        **drawing("plot_dimension"),
    script:
        "../scripts/plot_dimension.py"


rule plot_symmetry:
    """Draw the symmetries of {wildcards.experiment}"""
    input:
        symmetry=in_runs("symmetry.csv"),
        random_init=in_random_init("symmetry.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/symmetry.{FORMAT}",
            caption="captions/symmetry.rst",
            category="{experiment}",
            labels={"figure": "symmetries found"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_symmetry.{FORMAT}.json",
    log:
        "logs/plot_symmetry/{experiment}.log",
    wildcard_constraints:
        experiment=analysed_by("plot_symmetry"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_symmetry"),
    params:
        **drawing("plot_symmetry"),
        site=last_layer_output_of,
        symmetry=ANALYSIS["symmetry"],
    script:
        "../scripts/plot_symmetry.py"


rule plot_convergence:
    """Draw the convergence of the beliefs of {wildcards.experiment}"""
    input:
        convergence=in_runs("convergence.csv"),
        of_process=of_process("convergence.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/convergence.{FORMAT}",
            caption="captions/convergence.rst",
            category="{experiment}",
            labels={"figure": "memory of each layer"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_convergence.{FORMAT}.json",
    log:
        "logs/plot_convergence/{experiment}.log",
    wildcard_constraints:
        experiment=analysed_by("plot_convergence"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_convergence"),
    params:
        **drawing("plot_convergence"),
    script:
        "../scripts/plot_convergence.py"


rule plot_telescoping:
    """Draw the components' beliefs of {wildcards.experiment}"""
    input:
        ground_truth=ground_truth_of,
        decoded=in_first_run("decoded.zarr.zip"),
        probe=in_first_run("probe.csv"),
        of_tokens="results/{experiment}/decoded_from_tokens.zarr.zip",
        baselines="results/{experiment}/baselines.csv",
    output:
        figure=report(
            f"results/figures/{{experiment}}/telescoping.{FORMAT}",
            caption="captions/telescoping.rst",
            category="{experiment}",
            labels={"figure": "beliefs of the components"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_telescoping.{FORMAT}.json",
    log:
        "logs/plot_telescoping/{experiment}.log",
    wildcard_constraints:
        experiment=analysed_by("plot_telescoping"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_telescoping"),
    params:
        **drawing("plot_telescoping"),
        task=quoted_task_of,
        site=drawn_site_of,
        max_points=config["figures"]["max_points"],
    script:
        "../scripts/plot_telescoping.py"


rule plot_subspaces:
    """Draw the subspaces of the parts of {wildcards.experiment}"""
    input:
        subspaces=in_runs("subspaces.csv"),
        random_init=in_random_init("subspaces.csv"),
    output:
        figure=report(
            f"results/figures/{{experiment}}/subspaces.{FORMAT}",
            caption="captions/subspaces.rst",
            category="{experiment}",
            labels={"figure": "subspaces of the parts"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_subspaces.{FORMAT}.json",
    log:
        "logs/plot_subspaces/{experiment}.log",
    wildcard_constraints:
        experiment=analysed_by("plot_subspaces"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_subspaces"),
    params:
        **drawing("plot_subspaces"),
        site=last_layer_output_of,
    script:
        "../scripts/plot_subspaces.py"
