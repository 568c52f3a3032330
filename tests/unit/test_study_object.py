"""The study as a plain object: its networks, files, figures and records, for small configurations."""

import json

import pytest
from snakemake.exceptions import WorkflowError

from configuration import CONFIG, ROOT, study_with
from geometry.config.compared import compared_networks
from geometry.config.experiments import merged
from geometry.config.explored import in_all_runs
from geometry.config.job_costs import Estimates

MESS3 = {"process": "mess3", "parameters": {"x": 0.05, "alpha": 0.85}, "context": 8}
CHECKPOINT = {"format": "transformer_lens", "activation": "gelu"}
EXPERIMENTS = {
    "belief": {"task": MESS3, "training": {"batch_size": 8, "steps": 20, "snapshots": 3}},
    "exact": {"task": MESS3 | {"context": 6}, "training": {"labels": "exact"}},
    "tree": {"task": MESS3 | {"context": 5}, "training": {"labels": "full_distribution"}},
    "gru": {"task": MESS3, "model": {"architecture": "gru", "n_layers": 2}},
    "beyond": {"task": MESS3, "model": {"architecture": "gru"}, "training": {"context": 4}},
    "attending": {"task": MESS3 | {"context": 9}, "attention": True},
    "one_file": {
        "task": MESS3 | {"context": 7},
        "model": CHECKPOINT | {"checkpoint": f"{ROOT}/tests/data/mess3.safetensors"},
    },
    "file_by_seed": {
        "task": MESS3 | {"context": 4},
        "model": CHECKPOINT | {"checkpoint": "./nets/../net_{seed}.safetensors"},
    },
    "language": {
        "task": MESS3 | {"first_position": 3},
        "model": {"checkpoint": "toy", "format": "huggingface", "token_ids": [5, 1, 7], "sequences": 20},
    },
    "sum": CONFIG["experiments"]["modular_addition"],
    "polynomial": merged(
        CONFIG["experiments"]["modular_addition"], {"task": {"parameters": {"operation": "polynomial"}}}
    ),
}


@pytest.fixture
def study_of(tmp_path, monkeypatch):
    """A function: the study of some of these experiments, with other settings besides."""
    (tmp_path / "nets").mkdir()
    for seed in (3, 4):
        (tmp_path / f"net_{seed}.safetensors").write_bytes((ROOT / "tests/data/mess3.safetensors").read_bytes())
    (tmp_path / "toy").mkdir()
    sizes = json.dumps({"num_hidden_layers": 2, "hidden_size": 16})
    (tmp_path / "toy/config.json").write_text(sizes, encoding="utf-8")
    (tmp_path / "toy/model.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path)

    def make(*names, **settings):
        chosen = {"experiments": EXPERIMENTS, "only": list(names), "seeds": [3, 4], "figures": {"explainer": None}}
        return study_with(chosen, settings)

    return make


def test_trained_and_pretrained_experiments_are_listed_apart(study_of):
    study = study_of("belief", "one_file", "sum")
    assert study.trained == ["belief", "sum"] and study.pretrained == ["one_file"]
    assert study.is_trained_here("belief") and not study.is_trained_here("one_file")
    assert study.kinds == {"belief": "markov", "one_file": "markov", "sum": "modular"}


def test_range_of_seeds_is_one_run_and_an_experiment_may_have_its_own(study_of):
    study = study_of("belief", "exact", "file_by_seed", seeds={"default": ["3-4"], "exact": [1, "3-5"]})
    assert study.runs("belief") == ["seeds_3-4"] and study.runs("exact") == ["seed_1", "seeds_3-5"]
    assert study.runs("file_by_seed") == ["seed_3", "seed_4"]  # each from a file of its own
    assert "results/provenance/exact/seeds_3-5/sample_sequences.json" in study.records()


def test_run_is_a_seed_or_a_file(study_of):
    study = study_of("belief", "one_file", "file_by_seed")
    assert study.runs("belief") == ["seed_3", "seed_4"]
    assert study.runs("one_file") == ["pretrained"]
    assert study.runs("file_by_seed") == ["seed_3", "seed_4"]
    assert study.in_every_run("loss.csv", ["one_file", "belief"]) == [
        "results/one_file/pretrained/loss.csv",
        "results/belief/seed_3/loss.csv",
        "results/belief/seed_4/loss.csv",
    ]
    assert study.in_random_init("probe.csv", ["belief"]) == ["results/belief/random_init/probe.csv"]


def test_each_seed_of_a_language_model_is_a_sample_of_words_with_a_truth_and_random_network_of_its_own(study_of):
    study = study_of("language", "belief")
    runs = ["seed_3", "seed_4"]
    assert study.runs("language") == study.random_runs("language") == runs and study.samples("language") == [3, 4]
    assert study.samples("belief") == [] and study.random_runs("belief") == ["random_init"]
    truths = [study.ground_truth("language", run) for run in runs]
    assert truths == study.ground_truths("language") and len(set(truths)) == 2
    assert study.ground_truth("language") == truths[0] == study.of_task("language", "ground_truth.zarr.zip")
    assert study.ground_truth("belief", "seed_4") == study.ground_truth("belief", "random_init")
    for run, path in zip(runs, truths, strict=True):
        recording = f"results/language/{run}/recording.zarr.zip"
        assert study.recordings("language", run) == [recording]
        assert study.tasks[path.split("/")[2]]["recording"] == recording
    records = [name.removeprefix("results/provenance/") for name in study.records()]
    assert len(records) == len(set(records)) and not any(name.startswith("language/random_init") for name in records)
    assert {f"language/{run}/record_activations.json" for run in runs} <= set(records)
    made = [name for name in records if name.endswith(("build_ground_truth.json", "describe_process.json"))]
    assert len(made) == 3 + 2  # each sample has a truth, and both a card: it tells of the process alone
    assert in_all_runs(study, "probe.csv", ["language"]) == ["results/language/seed_3/probe.csv"]
    estimates = Estimates(study.experiments, 1000)
    for path in truths:
        assert estimates.memory_bytes("build_ground_truth", {"task": path.split("/")[2]}) > 0


def test_checkpoint_is_named_as_snakemake_spells_paths(study_of):
    study = study_of("one_file", "file_by_seed")
    assert study.checkpoint("file_by_seed", "seed_4") == "net_4.safetensors"
    assert study.checkpoint("one_file", "pretrained") == f"{ROOT}/tests/data/mess3.safetensors"
    with pytest.raises(WorkflowError, match=r"this study has no 'seed_5'; it has seed_3, seed_4$"):
        study.checkpoint("file_by_seed", "seed_5")


@pytest.mark.parametrize(
    ("experiment", "sequences", "n_sequences"),
    [
        ("belief", ["results/belief/seed_3/sequences.zarr.zip"], 160),
        ("exact", ["results/exact/seed_3/sequences.zarr.zip"], None),
        ("tree", [], None),
        ("one_file", [], None),
        ("sum", [], None),
    ],
)
def test_sequences_are_those_that_a_training_samples(experiment, sequences, n_sequences, study_of):
    study = study_of(experiment)
    assert study.sequences(experiment, "seed_3") == sequences
    assert study.n_sequences(experiment, "seed_3") == n_sequences
    assert study.n_sequences(experiment, "random_init") is None


def test_training_knows_its_own_context_alone(study_of):
    study = study_of("beyond", "belief", "one_file")
    assert study.task("beyond")["context"] == 8
    assert study.trained_task("beyond") == study.task("beyond") | {"context": 4}
    assert "context" not in study.training("beyond")
    assert all(study.trained_task(name) == study.task(name) for name in ("belief", "one_file"))
    assert sorted(study.shared_tasks["mess3_0.05_0.85_context8"]) == ["belief", "beyond"]


def test_settings_reach_only_what_depends_on_them(study_of):
    study = study_of("belief", "one_file")
    assert study.batches("belief") == {"batch_size": 8, "steps": 20}
    assert study.batches("one_file") == {} and study.training("one_file") == {}
    assert study.regression("belief") == {"control_parameters": None, "folds": 5, "repeats": 2, "seed": 0}


def test_snapshots_of_random_networks_are_as_many_as_networks(study_of):
    study = study_of("belief", "sum", defaults={"probe": {"random_networks": 9}})
    assert study.n_snapshots("belief", "seed_3") == 100 and study.n_snapshots("sum", "seed_3") == 2
    assert study.n_snapshots("belief", "random_init") == study.n_random_networks("belief") == 9


def test_sites_are_those_of_the_architecture(study_of):
    study = study_of("gru", "sum", figures={"sites": {"sum": "blocks.0.hook_resid_mid"}})
    assert study.sites("gru") == study.concatenated("gru") == ["layers.0.hook_h", "layers.1.hook_h"]
    assert study.compared_sites("gru") == ["layers.1.hook_h", "concatenated"]
    assert study.drawn_site("gru") == study.last_layer_output("gru") == "layers.1.hook_h"
    assert study.sites("sum") == ["blocks.0.hook_resid_mid", "blocks.0.hook_resid_post"]
    assert study.concatenated("sum") == []
    assert study.compared_sites("sum") == ["blocks.0.hook_resid_post"]
    assert study.drawn_site("sum") == "blocks.0.hook_resid_mid"
    assert study.last_layer_output("sum") == "blocks.0.hook_resid_post"


OF_BELIEFS = {
    *("belief_simplex", "emergence", "sites", "r2_by_site", "controls", "components", "loss"),
    *("distances", "steering", "recovery", "dimension", "symmetry", "convergence", "process"),
}


@pytest.mark.parametrize(
    ("experiment", "figures", "animations"),
    [
        ("belief", OF_BELIEFS, ["emergence"]),
        ("attending", OF_BELIEFS | {"attention"}, ["emergence"]),
        ("one_file", OF_BELIEFS - {"emergence", "loss", "dimension"}, []),
        ("sum", {"progress", "spectrum", "circles", "bases", "surgery", "shift_symmetry"}, []),
        ("polynomial", {"progress", "spectrum", "bases", "shift_symmetry"}, []),
    ],
)
def test_figures_are_those_of_the_kind_and_of_a_training_if_there_is_one(experiment, figures, animations, study_of):
    study = study_of(experiment)
    assert set(study.figures(experiment)) == figures and len(study.figures(experiment)) == len(figures)
    assert list(study.animations(experiment)) == animations
    files = {f"results/figures/{experiment}/{name}.png" for name in figures}
    files |= {f"results/figures/{experiment}/{name}.gif" for name in animations}
    assert set(study.figure_files()) == files | {"results/figures/claims.png"}


def test_figures_are_in_the_order_in_which_a_reader_wants_them(study_of):
    files = [path.removeprefix("results/figures/") for path in study_of("belief").figure_files()]
    assert files[0] == "claims.png"
    wanted = ["belief_simplex", "r2_by_site", "emergence", "controls", "steering", "recovery", "convergence"]
    places = [files.index(f"belief/{name}.png") for name in wanted]
    assert places == sorted(places)
    assert files.index("belief/emergence.gif") == files.index("belief/emergence.png") + 1


def test_rules_are_asked_by_experiment_and_by_task(study_of):
    study = study_of("belief", "gru", "sum", "polynomial")
    assert study.analysed_by("measure_surgery") == study.analysed_by("plot_circles") == ["sum"]
    assert study.analysed_by("measure_circuit") == ["polynomial", "sum"]
    assert study.analysed_by("steer_network") == study.analysed_by("animate_emergence") == ["belief", "gru"]
    assert study.analysed_by("no_such_rule") == []
    assert study.tasks_analysed_by("measure_process") == ["mess3_0.05_0.85_context8"]
    assert study.of_task("gru", "recovery.csv") == "results/tasks/mess3_0.05_0.85_context8/recovery.csv"
    task = "modular_arithmetic_113_addition_0.4_0_context3"
    assert study.ground_truth("sum") == f"results/tasks/{task}/ground_truth.zarr.zip"


def test_records_of_a_trained_network_cover_its_jobs(study_of):
    records = study_of("belief", seeds=[3]).network_records("belief")
    every_network = ["extract_activations", "probe_beliefs", "recover_process", "score_recovery", "find_symmetries"]
    of_run = ["train_model", *every_network, "measure_loss", "steer_network", "measure_convergence"]
    of_run += ["measure_distances", "measure_components", "measure_dimension"]
    assert sorted(records) == sorted(
        [f"seed_3/{name}" for name in of_run]
        + [f"random_init/{name}" for name in ["initialize_networks", *every_network]]
    )


def test_attention_is_measured_of_experiments_that_ask_for_it(study_of):
    study = study_of("belief", "attending", "one_file", experiments={"one_file": {"attention": True}})
    assert study.analysed_by("measure_attention") == ["attending", "one_file"]
    for experiment, run in (("attending", "seed_3"), ("one_file", "pretrained")):
        records = study.network_records(experiment)
        assert {f"{run}/measure_attention", "random_init/measure_attention"} <= set(records)
    assert study.n_trained_positions("attending") == 9 and study.n_trained_positions("one_file") == 6
    assert not any("attention" in record for record in study.network_records("belief"))


def test_figures_alone_read_the_first_run(study_of):
    records = study_of("belief").network_records("belief")
    assert "seed_3/measure_components" in records and "seed_4/measure_components" not in records
    assert {"seed_4/measure_dimension", "seed_4/measure_distances"} <= set(records)


def test_records_of_a_pretrained_network_have_no_training(study_of):
    records = study_of("one_file").network_records("one_file")
    assert {"pretrained/import_model", "pretrained/steer_network", "random_init/initialize_networks"} <= set(records)
    assert not {"pretrained/train_model", "pretrained/measure_dimension"} & set(records)


def test_records_of_a_study_are_all_behind_its_claims_and_figures(study_of):
    records = study_of("belief", "tree", seeds=[3], figures={"explainer": "belief", "format": "svg"}).records()
    assert len(records) == len(set(records))
    names = {name.removeprefix("results/provenance/").removesuffix(".json") for name in records}
    assert {
        *("collect_claims", "write_findings", "build_explorer"),
        *("figures/play_chaos_game", "figures/plot_explainer.svg"),
        *("claims/belief/judge_claims", "claims/tree/judge_claims"),
        *("tasks/mess3_0.05_0.85_context8/build_ground_truth", "tasks/mess3_0.05_0.85_context5/build_ground_truth"),
        *("tasks/mess3_0.05_0.85_context8/measure_process", "belief/score_baselines"),
        *("belief/seed_3/sample_sequences", "belief/seed_3/train_model", "tree/random_init/probe_beliefs"),
        *("figures/tree/plot_loss.svg", "figures/tree/animate_emergence"),
    } <= names
    assert not {"tree/seed_3/sample_sequences", "compare_experiments", "figures/plot_comparison.svg"} & names


def test_named_study_has_a_folder_for_what_is_of_the_study_alone(study_of):
    study = study_of("belief", "gru", study="mine", seeds=[3], figures={"explainer": "belief"})
    assert study.folder == "studies/mine/"
    assert study.claims_files() == ["results/studies/mine/claims/belief.csv", "results/studies/mine/claims/gru.csv"]
    figures = study.figure_files()
    of_study = [f"results/studies/mine/figures/{name}.png" for name in ("claims", "comparison", "explainer")]
    assert figures[:3] == of_study
    assert "results/figures/belief/loss.png" in figures
    records = study.records()
    assert "results/provenance/studies/mine/claims/gru/judge_claims.json" in records
    assert "results/provenance/studies/mine/figures/plot_comparison.png.json" in records
    assert "results/provenance/belief/seed_3/train_model.json" in records


def test_unnamed_study_stands_in_the_results_themselves(study_of):
    study = study_of("belief")
    assert study.folder == "" and study.claims_files() == ["results/claims/belief.csv"]


def test_networks_on_one_task_are_compared(study_of):
    study = study_of("belief", "gru", "tree", "sum")
    assert study.shared_tasks == {"mess3_0.05_0.85_context8": ["belief", "gru"]}
    assert study.compared == ["belief", "gru"]
    common = {"task": "mess3_0.05_0.85_context8", "process": "mess3", "d_model": 64}
    assert compared_networks(study) == {
        "belief": common | {"label": "transformer, 4 layers", "architecture": "transformer", "n_layers": 4},
        "gru": common | {"label": "gru, 2 layers", "architecture": "gru", "n_layers": 2},
    }


def test_networks_on_one_task_without_recovery_are_not_compared(study_of):
    twice = {"other_sum": EXPERIMENTS["sum"]}
    study = study_of("sum", "other_sum", experiments=twice)
    assert len(study.tasks) == 1 and study.shared_tasks == {} and compared_networks(study) == {}
    assert "results/figures/comparison.png" not in study.figure_files()


def test_explainer_is_drawn_of_the_experiment_that_is_named(study_of):
    assert study_of("belief", figures={"explainer": "belief"}).explained["task"]["process"] == "mess3"
    assert study_of("belief").explained is None
    assert study_of("tree", figures={"explainer": "belief"}).explained is None  # which `only` leaves out


def test_unknown_name_is_refused_in_a_sentence(study_of):
    study = study_of("belief", "sum")
    with pytest.raises(WorkflowError, match=r"^this study has no 'believe'; it has belief, sum$"):
        study.task("believe")
    with pytest.raises(WorkflowError, match=r"^this study has no 'mess3'; it has mess3_0.05_0.85_context8, modular"):
        study.tasks["mess3"]


def test_notes_of_a_task_are_shown_with_the_name_of_the_experiment(study_of):
    rounded = {"transition_matrix": [[0.3333, 0.6666], [0.5, 0.5]], "emission_matrix": [[0.2, 0.8], [1, 0]]}
    task = {"process": "custom", "parameters": rounded | {"emitting_state": "from_state"}, "context": 9}
    study = study_of("mine", "sum", experiments={"mine": {"task": task, "model": {"d_model": 16, "d_mlp": 16}}})
    (sentence,) = study.cautions()
    assert sentence.startswith("experiment 'mine': transition_matrix: the probabilities of leaving state 0 summed to")


def test_claims_and_crate_of_another_study_are_looked_for_under_its_own_name(study_of, monkeypatch):
    recorded = {"studies/mine/collect_claims.json": {"experiments": ["other"]}}
    recorded["export_crate.json"] = {"config": {"study": None}}
    monkeypatch.setattr("geometry.config.gathered.recorded_params", lambda name: recorded.get(name, {}))
    mine, unnamed = study_of("belief", study="mine"), study_of("belief")
    assert mine.replaced_claims().startswith("results/studies/mine/claims.csv, the findings and the report beside it")
    assert unnamed.replaced_claims() is None
    assert mine.crate() == [] and unnamed.crate() == ["results/ro-crate-metadata.json"]
    recorded["export_crate.json"] = {"config": {"study": "mine"}}
    assert mine.crate() == unnamed.crate() == ["results/ro-crate-metadata.json"]
