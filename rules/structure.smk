"""Structure of the activations: fractal dimension, token symmetries, convergence with memory, subspaces of parts.

Inputs:  results/tasks/{task}/ground_truth.zarr.zip, dimension.csv, convergence.csv
         results/{experiment}/{run}/activations.zarr.zip, decoded.zarr.zip
Outputs: results/{experiment}/{run}/dimension.csv      dimensions by scale of decoded and recovered beliefs, and their resolution
         results/{experiment}/{run}/symmetry.csv       how permutations of the tokens act on the activations
         results/{experiment}/{run}/convergence.csv    errors of decoded beliefs by position
         results/{experiment}/{run}/subspaces.csv      subspaces of the parts of a mixture or product
"""


rule measure_dimension:
    """Dimensions of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        decoded="results/{experiment}/{run}/decoded.zarr.zip",
        generator="results/{experiment}/{run}/generator.zarr.zip",
        of_process=of_process("dimension.csv"),
    output:
        dimension="results/{experiment}/{run}/dimension.csv",
        record="results/provenance/{experiment}/{run}/measure_dimension.json",
    log:
        "logs/measure_dimension/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=analysed_by("measure_dimension"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("measure_dimension"),
    params:
        site=last_layer_output_of,
        n_points=ANALYSIS["sampling"]["dimension_points"],  # of the same draw as those of the process
        seed=config["tree"]["seed"],
        code=code("measure_dimension.py"),
    script:
        "../scripts/measure_dimension.py"


rule find_symmetries:
    """Symmetries of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        symmetry="results/{experiment}/{run}/symmetry.csv",
        record="results/provenance/{experiment}/{run}/find_symmetries.json",
    log:
        "logs/find_symmetries/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=analysed_by("find_symmetries"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("find_symmetries"),
    params:
        symmetry=ANALYSIS["symmetry"],
        code=code("find_symmetries.py"),
    script:
        "../scripts/find_symmetries.py"


rule measure_convergence:
    """Convergence of the beliefs of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        decoded="results/{experiment}/{run}/decoded.zarr.zip",
        of_process=of_process("convergence.csv"),
    output:
        convergence="results/{experiment}/{run}/convergence.csv",
        record="results/provenance/{experiment}/{run}/measure_convergence.json",
    log:
        "logs/measure_convergence/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=analysed_by("measure_convergence"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("measure_convergence"),
    params:
        code=code("measure_convergence.py"),
    script:
        "../scripts/measure_convergence.py"


rule measure_subspaces:
    """Subspaces of {wildcards.experiment}, {wildcards.run}"""
    input:
        ground_truth=ground_truth_of,
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        subspaces="results/{experiment}/{run}/subspaces.csv",
        record="results/provenance/{experiment}/{run}/measure_subspaces.json",
    log:
        "logs/measure_subspaces/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=analysed_by("measure_subspaces"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("measure_subspaces"),
    params:
        task=task_of,
        code=code("measure_subspaces.py"),
    script:
        "../scripts/measure_subspaces.py"
