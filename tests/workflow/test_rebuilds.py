"""What runs again after a change: for each kind of change, exactly these rules, each so many times."""

import os
import re
import shutil

import pytest
from harness import Study, clone, edit

CLOUDS = {"plot_belief_simplex": 2, "plot_emergence": 2, "plot_sites": 2, "animate_emergence": 2}
SCORES = {"plot_r2_by_site": 2, "plot_controls": 2}
OF_REPORT = {"write_report": 1, "export_crate": 1, "all": 1}
LAST = {"draw_provenance": 1} | OF_REPORT
GATHERED = {"collect_claims": 1, "write_findings": 1, "build_explorer": 1, "plot_claims": 1} | LAST
CLAIMS = {"judge_claims": 2} | GATHERED
COMPONENTS = {"measure_components": 2, "plot_components": 2}
STEERING = {"steer_network": 4, "plot_steering": 2}
FIGURES = CLOUDS | SCORES | {"plot_loss": 2, "plot_distances": 2, "plot_explainer": 1, "plot_claims": 1}
FIGURES |= {"plot_components": 2, "plot_steering": 2}
DIMENSION = {"measure_dimension": 4, "plot_dimension": 2}
MEMORY = {"measure_convergence": 4, "plot_convergence": 2}
RECOVERY = {"recover_process": 4, "score_recovery": 4, "plot_recovery": 2}
INVERSE = RECOVERY | {"find_symmetries": 4, "plot_symmetry": 2}
FIGURES |= {"plot_recovery": 2, "plot_dimension": 2, "plot_symmetry": 2, "plot_convergence": 2, "plot_process": 2}
AFTER_PROBE = CLOUDS | SCORES | CLAIMS | DIMENSION | MEMORY | {"measure_distances": 4, "plot_distances": 2}
AFTER_ACTIVATIONS = AFTER_PROBE | COMPONENTS | STEERING | INVERSE
AFTER_ACTIVATIONS |= {"measure_loss": 4, "probe_beliefs": 4, "plot_loss": 2}
AFTER_TRAINING = AFTER_ACTIVATIONS | {"extract_activations": 4}
OF_ALL_RUNS = {"recover_process": 6, "score_recovery": 6, "find_symmetries": 6}  # those that are never trained too
UNTRAINED = {"extract_activations": 6, "probe_beliefs": 6} | OF_ALL_RUNS
OF_TASKS = ("build_ground_truth", "measure_process", "describe_process", "plot_process", "score_baselines")
EVERYTHING = AFTER_TRAINING | UNTRAINED | dict.fromkeys(OF_TASKS, 2) | {"train_model": 4, "initialize_networks": 2}
EVERYTHING |= {"play_chaos_game": 1, "plot_explainer": 1}
EVERYTHING |= {"sample_sequences": 2}  # of mess3 alone: rrxor is trained on its whole tree
ONCE = ("play_chaos_game", "plot_explainer", *GATHERED)


def of_one_experiment(rules):
    """Half of the jobs: those of one of the two experiments, and those of the whole study."""
    return {rule: count if rule in (*ONCE, "sample_sequences") else count // 2 for rule, count in rules.items()}


# --- Configuration ------------------------------------------------------------------------------------------------

MODEL = {"n_layers": 2.0, "d_model": 16, "d_mlp": 32}
CONFIGURATIONS = {
    "keys reordered, 1.0 for 1": (
        {"defaults": {"model": dict(reversed(MODEL.items()))}, "tree": {"max_prefixes": 2000.0}, "seeds": [1, 2]},
        {},
    ),
    "memory allowed": ({"memory_gb": 9}, OF_REPORT),  # both tell all of it
    "resolution": ({"figures": {"dpi": 61}}, {k: v for k, v in FIGURES.items() if k != "animate_emergence"} | LAST),
    "points drawn": (
        {"figures": {"max_points": 400}},
        CLOUDS | {"plot_components": 2, "plot_recovery": 2, "plot_explainer": 1} | LAST,
    ),
    "format": (
        {"figures": {"format": "svg"}},
        {k: v for k, v in FIGURES.items() if k != "animate_emergence"} | {"build_explorer": 1} | LAST,
    ),
    "margin of the claims": ({"claims": {"margin": 0.2}}, CLAIMS),
    "folds": ({"defaults": {"probe": {"folds": 4}}}, AFTER_PROBE | {"probe_beliefs": 6, "score_baselines": 2}),
    "networks that are never trained": (
        {"defaults": {"probe": {"random_networks": 6}}},
        SCORES
        | CLAIMS
        | {"initialize_networks": 2, "extract_activations": 2, "probe_beliefs": 2}
        | {"recover_process": 2, "score_recovery": 2, "find_symmetries": 2, "plot_recovery": 2, "plot_symmetry": 2},
    ),
    "a wrong target of one experiment": (
        {"experiments": {"mess3": {"probe": {"control_parameters": {"x": 0.1, "alpha": 0.7}}}}},
        of_one_experiment(AFTER_PROBE | {"probe_beliefs": 6, "score_baselines": 2}),
    ),
    "sites": ({"defaults": {"probe": {"sites": ["blocks.*.hook_resid_post"]}}}, AFTER_ACTIVATIONS | UNTRAINED),
    "learning rate of one experiment": (
        {"experiments": {"rrxor": {"training": {"learning_rate": 0.01}}}},
        of_one_experiment(AFTER_TRAINING | {"train_model": 4}),
    ),
    "snapshots of one experiment": (
        {"experiments": {"rrxor": {"training": {"snapshots": 5}}}},
        of_one_experiment(AFTER_TRAINING | {"train_model": 4}),
    ),
    "process of one experiment": (
        {"experiments": {"mess3": {"task": {"process": "mess3", "parameters": {"x": 0.06, "alpha": 0.85}}}}},
        of_one_experiment(EVERYTHING),
    ),
    "two values swapped": (
        {"experiments": {"mess3": {"training": {"steps": 32, "batch_size": 30}}}},
        of_one_experiment(AFTER_TRAINING | {"train_model": 4, "sample_sequences": 2}),
    ),
    "two weights swapped": (
        {"defaults": {"training": {"warmup_fraction": 0.01, "weight_decay": 0.1}}},
        AFTER_TRAINING | {"train_model": 4},
    ),
    "seed added": (
        {"seeds": [1, 2, 3]},
        {
            **{"sample_sequences": 1, "train_model": 2, "extract_activations": 2, "measure_loss": 2},
            **{"probe_beliefs": 2, "measure_distances": 2, "steer_network": 2, "plot_loss": 2, "plot_steering": 2},
            **dict.fromkeys([*DIMENSION, *MEMORY, *INVERSE], 2),
            **SCORES,
            **CLAIMS,
        },
    ),
    "experiment added": (
        {
            "experiments": {"golden_mean": {"task": {"process": "golden_mean"}, "probe": {"folds": 3}}},
            "only": ["mess3", "rrxor", "golden_mean"],
        },
        {k: v for k, v in of_one_experiment(EVERYTHING).items() if k not in ("play_chaos_game", "plot_explainer")},
    ),
}


@pytest.mark.parametrize("change", CONFIGURATIONS)
def test_change_of_the_configuration_reruns_exactly(change, finished):
    override, rules = CONFIGURATIONS[change]
    assert finished.planned(override=override) == rules


def test_experiment_removed_reruns_what_gathers_experiments(finished):
    assert finished.planned("--config=only=[mess3]") == GATHERED


# --- Code, style, captions, packages ----------------------------------------------------------------------------------

TORCH = AFTER_TRAINING | UNTRAINED | {"train_model": 4, "initialize_networks": 2}
CODE = {
    "a colour of the style sheet": (
        ("scripts/geometry/figures/study.mplstyle", "font.size: 8", "font.size: 8.5"),
        FIGURES | LAST,
    ),
    "a colour in the style module": (("scripts/geometry/figures/style.py", '"#7F7F7F"', '"#7E7E7E"'), FIGURES | LAST),
    "a caption": (("rules/captions/loss.rst", "Left: how far", "Left, how far"), OF_REPORT),
    "a statement of one figure": (
        ("scripts/plot_loss.py", "markersize=2.5", "markersize=2.6"),
        {"plot_loss": 2} | LAST,
    ),
    "a statement of the probe": (
        ("scripts/geometry/probing/regression.py", "return AffineMap(matrix, self.", "return AffineMap(matrix, +self."),
        AFTER_PROBE
        | COMPONENTS
        | STEERING
        | {"probe_beliefs": 6, "score_baselines": 2, "measure_process": 2, "describe_process": 2}
        | RECOVERY
        | {"recover_process": 6, "score_recovery": 6},
    ),
    "a statement of the model": (
        ("scripts/geometry/networks/transformer.py", "EPSILON = 1e-5", "EPSILON = 2e-5"),
        TORCH,
    ),
    "a statement of the training": (
        ("scripts/geometry/training/train.py", "0.5 * (1 + ", "(1 / 2) * (1 + "),
        AFTER_TRAINING | {"train_model": 4},
    ),
    "a statement of the processes": (
        ("scripts/geometry/processes/catalog.py", "(1 - alpha) / (n - 1)", "(1 - alpha) / (-1 + n)"),
        EVERYTHING,
    ),
    "a statement of the verdicts": (
        ("scripts/geometry/claims/verdicts.py", "len(values) > 1", "len(values) >= 2"),
        CLAIMS | {"describe_process": 2},  # its markup has the marks of the verdicts
    ),
    "a statement of the steering": (
        ("scripts/geometry/interventions/steering.py", "return np.stack([np.repeat(", "return np.array([np.repeat("),
        STEERING | CLAIMS,
    ),
    "the published claims": (
        ("docs/claims.csv", "claim,experiment,", "experiment,claim,"),
        {"write_findings": 1} | LAST,
    ),
    "the citation": (("CITATION.cff", "license: MIT", "license: ISC"), {"export_crate": 1, "all": 1}),
    "a label of the report": (
        ("rules/claims.smk", "claims with baselines", "the claims with baselines"),
        OF_REPORT,
    ),
}
NO_CODE_OF_RESULTS = {
    "a comment in the model": (
        "scripts/geometry/networks/transformer.py",
        "  # a key of ACTIVATIONS",
        "  # a comment",
    ),
    "a docstring of the model": ("scripts/geometry/networks/transformer.py", "The sizes and options", "A shape:"),
    "a comment in a rule": ("rules/training.smk", "  # the longest jobs first", "  # the longest ones first"),
    "the audit": ("scripts/geometry/provenance/audit.py", "if len(text) <= 60", "if len(text) < 61"),
    "the pin of a tool": ("envs/requirements.txt", "\nruff==", "\nruff==0."),
}


@pytest.mark.parametrize("change", CODE)
def test_change_of_the_code_reruns_exactly(change, finished, tmp_path):
    (name, old, new), rules = CODE[change]
    project = clone(tmp_path)
    edit(project / name, old, new)
    assert Study(finished.folder, project).planned() == rules


def test_change_of_what_no_result_is_made_from_reruns_nothing(finished, tmp_path):
    project = clone(tmp_path)
    for name, old, new in NO_CODE_OF_RESULTS.values():
        edit(project / name, old, new)
    assert Study(finished.folder, project).planned() == {}


PINS = {
    "matplotlib": FIGURES | LAST,
    "kiwisolver": FIGURES | LAST,  # matplotlib needs it
    "torch": TORCH,
    "sympy": TORCH,  # torch needs it
    "snakemake": OF_REPORT,
}


@pytest.mark.parametrize("package", PINS)
def test_change_of_a_pin_reruns_exactly(package, finished, tmp_path):
    project = clone(tmp_path)
    lock = project / "envs/requirements.txt"
    text, n = re.subn(rf"(?m)^{package}==\S+", f"{package}==0.0", lock.read_text(encoding="utf-8"))
    assert n == 1
    lock.write_text(text, encoding="utf-8")
    assert Study(finished.folder, project).planned() == PINS[package]


def test_job_refuses_to_run_on_packages_that_are_not_the_pinned_ones(tmp_path):
    study = Study(tmp_path / "study", clone(tmp_path / "project"))
    lock = study.project / "envs/requirements.txt"
    lock.write_text(re.sub(r"(?m)^numpy==\S+", "numpy==0.0", lock.read_text(encoding="utf-8")), encoding="utf-8")
    result = study.snakemake("results/mess3/seed_1/sequences.zarr.zip")
    assert result.returncode != 0 and "is installed, envs/requirements.txt pins 0.0; run: rm .venv" in result.stderr
    assert "Traceback" not in result.stderr


# --- Files and their dates --------------------------------------------------------------------------------------------


def touch_all(folder):
    """New dates for all files, in an order that has nothing to do with what was made from what."""
    for place, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        os.utime(path, (1_500_000_000 + place,) * 2)


def rewrite(path, when):
    """Other content at a path, with a date before or after all others."""
    date = {"old": 1_000_000_000, "new": 4_000_000_000}[when]
    path.write_bytes(path.read_bytes() + b" ")
    os.utime(path, (date, date))


def test_touched_files_rerun_nothing(finished, tmp_path):
    study, project = finished.copy(tmp_path / "study"), clone(tmp_path / "project")
    touch_all(project)
    touch_all(study.folder / "results")
    assert Study(study.folder, project).planned() == {}


def test_fresh_clone_beside_kept_results_reruns_nothing_even_without_snakemakes_memory(finished, tmp_path):
    study, project = finished.copy(tmp_path / "moved"), clone(tmp_path / "project")
    shutil.rmtree(study.folder / ".snakemake")
    assert Study(study.folder, project).planned() == {}


def test_results_without_dates_and_without_snakemakes_memory_are_adopted_after_an_audit(finished, tmp_path):
    study = finished.copy(tmp_path / "moved")
    shutil.rmtree(study.folder / ".snakemake")
    touch_all(study.folder / "results")
    assert study.planned() != {}
    study.run("audit")
    study.run("--touch")
    assert study.planned() == {}
    assert study.planned(override={"defaults": {"probe": {"folds": 4}}})["probe_beliefs"] == 6


@pytest.mark.parametrize("name", ["mess3/seed_1/activations.zarr.zip", "mess3/seed_1/model.safetensors", "claims.csv"])
def test_deleted_file_is_made_again_only_when_asked_for(name, finished, tmp_path):
    study = finished.copy(tmp_path / "study")
    (study.folder / "results" / name).unlink()
    rule = {"activations": "extract_activations", "model": "train_model", "claims": "collect_claims"}
    assert study.planned(f"results/{name}") == {rule[name.split("/")[-1].split(".")[0]]: 1}
    study.run(f"results/{name}")
    assert (study.folder / "results" / name).read_bytes() == (finished.folder / "results" / name).read_bytes()


def test_changed_content_reruns_what_reads_it_if_its_date_is_new(finished, tmp_path):
    study = finished.copy(tmp_path / "study")
    rewrite(study.folder / "results/mess3/seed_2/loss.csv", "new")
    assert study.planned() == {"plot_loss": 1, "plot_dimension": 1, "judge_claims": 1} | GATHERED


def test_changed_content_behind_an_old_date_is_found_by_the_audit_which_says_how_to_mend_just_that(finished, tmp_path):
    study = finished.copy(tmp_path / "study")
    path = study.folder / "results/mess3/seed_2/loss.csv"
    rewrite(path, "old")
    assert study.planned() == {}
    result = study.snakemake("audit")
    assert result.returncode != 0
    said = "results/mess3/seed_2/loss.csv: not the content that measure_loss mess3 seed 2 wrote. Make it again: "
    assert said in result.stderr
    study.run("--force", "results/mess3/seed_2/loss.csv")
    assert path.read_bytes() == (finished.folder / "results/mess3/seed_2/loss.csv").read_bytes()
    assert study.planned() == LAST  # its new record, and what tells of all records
    study.run()
    study.run("audit")
