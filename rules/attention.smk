"""The first attention of transformers on hidden Markov models, beside constrained belief updates.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip
         results/{experiment}/{run}/snapshots.safetensors     the last of each network is measured
Outputs: results/{experiment}/{run}/attention.csv             attention by lag, what it writes, R2 before and after the MLP
         results/figures/{experiment}/attention.*
"""


rule measure_attention:
    """Attention of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        snapshots="results/{experiment}/{run}/snapshots.safetensors",
    output:
        attention="results/{experiment}/{run}/attention.csv",
        record="results/provenance/{experiment}/{run}/measure_attention.json",
    log:
        "logs/measure_attention/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=analysed_by("measure_attention"),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("measure_attention"),
    params:
        task=task_of,
        model=model_of,
        probe=regression_of,
        longest=n_trained_positions_of,
        device=config["device"],
        code=code("measure_attention.py"),
    script:
        "../scripts/measure_attention.py"


rule plot_attention:
    """Draw the attention of {wildcards.experiment}"""
    input:
        attention=in_runs("attention.csv"),
        random_init=f"results/{{experiment}}/{RANDOM_INIT}/attention.csv",
    output:
        figure=report(
            f"results/figures/{{experiment}}/attention.{FORMAT}",
            caption="captions/attention.rst",
            category="{experiment}",
            labels={"figure": "attention and constrained updates"},
        ),
        record=f"results/provenance/figures/{{experiment}}/plot_attention.{FORMAT}.json",
    log:
        "logs/plot_attention/{experiment}.log",
    wildcard_constraints:
        experiment=analysed_by("plot_attention"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("plot_attention"),
    params:
        **drawing("plot_attention"),
    script:
        "../scripts/plot_attention.py"
