"""Time and peak memory of each job on a tree of a million prefixes, from the records that the jobs leave."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from timing import PROJECT, report

N_TOKENS, N_STATES, CONTEXT = 10, 3, 6  # 1,111,110 prefixes
RULES = ["build_ground_truth", "train_model", "extract_activations", "measure_loss"]
RULES += ["score_baselines", "probe_beliefs"]


def study() -> dict:
    joint = np.random.default_rng(0).dirichlet(np.full(N_TOKENS * N_STATES, 0.5), N_STATES)
    tensor = joint.reshape(N_STATES, N_TOKENS, N_STATES).transpose(1, 0, 2)
    experiment = {
        "task": {"process": "custom", "context": CONTEXT, "parameters": {"transition_tensor": tensor.tolist()}},
        "training": {"steps": 20, "snapshots": 2},
    }
    settings = {"seeds": [1], "memory_gb": 16, "tree": {"max_prefixes": 2_000_000}}
    return settings | {"experiments": {"million": experiment}, "only": ["million"]}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=PROJECT / "benchmarks") as folder:
        config = Path(folder) / "study.yaml"
        config.write_text(yaml.safe_dump(study()), encoding="utf-8")
        targets = [f"results/million/seed_1/{name}" for name in ("probe.csv", "loss.csv")]
        command = [Path(sys.executable).with_name("snakemake"), "--cores", "1", *targets]
        command += ["--configfile", str(config), "--directory", folder]
        subprocess.run(command, check=True, cwd=PROJECT, capture_output=True)
        paths = Path(folder).glob("results/provenance/**/*.json")
        records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        runs = {record["rule"]: record["run"] for record in records}
        rows = [
            {"rule": rule, "seconds": runs[rule]["wall_seconds"], "peak_gb": runs[rule]["peak_memory_bytes"] / 1e9}
            for rule in RULES
        ]
        report(rows, sys.argv[1])
