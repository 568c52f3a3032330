"""The whole workflow on the tiny configuration: what it makes, what it makes again, what it refuses."""

import base64
import json
import re
import shutil
import subprocess
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from harness import ROOT, Study, clone, hashes
from PIL import Image

from chromium import CHROMIUM
from configuration import content_of, resolve
from controls import KEYS, missing_baselines, missing_controls
from geometry.claims.outcomes import counts_in_words, with_outcomes
from geometry.networks.build import build_network
from geometry.networks.input_layout import DenseSequences
from geometry.networks.snapshots import by_prefix
from geometry.storage import open_dataset, read_tensors
from geometry.tables import read_table
from research_object import problems

NAMES = ["belief_simplex", "components", "controls", "distances", "emergence", "loss", "r2_by_site", "sites"]
NAMES += ["steering", "recovery", "dimension", "symmetry", "convergence", "process"]
FIGURES = ["emergence.gif", *(f"{name}.png" for name in NAMES)]
EXPERIMENTS = ["mess3", "rrxor"]


def test_every_figure_is_drawn_and_small(finished):
    paths = [finished.folder / "results/figures" / e / name for e in EXPERIMENTS for name in FIGURES]
    of_study = [finished.folder / f"results/figures/{name}.png" for name in ("claims", "explainer")]
    for path in [*paths, *of_study]:
        assert path.stat().st_size < 2_000_000
        pixels = np.asarray(Image.open(path).convert("L"))
        assert min(pixels.shape) > 100 and pixels.std() > 5, f"{path} is blank"
    animation = finished.folder / "results/figures/mess3/emergence.gif"
    assert Image.open(animation).n_frames == 10  # four snapshots, two frames between each


def test_report_holds_claims_and_figures(finished):
    text = (finished.folder / "results/report.html").read_text(encoding="utf-8")
    assert text.count("belief_simplex.png") and text.count("claims.csv") and "optimal" in text
    findings = (finished.folder / "results/findings.md").read_text(encoding="utf-8")
    for row in read_table(finished.folder / "results/claims.csv").itertuples():
        assert f"{row.estimate:.4f}" in findings and row.claim in findings and row.baseline_name in findings


def lists_of(report, category, tmp_path):
    """The text of the report in a browser, with a category opened; and the category's results in their order."""
    page = tmp_path / "report.html"
    then = f"app?.state.content === 'html' ? app.showCategory('{category}') : setTimeout(wait)"
    script = f"<script>const wait = () => {then}; wait();</script>"
    page.write_text(report.read_text(encoding="utf-8") + script, encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    dom = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    dom = dom[dom.index('<div id="app">') : dom.index("<script", dom.index('<div id="app">'))]
    return dom, re.findall(r'<tr><td class="p-1 pl-2[^"]*">(.*?)</td>', dom)


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: chromium")
def test_report_opens_on_the_findings_and_lists_results_in_the_order_of_a_reader(finished, tmp_path):
    report = finished.folder / "results/report.html"
    dom, labels = lists_of(report, "Claims", tmp_path)
    (shown,) = re.findall(r'<iframe[^>]* src="data:text/html;[^"]*base64,([^"]*)"', dom)
    assert base64.b64decode(shown) == (finished.folder / "results/findings.html").read_bytes()
    assert labels[:2] == ["findings: verdicts, baselines and scores", "gain of every claim"]
    assert labels[2] == "claims with baselines and verdicts"
    labels = lists_of(report, "mess3", tmp_path)[1]
    assert labels[:3] == ["true and decoded beliefs", "decoded beliefs by site", "R² by site"]
    assert labels[3:5] == ["emergence over training", "emergence, animated"] and labels[-1] == "process"


def test_run_ends_with_the_verdicts_and_what_to_open(finished, tmp_path):
    study = finished.copy(tmp_path / "study")
    findings, report = (study.folder / f"results/{name}.html" for name in ("findings", "report"))
    counts = counts_in_words(with_outcomes(read_table(study.folder / "results/claims.csv"), 0.1))
    ends = {
        (): f"{counts}. Open results/findings.html, or results/report.html for all figures.",
        ("study",): f"{counts}. Open results/findings.html.",
        ("--quiet", "study"): f"{counts}. Open results/findings.html.",
    }
    for arguments, end in ends.items():
        findings.unlink()
        report.unlink(missing_ok=True)
        assert study.run(*arguments).split("\n\n")[-2] == end
    findings.unlink()
    figure = study.folder / "results/figures/mess3/loss.png"
    figure.unlink()
    assert "Open results" not in study.run("--dry-run")
    assert "Open results" not in study.run("results/figures/mess3/loss.png") and figure.exists()
    assert "Open results" not in study.run("--quiet=all", "study") and findings.exists()


def test_job_that_reads_hundreds_of_files_names_a_few(finished, tmp_path):
    study = finished.copy(tmp_path / "study")
    (study.folder / "results/ro-crate-metadata.json").unlink()
    said = study.run("export_crate")
    (read,) = re.findall(r"input: (.*)", said)
    n = len([path for path in (study.folder / "results/provenance").rglob("*.json") if path.stem != "export_crate"])
    assert read.count(", ") == 5 and read.endswith(f"... ({n} files)")


def test_study_is_a_valid_research_object(finished, tmp_path):
    results = finished.copy(tmp_path).folder / "results"
    assert problems(results) == []
    (results / "claims.csv").unlink()
    assert problems(results) != []


def test_provenance_page_shows_every_job_that_leads_to_a_claim_or_a_figure(finished):
    page = (finished.folder / "results/provenance/index.html").read_text(encoding="utf-8")
    jobs = json.loads(re.search(r'type="application/json">(.*?)</script>', page)[1])["jobs"]
    records = finished.folder.glob("results/provenance/**/*.json")
    last = {"draw_provenance", "write_report", "export_crate"}
    assert {job["rule"] for job in jobs.values()} == {path.name.split(".")[0] for path in records} - last
    read = [f"{rule} mess3 seed {seed}" for rule in ("measure_loss", "train_model") for seed in (1, 2)]
    assert jobs["plot_loss mess3"]["parents"] == read


def test_claims_have_estimate_interval_floor_and_verdict(finished):
    claims = read_table(finished.folder / "results/claims.csv")
    assert set(claims["experiment"]) == set(EXPERIMENTS) and (claims["n_seeds"] == 2).all()
    assert (claims["ci_low"] <= claims["estimate"]).all() and (claims["estimate"] <= claims["ci_high"]).all()
    assert claims["verdict"].isin(["supported", "not supported", "undecided", "not testable"]).all()
    mess3 = claims[claims["experiment"] == "mess3"].set_index("claim")
    assert mess3.loc["beyond next-token prediction", "verdict"] == "not testable"  # its predictions tell the belief
    decided, tested = claims["verdict"].isin(["supported", "not supported"]), claims["p_value"].notna()
    assert (decided == (claims["p_value"] < 0.05)).all() and (claims["gain"].abs().dropna() <= 1).all()
    assert (claims["p_holm"].notna() == tested).all() and (claims["p_holm"] >= claims["p_value"])[tested].all()
    findings = (finished.folder / "results/findings.md").read_text(encoding="utf-8")
    assert f"of {tested.sum()} claims that can be decided" in findings


def test_power_says_of_each_claim_how_many_seeds_would_decide_it(finished):
    claims, power = (read_table(finished.folder / f"results/{name}.csv") for name in ("claims", "power"))
    for column in ("experiment", "claim", "site", "verdict"):
        assert list(power[column]) == list(claims[column])
    assert (power["seeds_to_decide"].isna() == claims["p_value"].isna()).all() and power["seeds_to_decide"].min() == 2
    text = finished.run("bill", "--quiet=all")
    assert f"{(claims['verdict'] == 'undecided').sum()} claims are undecided." in text


@pytest.mark.parametrize("run", ["seed_1", "seed_2", "random_init"])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_probe_table_lacks_no_control(experiment, run, finished):
    probe = read_table(finished.folder / f"results/{experiment}/{run}/probe.csv")
    assert not probe.duplicated([*KEYS, "draw"]).any()
    has_kernel = experiment == "rrxor"
    assert missing_controls(probe, context=4, has_kernel=has_kernel) == []
    baselines = read_table(finished.folder / f"results/{experiment}/baselines.csv")
    assert missing_baselines(baselines, has_kernel) == []
    networks = probe[["seed", "step"]].drop_duplicates()
    assert len(networks) == {"random_init": 5}.get(run, 4) and 0 in networks["step"].values


def test_networks_do_not_depend_on_those_of_their_run(finished, tmp_path):
    study = finished.copy(tmp_path / "study")
    study.run("results/claims.csv", "results/figures/mess3/loss.png", override={"seeds": ["1-2"]})
    results, tables = study.folder / "results", ["training", "loss", "probe", "steering", "recovery", "symmetry"]
    for experiment, table in product(EXPERIMENTS, tables):
        own = [read_table(results / experiment / f"seed_{seed}/{table}.csv") for seed in (1, 2)]
        together = read_table(results / f"{experiment}/seeds_1-2/{table}.csv")
        pd.testing.assert_frame_equal(pd.concat(own, ignore_index=True), together)
    both = by_prefix(read_tensors(results / "rrxor/seeds_1-2/model.safetensors"))
    for seed in (1, 2):
        alone = read_tensors(results / f"rrxor/seed_{seed}/model.safetensors")
        assert all((both[f"seed_{seed}."][name] == array).all() for name, array in alone.items())
    assert (results / "claims.csv").read_bytes() == (finished.folder / "results/claims.csv").read_bytes()


def test_activations_are_labelled_and_belong_to_the_snapshots(finished):
    run = finished.folder / "results/rrxor/seed_2"
    model, snapshots = read_tensors(run / "model.safetensors"), read_tensors(run / "snapshots.safetensors")
    assert all((snapshots[name][-1] == value).all() for name, value in model.items())
    with open_dataset(run / "activations.zarr.zip") as found:
        assert found["activation"].dims == ("snapshot", "site", "prefix", "feature")
        assert found["step"].values.tolist() == snapshots["step"].tolist()
        total = np.exp(found["log_probability"].values.astype(float)).sum(axis=-1)
        assert (total < 1).all()  # the rest is the beginning-of-sequence token's
        assert found["length"].values.tolist() == sorted(found["length"].values)


@pytest.mark.parametrize(("experiment", "bos"), [("mess3", False), ("rrxor", True)])
def test_activations_are_those_of_a_forward_pass_on_one_word(finished, experiment, bos):
    settings = resolve(content_of("tests/config.yaml"))[experiment]
    assert settings["model"]["bos"] == bos
    run = finished.folder / "results" / experiment / "seed_1"
    (truth,) = (finished.folder / "results/tasks").glob(f"{experiment}_*/ground_truth.zarr.zip")
    with open_dataset(truth) as theory, open_dataset(run / "activations.zarr.zip") as found:
        n_tokens, row = theory.sizes["token"], theory.sizes["prefix"] - 2
        word, node = [], row
        while node >= 0:
            word.insert(0, int(theory["last_token"][node]))
            node = int(theory["parent"][node])
        word = [n_tokens] * bos + word
        network = build_network(n_tokens, settings["task"]["context"], settings["model"])
        network.load_state_dict({k: torch.from_numpy(v) for k, v in read_tensors(run / "model.safetensors").items()})
        with network.recording(list(found["site"].values)) as record:
            logits = network(torch.tensor(word), DenseSequences(1, len(word), torch.device("cpu")))
        for place, site in enumerate(found["site"].values):
            expected = record[site][-1].detach().numpy()
            np.testing.assert_allclose(found["activation"][-1, place, row].values, expected, rtol=1e-4, atol=1e-5)
        expected = logits.log_softmax(1)[-1, :n_tokens].detach().numpy()
        np.testing.assert_allclose(found["log_probability"][-1, row].values, expected, rtol=1e-4, atol=1e-5)


def test_example_of_reading_results_finds_what_a_network_predicts(finished, monkeypatch):
    text = (ROOT / "docs/reading_results.md").read_text(encoding="utf-8")
    names = {}
    monkeypatch.chdir(finished.folder)
    for block in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(block.replace("_context10/", "_context4/").replace("seeds_1-5", "seed_1"), names)
    truth, activations, row = names["truth"], names["activations"], 3 + 9 + 5  # behind 12 shorter ones, 0 0 0 ... 0 1 2
    assert names["row"] == row and names["word"] == "2 0 2 1"
    assert np.exp(activations["log_probability"].values[-1, row]).tolist() == names["predicted"].values.tolist()
    belief = truth.attrs["target_name"] == "belief_state" and names["belief"].values
    np.testing.assert_allclose(belief, truth["target"].values[row])
    assert names["optimal"].values.tolist() == truth["next_token_probability"].values[row].tolist()
    place = activations["site"].values.tolist().index("ln_final.hook_normalized")
    assert names["vector"].values.tolist() == activations["activation"].values[-1, place, row].tolist()
    assert names["read_out"].values.tolist() == names["decoded"]["decoded_belief"].values[0, :, place, row].tolist()
    assert names["of_the_same_prefixes"]["length"].equals(truth["length"])


def test_exact_loss_agrees_with_the_training_curve(finished):
    run = finished.folder / "results/mess3/seed_1"
    loss, training = read_table(run / "loss.csv"), read_table(run / "training.csv")
    exact = loss[loss["step"] == 0]["gap_nats"].mean()
    assert training["gap_nats"].iloc[0] == pytest.approx(exact, rel=0.15)
    assert (training["gap_nats"] >= 0).all() and (loss["gap_nats"] >= 0).all()
    gap = training["loss_nats"] - training["optimal_loss_nats"]
    pd.testing.assert_series_equal(gap, training["gap_nats"], check_names=False)


def test_two_checkouts_that_share_a_cache_train_once(finished, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    first, second = Study(tmp_path / "first"), Study(tmp_path / "second", clone(tmp_path / "project"))
    targets = [f"results/{e}/seed_1/activations.zarr.zip" for e in EXPERIMENTS]
    environment, cpu = {"SNAKEMAKE_OUTPUT_CACHE": str(cache)}, {"device": "cpu"}
    said = [s.run("--cache", *targets, environment=environment, override=cpu) for s in (first, second)]
    said = [re.findall(r"\d\d:\d\d:\d\d (\w+ [\w. ]+):", text) for text in said]  # wherever on a line: others write too
    counts = {"build_ground_truth": 2, "sample_sequences": 1, "train_model": 2, "extract_activations": 2}
    for rule, count in counts.items():
        assert [len({job for job in jobs if job.split()[0] == rule}) for jobs in said] == [count, 0]
    assert hashes(first) == hashes(second)
    artefacts = {name: digest for name, digest in hashes(first).items() if not name.startswith("provenance")}
    assert artefacts.items() <= hashes(finished).items()
    refused = second.snakemake("--cache", environment=environment)
    assert "device is 'auto'; what $SNAKEMAKE_OUTPUT_CACHE shares needs" in refused.stderr
    shutil.rmtree(second.folder / ".snakemake")
    refused = second.snakemake("--cache", environment=environment, override=cpu)
    assert "Snakemake's memory of how they were made (.snakemake) is lost" in refused.stderr


def test_study_with_a_name_leaves_what_another_gathered_alone(finished, tmp_path):
    study, other = finished.copy(tmp_path / "study"), "--config=only=[mess3]"
    before = hashes(study)
    replaced = "results/claims.csv, the findings and the report beside it are of mess3, rrxor; they are replaced by"
    assert replaced in study.run("--dry-run", other)
    override = {"only": ["mess3"], "study": "other"}
    rules = ["judge_claims", "collect_claims", "write_findings", "build_explorer", "draw_provenance", "write_report"]
    rules += ["plot_claims", "play_chaos_game", "plot_explainer"]
    assert study.planned(override=override) == dict.fromkeys([*rules, "all"], 1)
    assert "they are replaced" not in study.run(override=override)
    after = hashes(study)
    assert before.items() <= after.items()
    gathered = {"claims.csv", "claims/mess3.csv", "power.csv", "findings.md", "findings.html", "explorer.html"}
    gathered |= {"figures/claims.png", "figures/explainer.png", "figures/explainer.zarr.zip"}
    new = {name for name in after.keys() - before.keys() if not name.startswith("provenance/studies/other/")}
    assert new == {f"studies/other/{name}" for name in gathered}
    for page in ("report.html", "provenance/index.html"):
        assert (study.folder / "results/studies/other" / page).exists()
    assert set(read_table(study.folder / "results/studies/other/claims.csv")["experiment"]) == {"mess3"}
    assert study.planned() == {} and study.planned(override=override) == {}
    assert "Sound: " in study.run("audit") and "Sound: " in study.run("audit", override=override)
    assert study.planned("export_crate", override=override) == {"export_crate": 1}
    said = study.run("provenance", "--config=artefact=results/studies/other/claims.csv")
    assert "train_model mess3 seed 1" in said


@pytest.mark.parametrize("text", ["seeds=[1, 2]", "defaults={training: {steps: 30, batch_size: 3.2e1}}"])
def test_text_of_the_command_line_is_what_the_schema_wants(text, finished):
    assert finished.planned(f"--config={text}") == {}


def test_folders_with_odd_names_do_no_harm(tmp_path):
    odd = "a{b} [c] %d #é '*"
    study = Study(tmp_path / odd, clone(tmp_path / f"project {odd}"))
    study.run("results/mess3/seed_1/sequences.zarr.zip")
    assert (study.folder / "results/provenance/mess3/seed_1/sample_sequences.json").exists()


def test_unknown_target_is_refused(finished):
    result = finished.snakemake("--dry-run", "results/nothing/seed_1/probe.csv")
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "Traceback" not in said
    assert "results/nothing/seed_1/probe.csv" in said


def test_published_recipe_is_planned_in_full(tmp_path):
    study = Study(tmp_path / "paper")
    result = study.snakemake("--dry-run", configs=[ROOT / "studies/paper.yaml"])
    assert result.returncode == 0, result.stderr
    trainings = {name: one["training"] for name, one in resolve(content_of("studies/paper.yaml")).items()}
    steps = {name: training["steps"] for name, training in trainings.items()}
    assert steps == {"mess3_paper": 983_140, "rrxor_paper": 795_900}
    for training in trainings.values():
        assert (training["optimizer"], training["learning_rate"], training["weight_decay"]) == ("sgd", 0.01, 0)
        assert (training["schedule"], training["batch_size"], training["labels"]) == ("constant", 64, "sampled")


def test_first_steps_of_the_published_recipe_learn(tmp_path):
    study = Study(tmp_path / "paper")
    override = {"experiments": {"mess3_paper": {"training": {"steps": 200, "log_rows": 11}}}}
    table = "results/mess3_paper/seed_1/training.csv"
    study.run(table, configs=[ROOT / "studies/paper.yaml"], override=override)
    training = read_table(study.folder / table)
    assert training["tokens_seen"].iloc[-1] == 200 * 64 * 10
    assert training["gap_nats"].iloc[-1] < 0.1 * training["gap_nats"].iloc[0]


def custom(parameters):
    """A study of one experiment, whose process is given by matrices."""
    return {"only": ["m"], "experiments": {"m": {"task": {"process": "custom", "parameters": parameters}}}}


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            {"experiments": {"mess3": {"training": {"learning_rat": 1}}}},
            "experiment 'mess3': unknown key 'learning_rat'",
        ),
        ({"experiments": {"mess3": {"task": {"process": "mes3"}}}}, "process is 'mes3'; allowed are mess3"),
        ({"experiments": {"a/../b": {}}}, "'a/../b'"),
        ({"seeds": [-1]}, "seeds[0] is -1; it must be at least 0"),
        (
            custom({"transition_tensor": [[[0.5]], [[0.4]]]}),
            "experiment 'm': task.process: custom: the probabilities of leaving state 0 sum to 0.9",
        ),
    ],
)
def test_bad_configuration_stops_before_anything_is_written(override, sentence, tmp_path):
    study = Study(tmp_path / "bad")
    assert any(sentence in line for line in study.refusal(override=override))


def test_rounded_probabilities_are_told_while_planning(tmp_path):
    tensor = [[[0.3152, 0.0], [0.5, 0.0]], [[0.0, 0.6847], [0.0, 0.5]]]
    override = custom({"transition_tensor": tensor, "state_names": ["{A}", "B"]})
    result = Study(tmp_path / "rounded").snakemake("--dry-run", override=override)
    assert result.returncode == 0, result.stderr
    line = "experiment 'm': the probabilities of leaving state {A} summed to 0.9999 and were divided by it"
    assert (result.stdout + result.stderr).count(line) == 1


STATES = ["</script><script>document.title='x'</script>", "../x\n{wildcards} $(touch pwned) `touch pwned` {{ 7 * 7 }}"]
TOKENS = ["<img src=x onerror=alert(1)>", "/etc"]


@pytest.fixture(scope="session")
def recurrent(made_once) -> Study:
    """The study of recurrent networks on a process whose states and tokens have hostile names, run to its end."""
    tensor = [[[0.5, 0.0], [0.3, 0.0]], [[0.0, 0.5], [0.0, 0.7]]]
    parameters = {"transition_tensor": tensor, "state_names": STATES, "token_names": TOKENS}
    task = {"process": "custom", "parameters": parameters}
    models = {"hostile": {"architecture": "lstm"}, "selective": {"architecture": "selective_ssm", "d_state": 2}}
    experiments = {name: {"task": task, "model": model} for name, model in models.items()}
    override = {"seeds": [1], "only": list(models), "experiments": experiments}
    folder = made_once("recurrent", lambda folder: Study(folder / "study").run(override=override))
    return Study(folder / "study")


def test_hostile_names_of_states_and_tokens_stay_text(recurrent):
    for name in ("report.html", "provenance/index.html"):
        page = (recurrent.folder / "results" / name).read_text(encoding="utf-8")
        assert "<script>document" not in page and "<img src=x" not in page
    truth = recurrent.folder.glob("results/tasks/*/ground_truth.zarr.zip")
    with open_dataset(next(truth)) as found:
        assert found["component"].values.tolist() == STATES and found["token"].values.tolist() == TOKENS
    assert {p.name for p in recurrent.folder.iterdir()} <= {".snakemake", "logs", "results", "unfinished"}
    assert not list(recurrent.folder.rglob("pwned"))


@pytest.mark.parametrize(
    ("experiment", "outputs", "others"),
    [("hostile", ["hook_h"], ["hook_c"]), ("selective", ["hook_h", "hook_resid_post"], [])],
)
def test_recurrent_network_is_probed_steered_and_drawn_like_a_transformer(experiment, outputs, others, recurrent):
    results = recurrent.folder / "results"
    assert {path.name for path in (results / "figures" / experiment).iterdir()} == set(FIGURES)
    streams, rest = ({f"layers.{n}.{part}" for n in (0, 1) for part in parts} for parts in (outputs, others))
    probe, steering = (read_table(results / experiment / "seed_1" / name) for name in ("probe.csv", "steering.csv"))
    assert set(probe.loc[probe["features"] == "activations", "site"]) == streams | rest | {"concatenated"}
    assert set(steering["site"]) == streams and set(steering["tokens_later"]) == {0, 1}
    claims = read_table(results / "claims.csv")
    assert set(claims.loc[(claims["claim"] == "causal") & (claims["experiment"] == experiment), "site"]) == streams


def test_network_is_scored_beyond_its_trained_context_and_not_trained_again_for_another(tmp_path):
    def scored(context):
        task = {"process": "mess3", "parameters": {"x": 0.05, "alpha": 0.85}, "context": context}
        experiment = {"task": task, "model": {"architecture": "gru"}, "training": {"context": 3}}
        return {"seeds": [1], "only": ["beyond"], "experiments": {"beyond": experiment}}

    study, table = Study(tmp_path / "beyond"), "results/beyond/seed_1/loss.csv"
    study.run(table, override=scored(6))
    assert read_table(study.folder / table)["position"].unique().tolist() == [1, 2, 3, 4, 5, 6]
    with open_dataset(study.folder / "results/beyond/seed_1/sequences.zarr.zip") as sequences:
        assert sequences.sizes["place"] == 4
    planned = study.planned(table, override=scored(5))
    assert planned.keys() == {"build_ground_truth", "extract_activations", "measure_loss"}


def test_failed_job_names_its_cause_in_its_log(finished, tmp_path):
    copy = finished.copy(tmp_path / "copy")
    broken = copy.folder / "results/mess3/seed_1/sequences.zarr.zip"
    broken.write_bytes(broken.read_bytes()[:100])
    (copy.folder / "results/mess3/seed_1/model.safetensors").unlink()
    result = copy.snakemake("results/mess3/seed_1/model.safetensors")
    assert result.returncode != 0
    assert "BadZipFile" in (copy.folder / "logs/train_model/mess3_seed_1.log").read_text(encoding="utf-8")
