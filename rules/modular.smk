"""Networks of modular arithmetic: their Fourier circuit, sparse bases, shift symmetry, and network surgery.

Inputs:  results/{experiment}/{run}/snapshots.safetensors, activations.zarr.zip
Outputs: results/{experiment}/{run}/circuit.csv            losses, spectra, ablations, attention
         results/{experiment}/{run}/circuit.zarr.zip       energies, amplitudes, circles, neurons
         results/{experiment}/{run}/bases.csv              measures of sparsity per snapshot, matrix and basis
         results/{experiment}/{run}/shift_symmetry.csv     how permutations of the pairs act on the activations
         results/{experiment}/{run}/surgery.csv            accuracy by modulus, with controls
         results/{experiment}/{run}/surgery.zarr.zip       circles of one modulus, to be drawn
         results/{experiment}/{run}/modulus_{modulus}.safetensors    the network after surgery, if requested
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
        experiment=analysed_by("measure_circuit"),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("measure_circuit"),
    params:
        task=task_of,
        model=model_of,
        key_share=ANALYSIS["circuit"]["key_share"],
        pure_neuron_share=ANALYSIS["circuit"]["pure_neuron_share"],
        code=code("measure_circuit.py"),
    script:
        "../scripts/measure_circuit.py"


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
        experiment=analysed_by("compare_bases"),
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


rule find_shift_symmetry:
    """Shift symmetry of {wildcards.experiment}, {wildcards.run}"""
    input:
        activations="results/{experiment}/{run}/activations.zarr.zip",
    output:
        shift_symmetry="results/{experiment}/{run}/shift_symmetry.csv",
        record="results/provenance/{experiment}/{run}/find_shift_symmetry.json",
    log:
        "logs/find_shift_symmetry/{experiment}_{run}.log",
    wildcard_constraints:
        experiment=analysed_by("find_shift_symmetry"),
    conda:
        "../envs/study.yaml"
    resources:
        **asks("find_shift_symmetry"),
    params:
        task=task_of,
        code=code("find_shift_symmetry.py"),
    script:
        "../scripts/find_shift_symmetry.py"


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
        experiment=analysed_by("measure_surgery"),
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **asks("measure_surgery"),
    params:
        task=task_of,
        key_share=ANALYSIS["circuit"]["key_share"],
        surgery=ANALYSIS["surgery"],
        code=code("measure_surgery.py"),
    script:
        "../scripts/measure_surgery.py"


rule export_surgery:
    """Surgery of {wildcards.experiment}, {wildcards.run}, for modulus {wildcards.modulus}"""
    input:
        model="results/{experiment}/{run}/model.safetensors",
    output:
        model="results/{experiment}/{run}/modulus_{modulus}.safetensors",
        record="results/provenance/{experiment}/{run}/export_surgery_{modulus}.json",
    log:
        "logs/export_surgery/{experiment}_{run}_{modulus}.log",
    wildcard_constraints:
        experiment=analysed_by("export_surgery"),
        modulus="[0-9]+",
    conda:
        "../envs/study.yaml"
    resources:
        **asks("export_surgery"),
    params:
        task=task_of,
        key_share=ANALYSIS["circuit"]["key_share"],
        code=code("export_surgery.py"),
    script:
        "../scripts/export_surgery.py"
