"""Configurations: merged, in one form, and refused in one sentence."""

import copy
import re

import numpy as np
import pytest
import yaml

from configuration import CONFIG, ROOT, SCHEMA, content_of, resolve
from geometry.config.checks import probe_caution
from geometry.config.experiments import ConfigError, canonical, canonical_config, merged, resolve_experiments
from geometry.config.job_costs import Estimates, peak_memory_gb
from geometry.config.sizes import size_of
from geometry.networks.hook_points import chosen_sites, concatenated_sites, drawn_site, probed_sites
from geometry.tasks.task import process_of, task_name

GOOD = [[[0.5, 0.0], [0.3, 0.0]], [[0.0, 0.5], [0.0, 0.7]]]


@pytest.mark.parametrize(
    "path", [None, *sorted((ROOT / "studies").glob("*.yaml")), ROOT / "tests/config.yaml"], ids=str
)
def test_shipped_studies_are_valid(path, monkeypatch):
    if path and path.stem == "language_model" and not (ROOT / ".venv/smollm2").exists():
        pytest.skip("needs make language")
    monkeypatch.chdir(ROOT)  # where a study's own files are looked for
    assert resolve(content_of(path) if path else {})


def test_experiment_overrides_only_what_it_names():
    experiments = resolve({"experiments": {"mess3": {"model": {"d_model": 32}}}})
    assert experiments["mess3"]["model"]["d_model"] == 32 and experiments["mess3"]["model"]["n_layers"] == 4
    assert experiments["mess3_duplicated"]["model"]["d_model"] == 64


def test_null_leaves_an_experiment_out():
    assert "z1r" not in resolve({"experiments": {"z1r": None}})


def test_only_runs_just_those_and_asks_nothing_of_what_it_leaves_out():
    absent = {"model": {"checkpoint": "nowhere.pt", "format": "transformer_lens"}}
    override = {"experiments": {"gone": absent}, "figures": {"sites": {"gone": "nowhere"}}, "only": ["z1r", "rrxor"]}
    assert list(resolve(override)) == ["rrxor", "z1r"]
    assert list(resolve({"only": None})) == list(resolve({}))


def test_canonical_form_ignores_order_and_spelling_of_numbers():
    first, second = {"b": [1.0, 0.5], "a": {"y": 2, "x": 1}}, {"a": {"x": 1.0, "y": 2}, "b": [1, 0.5]}
    assert repr(canonical(first)) == repr(canonical(second))
    assert repr(canonical({"a": True, "b": 1})) == "{'a': True, 'b': 1}"


def test_task_name_depends_on_the_task_alone():
    spelled = resolve({"experiments": {"rrxor": {"task": {"parameters": {"p1": 0.5}}}}})["rrxor"]
    assert task_name(spelled["task"]) == task_name(resolve({})["rrxor"]["task"]) == "rrxor_0.5_0.5_context10"
    one, other = (task_name(resolve(custom(tensor))["mine"]["task"]) for tensor in (GOOD, GOOD[::-1]))
    assert one != other


@pytest.mark.parametrize(
    ("name", "override", "expected"),
    [
        ("z1r", {"task": {"context": 10}}, "134 prefixes for 32 features of a site and should have 320"),
        ("z1r", {"task": {"context": 10}, "model": {"d_model": 12}}, None),
        ("z1r", {}, None),
        ("mess3", {}, None),
        ("mess3", {"model": {"d_model": 256}}, "2000 prefixes for 256 features of a site and should have 2560"),
        ("modular_addition", {}, None),
    ],
)
def test_too_few_prefixes_for_a_probe_are_told(name, override, expected):
    said = probe_caution(resolve({"experiments": {name: override}})[name], max_prefixes=2000)
    assert said is None if expected is None else said.startswith(f"the probe has {expected}")


def test_joined_sites_are_those_of_their_patterns():
    """By default the streams; the published R2 of rrxor joins the output of the final LayerNorm as well."""
    streams = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post"]
    every, probe = [*streams, "ln_final.hook_normalized"], resolve()["z1r"]["probe"]
    assert concatenated_sites(every, probe) == streams
    for patterns, expected in ((["blocks.*", "ln_final.*"], every), (["ln_final.*"], []), ([], [])):
        assert concatenated_sites(every, {**probe, "concatenated": patterns}) == expected
    paper = resolve(content_of("studies/paper.yaml"))["rrxor_paper"]
    assert len(concatenated_sites(chosen_sites(paper["model"], paper["probe"]), paper["probe"])) == 6


def test_sites_match_patterns_in_the_order_of_the_forward_pass():
    experiment = resolve({})["z1r"]
    streams = ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]
    assert chosen_sites(experiment["model"], experiment["probe"]) == [*streams, "ln_final.hook_normalized"]
    assert probed_sites(experiment)[-1] == "concatenated"
    assert drawn_site(experiment, None) == "blocks.1.hook_resid_post"


def test_memory_grows_with_the_context():
    short, long = (resolve({"defaults": {"task": {"context": n}}})["mess3"] for n in (8, 12))
    sizes = [peak_memory_gb(experiment, 10**6) for experiment in (short, long)]
    assert sizes[0] < sizes[1]


def test_experiment_keeps_the_keys_of_its_architecture_and_probes_its_states():
    sites = {
        "gru": [f"layers.{n}.hook_h" for n in range(4)],
        "lstm": [f"layers.{n}.hook_{state}" for n in range(4) for state in "ch"],
        "kuramoto": ["layers.0.hook_x"],
        "selective_ssm": [f"layers.{n}.hook_{part}" for n in range(4) for part in ("h", "resid_post")],
    }
    common = {"bos": False, "d_model": 64, "output": "softmax"}
    for architecture, expected in sites.items():
        model = {"architecture": architecture} | ({"n_layers": 1} if architecture == "kuramoto" else {})
        experiment = resolve({"experiments": {"mess3": {"model": model}}})["mess3"]
        assert chosen_sites(experiment["model"], experiment["probe"]) == expected
        assert drawn_site(experiment, None) == expected[-1]
        assert probed_sites(experiment)[-1] == (expected[-1] if architecture == "kuramoto" else "concatenated")
        own = {"kuramoto": {"oscillator_dim": 4, "kuramoto_steps": 1, "coupled": True}, "selective_ssm": {"d_state": 4}}
        assert experiment["model"] == {"n_layers": 4} | model | common | own.get(architecture, {})


EXPERIMENT_ERRORS = [
    (
        {"model": {"architecture": "grue"}},
        "architecture is 'grue'; allowed are transformer, rnn, gru, lstm, kuramoto, sel",
    ),
    (
        {"model": {"architecture": "gru", "n_heads": 2}},
        "model.n_heads is 2, which only the architecture transformer has; model.architecture is 'gru'",
    ),
    (
        {"model": {"architecture": "lstm", "checkpoint": "mine.pt", "format": "transformer_lens"}},
        "model.checkpoint is 'mine.pt', which only the architecture transformer has",
    ),
    ({"model": {"coupled": False}}, "model.coupled is False, which only the architecture kuramoto has"),
    ({"model": {"architecture": "kuramoto"}}, "model.n_layers is 4; the architecture kuramoto needs 1"),
    ({"model": {"architecture": "kuramoto", "n_layers": 1, "d_model": 30}}, "a multiple of model.oscillator_dim, 4"),
    ({"model": {"d_state": 8}}, "model.d_state is 8, which only the architecture selective_ssm has"),
    ({"model": {"architecture": "selective_ssm", "d_model": 30}}, "is 30; it must be a multiple of model.d_state, 4"),
    (
        {"model": {"architecture": "gru"}, "probe": {"sites": ["blocks.*"]}},
        "which matches none of hook_embed, layers.0",
    ),
    ({"training": {"learning_rat": 1}}, r"unknown key 'learning_rat' at training; allowed are context, labels"),
    ({"trainin": {}}, "unknown key 'trainin' at the top level"),
    ({"training": {"learning_rate": "1e-3x"}}, r"training.learning_rate is '1e-3x', a str; it must be of type number$"),
    ({"training": {"steps": "3.7"}}, r"training.steps is '3.7', a str; it must be of type integer$"),
    ({"training": {"steps": "5/6"}}, r"training.steps is '5/6', a str; it must be of type integer$"),
    ({"model": {"bos": "1"}}, r"model.bos is '1', a str; it must be of type boolean$"),
    ({"training": {"learning_rate": 0}}, "greater than 0"),
    ({"training": {"learning_rate": float("nan")}}, "learning_rate is nan"),
    ({"training": {"grokfast": {"alpha": 1, "amplitude": 2}}}, "grokfast.alpha is 1; it must be less than 1"),
    ({"training": {"grokfast": {"alpha": 0.98, "amplitude": -1}}}, "grokfast.amplitude is -1; it must be at least 0"),
    ({"training": {"grokfast": {"alpha": 0.98}}}, "key 'amplitude' is missing at training.grokfast"),
    ({"training": {"grokfast": True}}, "training.grokfast is True, a bool; it must be of type object or null"),
    ({"model": {"output": "sparsemax"}}, "model.output is 'sparsemax'; allowed are softmax, stablemax"),
    ({"training": {"orthogonal_gradient": 1}}, "training.orthogonal_gradient is 1, a int; it must be of type boolean"),
    ({"training": {"labels": "exakt"}}, "is 'exakt'; allowed are sampled, exact, full_distribution"),
    ({"training": {"labels": "full_distribution"}, "task": {"context": 12}}, "more than tree.max_prefixes, 200000"),
    ({"training": {"context": 11}}, "training.context is 11; it must be at most task.context, 10, which is scored"),
    (
        {"training": {"context": 9}},
        "training.context is 9 and task.context 10, which only a recurrent network may have",
    ),
    ({"training": {"context": 0}}, "training.context is 0; it must be at least 1"),
    ({"training": {"context": "long"}}, "training.context is 'long', a str; it must be of type integer or null"),
    ({"training": {"steps": 0}}, "training.steps is 0; it must be at least 1"),
    ({"probe": {"control_parameters": {"xx": 1}}}, "parameter 'xx' is unknown; allowed are x, alpha; set it to null"),
    ({"probe": {"control_parameters": {"alpha": 1}}}, "same states, tokens and possible transitions"),
    ({"probe": {"control_parameters": {"x": 0.05, "alpha": 0.85}}}, "gives the task's own process"),
    ({"probe": {"random_networks": 0}}, "probe.random_networks is 0; it must be at least 1"),
    ({"probe": {"folds": 2}}, "probe.folds is 2; it must be at least 3"),
    ({"task": {"context": 0}}, "task.context is 0; it must be at least 1"),
    ({"task": {"context": 1000}}, "task.context 1000 .* GB; memory_gb allows 8"),
    ({"training": {"batch_size": 1_000_000}, "task": {"context": 15}}, "batch_size 1000000 .* GB"),
    ({"model": {"n_layers": 8, "d_model": 1024, "d_mlp": 4096}, "training": {"snapshots": 100}}, " GB"),
    ({"probe": {"repeats": 1}}, "probe.repeats is 1; it must be at least 2"),
    ({"probe": {"concatenated": ["blocks.9.*"]}}, "probe.concatenated has 'blocks.9.[*]', which matches none of"),
    ({"task": {"process": "mess4"}}, "'mess4'; allowed are mess3"),
    ({"task": {"parameters": {"x": 0.7}}}, "at least 0"),
    ({"task": {"parameters": {"x": "yes"}}}, "task.parameters.x is 'yes', a str; it must be of type number$"),
    ({"task": {"parameters": {"x": "1/0"}}}, "task.parameters.x is '1/0', a str"),
    ({"task": {"parameters": {"x": 10**400}}}, "it must be a finite number"),
    ({"task": {"parameters": {"alpha": 1 / 3}}}, "every prefix leads to the same belief state"),
    ({"task": 5}, "task is 5, a int; it must be of type object"),
    ({"task": {"parameters": {"y": 1}}}, "'y' is unknown"),
    ({"attention": True, "model": {"architecture": "gru"}}, "attention is true, .* model.architecture is 'gru'"),
    (
        {"attention": True, "task": {"context": 2}},
        "attention is true, which needs a task.context of at least 3; it is 2",
    ),
    ({"attention": 1}, "attention is 1, a int; it must be of type boolean"),
    ({"model": {"d_head": 0}}, "model.d_head is 0; it must be at least 1"),
    ({"model": {"d_model": 1.5}}, "model.d_model is 1.5.*integer"),
    ({"probe": {"sites": ["blocks.9.hook_resid_post"]}}, "'blocks.9.hook_resid_post', which matches none of"),
]


def test_full_distribution_is_that_of_the_trained_context():
    def resolved(context):
        training = {"labels": "full_distribution", "context": context}
        experiment = {"model": {"architecture": "gru"}, "task": {"context": 14}, "training": training}
        return resolve({"experiments": {"mess3": experiment}})["mess3"]

    assert resolved(10)["training"]["context"] == 10
    with pytest.raises(ConfigError, match=r"every prefix up to training.context 12; these are more than tree.max_pre"):
        resolved(12)


def test_training_costs_what_the_trained_context_does_and_all_else_what_the_scored_one_does():
    def size(context, trained):
        experiment = {"model": {"architecture": "gru"}, "task": {"context": context}, "training": {"context": trained}}
        return size_of(resolve({"experiments": {"mess3": experiment}})["mess3"], 10**6)

    short, beyond, long = size(6, None), size(12, 6), size(12, None)
    assert short.train_seconds == beyond.train_seconds < long.train_seconds
    assert short.extract_seconds < beyond.extract_seconds == long.extract_seconds


def test_full_distribution_costs_what_the_possible_prefixes_do():
    def size(n_tokens):
        return size_of(resolve({"experiments": {"z1r": {"task": {"context": n_tokens}}}})["z1r"], 10**6)

    assert size(14).n_prefixes == size(14).n_complete == 366  # of 32,766 sequences
    assert size(14).train_seconds < 4 * size(10).train_seconds  # which has 134; sequences, a sixteenth


@pytest.mark.parametrize("rule", ["probe_beliefs", "recover_process", "find_symmetries", "extract_activations"])
def test_random_networks_cost_by_their_number_and_trained_ones_by_their_snapshots(rule):
    def seconds(run, n_random):
        override = {"experiments": {"mess3": {"probe": {"random_networks": n_random}}}}
        return Estimates(resolve(override), 10**6).seconds(rule, {"experiment": "mess3", "run": run})

    assert seconds("random_init", 5) < seconds("random_init", 10)
    assert seconds("seed_1", 5) == seconds("seed_1", 10) < seconds("seeds_1-5", 5)


FORMER_NAMES = [
    ({"probe": {"joined": []}}, "unknown key 'joined' at probe; it is now 'concatenated'"),
    ({"probe": {"untrained": 5}}, "unknown key 'untrained' at probe; it is now 'random_networks'"),
    ({"probe": {"other_parameters": None}}, "unknown key 'other_parameters' at probe; it is now 'control_parameters'"),
    ({"training": {"labels": "tree"}}, "training.labels is 'tree'; it is now 'full_distribution'"),
]


@pytest.mark.parametrize(("override", "sentence"), FORMER_NAMES)
def test_former_name_is_refused_in_a_sentence_with_the_new_one(override, sentence):
    for study in ({"experiments": {"mess3": override}}, {"defaults": override}):
        with pytest.raises(ConfigError) as error:
            resolve(study)
        assert str(error.value) == f"experiment 'mess3': {sentence}"


def test_former_section_is_refused_in_a_sentence_with_the_new_one():
    """With a schema that has none at the top level."""
    properties = {key: value for key, value in SCHEMA["properties"].items() if key != "surgery"}
    required = [key for key in SCHEMA["required"] if key != "surgery"]
    schema = SCHEMA | {"properties": properties, "required": required}
    with pytest.raises(ConfigError) as error:
        resolve_experiments(canonical_config(merged(CONFIG, {"surgery": {}}), schema), schema)
    assert str(error.value) == "config: unknown key 'surgery' at the top level; it is now analysis.surgery"


def test_key_that_was_renamed_elsewhere_is_unknown_like_any_other():
    with pytest.raises(ConfigError, match="unknown key 'joined' at training; allowed are context, labels"):
        resolve({"experiments": {"mess3": {"training": {"joined": []}}}})


@pytest.mark.parametrize(("override", "sentence"), EXPERIMENT_ERRORS)
def test_bad_experiment_is_refused_naming_it_and_the_key(override, sentence):
    with pytest.raises(ConfigError, match=sentence) as error:
        resolve({"experiments": {"mess3": override}})
    assert str(error.value).startswith("experiment 'mess3': ") and "\n" not in str(error.value)


def test_task_is_refused_only_where_no_prefix_can_be_held_out():
    cycle = [[[0, 1, 0], [0, 0, 1], [1, 0, 0]]]
    task = {"process": "custom", "parameters": {"transition_tensor": cycle, "initial_state": [1, 0, 0]}}
    sentence = r"task.context is 2, up to which custom has 2 prefixes; .* at least 3, so it m"
    with pytest.raises(ConfigError, match=sentence):
        resolve({"experiments": {"mine": {"task": {**task, "context": 2}}}})
    resolve({"experiments": {"mine": {"task": {**task, "context": 3}}}})


@pytest.mark.parametrize("modulus", range(2, 13))
def test_every_modulus_goes_with_the_default_folds(modulus):
    experiment = {"task": {"parameters": {"modulus": modulus, "train_fraction": 0.7}}}
    resolve({"experiments": {"modular_addition": experiment}})


def test_modular_arithmetic_is_for_transformers():
    task = {"process": "modular_arithmetic", "parameters": {"modulus": 53}, "context": 3}
    experiment = {"task": task, "model": {"architecture": "gru"}, "training": {"labels": "full_distribution"}}
    with pytest.raises(ConfigError, match="'gru'; modular_arithmetic needs transformer"):
        resolve({"experiments": {"mine": experiment}})


Z1R, MIXED = {"process": "z1r"}, {"process": "mixture", "context": 4}
COMPOSED_ERRORS = [
    ({"components": [Z1R, {"process": "z2r"}]}, None, r"task.parameters.components\[1\].process is 'z2r'; allowed are"),
    ({"components": 3}, None, "task.parameters.components is 3, a int; it must be of type array"),
    (
        {"components": [Z1R, {**Z1R, "parameters": {"p": "a"}}]},
        None,
        r"task.parameters.components\[1\].parameters.p is 'a', a str; it must be of type number",
    ),
    ({"components": [Z1R] * 2, "epsilon": 1}, None, "task.process: mixture: parameter 'epsilon' is unknown"),
    ({"components": [Z1R] * 2}, {"weights": [1, 1]}, r"probe.control_parameters.weights is \[1, 1\]; it must have 2"),
    ({"components": [Z1R] * 2}, {"weights": [0.5, 0.5]}, "which gives the task's own process"),
]


@pytest.mark.parametrize(("parameters", "control", "sentence"), COMPOSED_ERRORS)
def test_bad_composed_process_is_refused(parameters, control, sentence):
    one = {"task": {**MIXED, "parameters": parameters}, "probe": {"control_parameters": control}}
    with pytest.raises(ConfigError, match=f"experiment 'mine': .*{sentence}") as error:
        resolve({"experiments": {"mine": one}, "only": ["mine"]})
    assert "\n" not in str(error.value)


def test_composed_process_has_a_short_name_and_its_weights_are_control_parameters():
    weights = {"weights": ["1/4", 0.75]}
    parts = {"components": [Z1R, {"process": "zrr", "parameters": {"p1": "1e-1"}}]}
    one = {"task": {**MIXED, "parameters": parts}, "probe": {"control_parameters": weights}}
    other = {"task": {**MIXED, "parameters": {**parts, **weights}}, "probe": {"control_parameters": None}}
    found = resolve({"experiments": {"mine": one, "other": other}, "only": ["mine", "other"]})
    assert found["mine"]["task"]["parameters"]["components"][1]["parameters"] == {"p1": 0.1, "p2": 0.5}
    assert found["mine"]["probe"]["control_parameters"] == {"weights": [0.25, 0.75]}
    names = [task_name(found[name]["task"]) for name in ("mine", "other")]
    assert names[0] != names[1] and all(re.fullmatch("mixture_[0-9a-f]{12}_context4", name) for name in names)


def test_composed_process_has_one_name_whether_the_defaults_of_its_parts_are_written_or_not():
    short, long = {"process": "rrxor"}, {"parameters": {"p2": 0.5, "p1": 0.5}, "process": "rrxor"}
    tasks = [
        {**MIXED, "parameters": {"components": [Z1R, {"process": "noisy", "parameters": {"epsilon": 0.1, "of": part}}]}}
        for part in (short, long)
    ]
    found = [resolve({"experiments": {"mine": {"task": task}}, "only": ["mine"]})["mine"]["task"] for task in tasks]
    assert found[0]["parameters"] == found[1]["parameters"] and len(set(map(task_name, found))) == 1


def test_config_that_is_nested_beyond_all_bounds_is_refused():
    parameters = {}
    for _ in range(2000):
        parameters = {"of": {"process": "noisy", "parameters": parameters}}
    with pytest.raises(ConfigError, match="config: it is nested too deep"):
        canonical_config({"defaults": {"task": {"process": "noisy", "parameters": parameters}}}, SCHEMA)


MODULAR_ERRORS = [
    ({"task": {"context": 4}}, "task.context is 4; modular_arithmetic needs 3, the tokens a, b and ="),
    (
        {"task": {"parameters": {"operation": "division"}}},
        "is 'division'; allowed are addition, subtraction, multiplication, polynom",
    ),
    ({"task": {"parameters": {"modulus": 5.5}}}, "modulus is 5.5; it must be a whole number from 2"),
    ({"task": {"parameters": {"modulus": 400}}}, "modulus is 400, which gives 320400 prefixes; tree.max_prefixes"),
    ({"task": {"parameters": {"modulus": 1}}}, "modulus is 1; it must be a whole number from 2"),
    ({"task": {"parameters": {"primes": 1}}}, "parameter 'primes' is unknown; allowed are modulus, operation, train"),
    ({"model": {"n_layers": 2}}, "model.n_layers is 2; modular_arithmetic needs 1"),
    ({"attention": True}, "attention is true, which needs a hidden Markov model; task.process is 'modular_arithmetic'"),
    ({"model": {"normalization": "LN"}}, "model.normalization is 'LN'; modular_arithmetic needs none"),
    ({"model": {"bos": True}}, "model.bos is True; modular_arithmetic needs false"),
    ({"training": {"labels": "sampled"}}, "training.labels is 'sampled'; modular_arithmetic needs full_distribution"),
    ({"probe": {"control_parameters": {"modulus": 7}}}, "probe.control_parameters is .*needs null"),
]


@pytest.mark.parametrize(("override", "sentence"), MODULAR_ERRORS)
def test_bad_modular_arithmetic_is_refused(override, sentence):
    with pytest.raises(ConfigError, match=sentence) as error:
        resolve({"experiments": {"modular_addition": override}})
    assert "\n" not in str(error.value)


NO_NAMES = ["claims", "../x", "a/b", "/a", "..", "a b", "{seed}", "a;b", "a\nb", "a\n", "<script>", "", 2024, "2024"]
STUDY_ERRORS = [
    ({"seeds": [-1]}, r"seeds\[0\] is -1; it must be at least 0"),
    ({"seeds": [1, 1]}, "without repetitions"),
    ({"seeds": []}, "a list of at least 1"),
    ({"seeds": ["1-"]}, r"seeds\[0\] is '1-'; it must be a seed, or a range of seeds such as 1-5"),
    ({"seeds": ["3-1"]}, "seeds has '3-1'; a range runs from a seed to a later one, as in 1-5, over at most 1000"),
    ({"seeds": ["1-1"]}, "seeds has '1-1'; a range runs"),
    ({"seeds": ["1-9000"]}, "seeds has '1-9000'; a range runs"),
    ({"seeds": ["1-5", 3]}, "seeds has 3 2 times, as a seed or within a range; it may be there once"),
    ({"seeds": {"default": [1], "z1r": ["2-4", "4-6"]}}, "experiment 'z1r': seeds has 4 2 times"),
    ({"seeds": {"z2r": [1]}}, "seeds names 'z2r'; allowed are default, mess3, "),
    ({"seeds": {"z1r": ["x"]}}, r"seeds.z1r\[0\] is 'x'; it must be a seed, or a range"),
    ({"experiments": {"z1r": {"seeds": [1]}}}, "unknown key 'seeds'"),
    ({"sees": 1}, "unknown key 'sees'"),
    ({"device": "gpu"}, "allowed are auto, cpu, cuda, mps"),
    ({"figures": {"explainer": "rrxor"}}, "allowed are null and the experiments .*: mess3$"),
    ({"figures": {"sites": {"rrxor": "nowhere"}}}, "figures.sites.rrxor is 'nowhere'"),
    ({"figures": {"sites": {"nothing": "concatenated"}}}, "names 'nothing'; allowed are mess3"),
    ({"tree": {"max_prefixes": 5}}, "max_prefixes is 5"),
    ({"experiments": dict.fromkeys(CONFIG["experiments"])}, "experiments is left with none"),
    ({"only": ["mess4"]}, "only names 'mess4'; allowed are mess3, mess3_duplicated"),
    ({"only": ["mess3"], "experiments": {"mess3": None}}, "only names 'mess3'; allowed are mess3_duplicated"),
    ({"only": "mess3"}, "only is 'mess3', a str; it must be of type array or null"),
    ({"only": [False]}, r"only\[0\] is False, a bool; .*reads an unquoted no, off or false so; put a name in quotes"),
    ({"only": [None]}, r"only\[0\] is None, .*reads an unquoted null or ~ so"),
    ({"experiments": {False: {}}}, "the key False at experiments is no text .*an unquoted no, off or false so"),
    ({"experiments": {None: {}}}, "the key None at experiments is no text .*an unquoted null or ~ so"),
    ({"figures": {"sites": {True: "x"}}}, "the key True at figures.sites is no text .*unquoted yes, on or true so"),
    ({"figures": {"explainer": True}}, "figures.explainer is True, .*reads an unquoted yes, on or true so"),
    ({"study": False}, "study is False, .*reads an unquoted no, off or false so"),
    ({"study": "a/b"}, "the name 'a/b' at study must start with a letter"),
    ({"study": "Figures"}, "the name 'Figures' at study must .* none of claims, default, figures"),
    ({"experiments": {"Mess3": {}}}, "experiments has '[Mm]ess3' and '[Mm]ess3', whose folders are one"),
    ({"only": []}, r"only is \[\]; it must be a list of at least 1"),
    ({"only": ["mess3"], "figures": {"explainer": "mess4"}}, "explainer is 'mess4'; allowed are null and"),
    ({"only": ["mess3"], "figures": {"sites": {"mess4": "concatenated"}}}, "sites names 'mess4'; allowed are"),
    *(({"experiments": {name: {}}}, "must start with a letter") for name in NO_NAMES),
]


@pytest.mark.parametrize(("override", "sentence"), STUDY_ERRORS)
def test_bad_study_is_refused(override, sentence):
    with pytest.raises(ConfigError, match=sentence) as error:
        resolve(override)
    assert "\n" not in str(error.value)


def custom(tensor, **parameters):
    task = {"process": "custom", "parameters": {"transition_tensor": tensor, **parameters}}
    return {"experiments": {"mine": {"task": task}}}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (custom([[[0.5]], [[0.4]]]), "must sum to 1"),
        (custom([[[0.5, 0.5]]]), "one row and one column per state"),
        (custom([[[float("nan")]], [[0.4]]]), "is nan"),
        (custom([[[10**400]], [[0.4]]]), "nested lists of numbers"),
        (custom([[[1, 0], [0, 1]]]), "reducible"),
        (custom([[[1, 0], [0, 1]]], initial_state=[1]), "initial_state has shape"),
        (custom([[[0.5]], [[0.5]]]), "every prefix leads to the same belief state"),
        (custom([[[0.5, 0.5], [-0.6, 0.3]], [[0, 0], [0.6, 0.7]]], generalized=True), "probability -"),
    ],
)
def test_bad_custom_process_is_refused(override, sentence):
    with pytest.raises(ConfigError, match=f"experiment 'mine': task.process: custom: .*{sentence}"):
        resolve(override)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (custom([[0.5]]), "of type array"),
        (custom(GOOD, initial_state="abc"), "initial_state is 'abc', a str; it must be of type array"),
        (custom(GOOD, token_names=5), "token_names is 5, a int; it must be of type array"),
        (custom(GOOD, state_names="ab"), "state_names is 'ab'"),
        (custom(GOOD, emitting_state="left"), "emitting_state is 'left'; allowed are from_state, to_state"),
        (custom(GOOD, generalized="falsch"), "generalized is 'falsch', a str; it must be of type boolean"),
    ],
)
def test_custom_process_of_wrong_types_is_refused(override, sentence):
    with pytest.raises(ConfigError, match=f"experiment 'mine': task.parameters.*{sentence}"):
        resolve(override)


def test_custom_process_may_be_two_matrices_with_fractions():
    parameters = {
        "transition_matrix": [[0.3333, 0.6666], [0.5, 0.5]],
        "emission_matrix": [["1/6", "5/6"], [1, 0]],
        "initial_state": ["1/2", 0.5],
    }
    tasks = []
    for emitting in ("from_state", "to_state"):
        task = {"process": "custom", "parameters": {**parameters, "emitting_state": emitting}}
        tasks.append(resolve({"experiments": {"mine": {"task": task}}})["mine"]["task"])
    process = process_of(tasks[0])
    assert process.notes[0].startswith("transition_matrix: the probabilities of leaving state 0 summed to 0.9999")
    np.testing.assert_allclose(process.transition_tensor.sum(axis=(0, 2)), 1, atol=1e-15)
    assert len(set(map(task_name, tasks))) == 2
    assert tasks[0]["parameters"] == {**parameters, "emitting_state": "from_state", "generalized": False}


def test_custom_process_may_name_its_states_by_numbers():
    process = process_of(resolve(custom(GOOD, state_names=[1, 2]))["mine"]["task"])
    assert process.state_names == ("1", "2")


def test_whole_numbers_may_be_written_as_floats():
    override = {"seeds": [1.0], "tree": {"max_prefixes": 1.0e5}, "figures": {"max_points": 1.0e3}}
    config = canonical(merged(CONFIG, override))
    resolve_experiments(config, SCHEMA)
    assert repr((config["seeds"], config["tree"]["max_prefixes"])) == "([1], 100000)"


TEXTS = {
    "numbers in a list": ({"seeds": ["3", "0", "1.0e+1", "1e2"]}, "seeds", [3, 0, 10, 100]),
    "ranges in a list": ({"seeds": "[1-5, 7]"}, "seeds", ["1-5", 7]),
    "a list as one text": ({"seeds": "[3, 4]"}, "seeds", [3, 4]),
    "a number of an integer": ({"gpus": "2.0"}, "gpus", 2),
    "a decimal number": ({"claims": {"margin": "2e-1"}}, "claims.margin", 0.2),
    "a fraction": ({"claims": {"margin": "1/4"}}, "claims.margin", 0.25),
    "a mapping as one text": ({"tree": "{max_prefixes: 2e3, seed: '7'}"}, "tree", {"max_prefixes": 2000, "seed": 7}),
    "null": ({"only": "null", "figures": {"explainer": "~"}}, "figures.explainer", None),
    "no text for null": ({"figures": {"explainer": ""}}, "figures.explainer", None),
    "null of an experiment": ({"experiments": {"z1r": "null"}}, "experiments.z1r", None),
    "of the defaults": ({"defaults": {"training": {"steps": "50"}}}, "defaults.training.steps", 50),
    "of an experiment": ({"experiments": {"z1r": {"model": {"bos": "on"}}}}, "experiments.z1r.model.bos", True),
    "of a tensor": (
        {"experiments": {"m": {"task": {"parameters": {"transition_tensor": '[[["1/2", 0]]]'}}}}},
        "experiments.m.task.parameters.transition_tensor",
        [[["1/2", 0]]],  # as it is printed tells how it was rounded
    ),
    "of other parameters": (
        {"experiments": {"mess3": {"probe": {"control_parameters": "{x: 1e-1, alpha: '0.6'}"}}}},
        "experiments.mess3.probe.control_parameters",
        {"x": 0.1, "alpha": 0.6},
    ),
    "text": ({"only": ["no", "1e3"]}, "only", ["no", "1e3"]),
    "names": (
        {"experiments": {"m": {"task": {"parameters": {"token_names": ["1", "2"], "state_names": [1, 2]}}}}},
        "experiments.m.task.parameters",
        {"token_names": ["1", "2"], "state_names": [1, 2]},
    ),
    "of a choice": ({"defaults": {"model": {"normalization": "none"}}}, "defaults.model.normalization", "none"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_text_is_what_the_schema_wants_in_its_place(what):
    override, key, expected = TEXTS[what]
    found = canonical_config(override, SCHEMA)
    assert canonical_config(found, SCHEMA) == found
    for name in key.split("."):
        found = found[name]
    assert repr(found) == repr(canonical(expected))


def test_study_of_texts_is_that_of_values():
    def as_text(value):
        if isinstance(value, dict):
            return {key: as_text(item) for key, item in value.items()}
        return [as_text(item) for item in value] if isinstance(value, list) else yaml.safe_dump(value).split("\n")[0]

    config = canonical_config(CONFIG, SCHEMA)
    assert canonical_config(as_text(config), SCHEMA) == config


def test_study_without_triangular_process_needs_no_explainer():
    assert resolve({"only": ["rrxor"]}) and resolve({"only": ["rrxor"], "figures": {"explainer": None}})


def test_network_without_normalization_needs_no_other_sites():
    experiment = resolve({"experiments": {"mess3": {"model": {"normalization": "none"}}}})["mess3"]
    assert "ln_final.hook_normalized" not in chosen_sites(experiment["model"], experiment["probe"])


def leaves(value, path=()):
    """The paths of all keys, sections and values alike."""
    for key, item in value.items():
        yield (*path, key)
        if isinstance(item, dict):
            yield from leaves(item, (*path, key))


SLIPS = [None, "x", "", [], {}, 0, -1, 1.5, 1e400, float("nan"), 10**400, True, ["x"], {"x": 1}, [[1]]]


@pytest.mark.parametrize("path", sorted(leaves(CONFIG)), ids=".".join)
def test_no_slip_in_a_config_escapes_as_another_error(path):
    for value in SLIPS:
        config = copy.deepcopy(CONFIG)
        section = config
        for key in path[:-1]:
            section = section[key]
        section[path[-1]] = value
        try:
            resolve_experiments(canonical_config(config, SCHEMA), SCHEMA)
        except ConfigError as error:
            assert "\n" not in str(error)
