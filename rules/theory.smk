"""Theory: the optimal observer of each task, and the baselines that need no network.

Outputs: results/tasks/{task}/ground_truth.zarr.zip     every distinct prefix with its belief state
         results/tasks/{task}/recovery.csv              recovery from exact predictions, support and unigram baselines
         results/tasks/{task}/symmetry.csv              which permutations of the tokens are symmetries of the process
         results/tasks/{task}/dimension.csv             dimensions of the true beliefs by scale, Lyapunov exponents
         results/tasks/{task}/convergence.csv           errors of observers with finite memory
         results/tasks/{task}/card.md, card.html        entropies, dimensions, forbidden sequences, symmetries, parts
         results/{experiment}/baselines.csv             scores of the probe on tokens, k-grams and optimal predictions
         results/{experiment}/decoded_from_tokens.zarr.zip    beliefs decoded from the tokens alone, out of fold
"""


rule build_ground_truth:
    """Ground truth of {wildcards.task}"""
    input:
        recording=recording_of_task,
    output:
        ground_truth="results/tasks/{task}/ground_truth.zarr.zip",
        record="results/provenance/tasks/{task}/build_ground_truth.json",
    log:
        "logs/build_ground_truth/{task}.log",
    cache: SHARED
    priority: 20  # all wait for it
    conda:
        "../envs/study.yaml"
    resources:
        **asks("build_ground_truth"),
    params:
        name="{task}",
        task=named_task,
        tree=config["tree"],
        recording=recording_digest_of_task,
        code=code("build_ground_truth.py"),
    script:
        "../scripts/build_ground_truth.py"


rule measure_process:
    """What theory gives for {wildcards.task}"""
    input:
        ground_truth="results/tasks/{task}/ground_truth.zarr.zip",
    output:
        recovery="results/tasks/{task}/recovery.csv",
        symmetry="results/tasks/{task}/symmetry.csv",
        dimension="results/tasks/{task}/dimension.csv",
        convergence="results/tasks/{task}/convergence.csv",
        record="results/provenance/tasks/{task}/measure_process.json",
    log:
        "logs/measure_process/{task}.log",
    wildcard_constraints:
        task=names(study.tasks_analysed_by("measure_process"), "[^/]+"),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("measure_process"),
    params:
        task=named_task,
        faintest=ANALYSIS["recovery"]["faintest_singular_value"],
        n_points=ANALYSIS["sampling"]["dimension_points"],
        seed=config["tree"]["seed"],
        code=code("measure_process.py"),
    script:
        "../scripts/measure_process.py"


rule describe_process:
    """Card of {wildcards.task}"""
    input:
        symmetry="results/tasks/{task}/symmetry.csv",
    output:
        text="results/tasks/{task}/card.md",
        page=report(
            "results/tasks/{task}/card.html",
            caption="captions/process_card.rst",
            category="Processes",
            labels={"card": "{task}"},
        ),
        record="results/provenance/tasks/{task}/describe_process.json",
    log:
        "logs/describe_process/{task}.log",
    wildcard_constraints:
        task=names(study.tasks_analysed_by("describe_process"), "[^/]+"),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("describe_process"),
    params:
        task=quoted_named_task,
        code=code("describe_process.py"),
    script:
        "../scripts/describe_process.py"


rule score_baselines:
    """Baselines of {wildcards.experiment}"""
    input:
        ground_truth=ground_truths_of,
    output:
        baselines="results/{experiment}/baselines.csv",
        decoded="results/{experiment}/decoded_from_tokens.zarr.zip",
        record="results/provenance/{experiment}/score_baselines.json",
    log:
        "logs/score_baselines/{experiment}.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("score_baselines"),
    params:
        task=task_of,
        probe=regression_of,
        samples=samples_of,
        code=code("score_baselines.py"),
    script:
        "../scripts/score_baselines.py"
