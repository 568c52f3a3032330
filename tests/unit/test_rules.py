"""The rules, as Snakemake reads them: what they ask of a study with experiments of every kind."""

import inspect
import json
import re

import pytest
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import Wildcards
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from configuration import CONFIG, ROOT, content_of

MESS3 = {"process": "mess3", "parameters": {"x": 0.05, "alpha": 0.85}, "context": 8}
CHECKPOINT = {"format": "transformer_lens", "activation": "gelu"}
MODULAR = CONFIG["experiments"]["modular_addition"]
POLYNOMIAL = {"process": "modular_arithmetic", "parameters": {"modulus": 53, "operation": "polynomial"}, "context": 3}
KINDS = {
    "attending": {"task": MESS3, "attention": True},
    "foreign": {"task": MESS3, "model": CHECKPOINT | {"checkpoint": f"{ROOT}/tests/data/mess3.safetensors"}},
    "foreign_seeds": {"task": MESS3, "model": CHECKPOINT | {"checkpoint": "net_{seed}.safetensors"}},
    "modular": MODULAR,
    "polynomial": MODULAR | {"task": POLYNOMIAL},
    "recorded": {
        "task": {key: MESS3[key] for key in ("process", "parameters")},
        "model": {"activations": f"{ROOT}/tests/data/activations.safetensors"},
    },
    "recurrent": {"task": MESS3, "model": {"architecture": "gru"}},
    "transformer": {"task": MESS3},
    "tree": {"task": MESS3, "training": {"labels": "full_distribution"}},
}


def rules_of_study(config, folder):
    """The rules of a study, by name."""
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        settings = ConfigSettings(configfiles=[path])
        workflow = api.workflow(ResourceSettings(cores=1), settings, snakefile=ROOT / "Snakefile", workdir=folder)
        return {rule.name: rule for rule in workflow._workflow.rules}


def rules_of(kinds, folder, **settings):
    """The rules of a study of some kinds of experiments, by name."""
    config = {"experiments": KINDS, "only": kinds, "seeds": [1], "figures": {"explainer": None}}
    return rules_of_study(config | settings, folder)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the file of a network."""
    (tmp_path / "net_1.safetensors").write_bytes((ROOT / "tests/data/mess3.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_function_of_a_rule_fails_for_an_experiment_of_another_kind(folder):
    rules = rules_of(list(KINDS), folder)
    del rules["import_model"], rules["import_activations"]  # which are always bound to networks from elsewhere
    del rules["compare_claims"]  # whose reference, the published table, has none of these experiments
    tried = set()
    for name, rule in rules.items():
        for function in filter(callable, [*rule.input, *rule.params]):
            for experiment in KINDS if "experiment" in rule.wildcard_names else ["none"]:
                values = {"experiment": experiment, "seed": "1", "run": "seed_1", "task": "none", "modulus": "7"}
                if "task" not in rule.wildcard_names:
                    function(Wildcards(fromdict=values))
                    tried.add(name)
    assert {"train_model", "sample_sequences", "measure_circuit", "steer_network", "plot_surgery"} <= tried


def test_every_rule_has_its_script(folder):
    scripts = {name: rule.script for name, rule in rules_of(list(KINDS), folder).items() if rule.script}
    assert len(scripts) > 60
    assert not {name for name, script in scripts.items() if not (ROOT / "rules" / script).is_file()}


@pytest.mark.parametrize(
    ("kind", "name", "makers"),
    [
        ("foreign_seeds", "model.safetensors", {"import_model"}),
        ("foreign_seeds", "training.csv", set()),
        ("foreign_seeds", "sequences.zarr.zip", set()),
        ("recorded", "activations.zarr.zip", {"import_activations", "extract_activations"}),  # by ruleorder the first
        ("modular", "model.safetensors", {"train_model"}),
        ("modular", "surgery.csv", {"measure_surgery"}),
        ("polynomial", "surgery.csv", set()),
        ("polynomial", "modulus_7.safetensors", set()),
        ("transformer", "recovery.csv", {"score_recovery"}),
        ("transformer", "circuit.csv", set()),
        ("transformer", "attention.csv", set()),
        ("attending", "attention.csv", {"measure_attention"}),
    ],
)
def test_file_is_made_by_the_rule_of_its_kind_of_experiment_alone(kind, name, makers, folder):
    path = f"results/{kind}/seed_1/{name}"
    assert {rule.name for rule in rules_of([kind], folder).values() if rule.is_producer(path)} == makers


def test_study_has_a_table_of_published_numbers_if_it_has_the_section(folder):
    ours = {"experiment": "transformer", "file": "random_init/probe.csv", "column": "value"}
    row = {"quantity": "R2 < 1", "source": "s", "protocol": "p", "published": 1, "tolerance": 0.1, "ours": ours}
    names = {"hold_against_published", "plot_published"}
    rules = rules_of(["transformer"], folder, published={"one": row})
    assert names <= rules.keys() and not names & rules_of(["transformer"], folder).keys()
    assert list(rules["hold_against_published"].input) == ["results/transformer/random_init/probe.csv"]
    assert "<" not in dict(rules["hold_against_published"].params.items())["rows"]


def test_attribute_by_which_the_snakefile_ends_the_limit_of_jobs_per_second_is_there():
    assert "self.job_rate_limiter = " in inspect.getsource(JobScheduler.__init__)


ON_REQUEST = {"audit", "bill", "preview", "provenance"} | {"compare_claims", "plot_replication", "replicate"}
ON_REQUEST |= {"export_surgery"}
"""Rules that answer a question, for which no study waits."""


def test_on_a_cluster_every_rule_of_a_study_goes_with_others():
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk"))
    rules = {*re.findall(r"^ *rule (\w+):", text, re.M)}
    profile = content_of("profiles/slurm/profile.yaml")
    assert set(profile["groups"]) == rules - ON_REQUEST
