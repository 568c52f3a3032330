"""The circuit of a network of modular arithmetic: the waves it answers with, and what it is without them.

Inputs:  results/{experiment}/{run}/snapshots.safetensors
Outputs: results/{experiment}/{run}/circuit.csv            losses, spectra, ablations, attention
         results/{experiment}/{run}/circuit.zarr.zip       energies, amplitudes, circles, neurons
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
    params:
        task=task_of,
        code=code("measure_circuit.py"),
    script:
        "../scripts/measure_circuit.py"
