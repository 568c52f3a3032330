"""Functions of a job's wildcards, and of all jobs together, for the inputs and params of rules. It defines no rule."""

import json

from geometry.config.language import check_tokens, weights_of
from geometry.files import files_below
from geometry.provenance.code_digest import sampled_digest


def of_experiment(answer):
    """A function of the wildcards: the answer on the experiment."""

    def on_experiment(wildcards):
        return answer(wildcards.experiment)

    return on_experiment


def of_run(answer):
    """A function of the wildcards: the answer on the experiment and the run."""

    def on_run(wildcards):
        return answer(wildcards.experiment, wildcards.run)

    return on_run


task_of = of_experiment(study.task)
trained_task_of = of_experiment(study.trained_task)
kind_of = of_experiment(study.kinds.get)
model_of = of_experiment(study.model)
training_of = of_experiment(study.training)
batches_of = of_experiment(study.batches)
n_sequences_of = of_run(study.n_sequences)
regression_of = of_experiment(study.regression)
n_random_networks_of = of_experiment(study.n_random_networks)
n_trained_positions_of = of_experiment(study.n_trained_positions)
n_snapshots_of = of_run(study.n_snapshots)
sites_of = of_experiment(study.sites)
concatenated_of = of_experiment(study.concatenated)
drawn_site_of = of_experiment(study.drawn_site)
compared_sites_of = of_experiment(study.compared_sites)
last_layer_output_of = of_experiment(study.last_layer_output)
ground_truths_of = of_experiment(study.ground_truths)
checkpoint_of = of_run(study.checkpoint)
checkpoint_format_of = of_experiment(study.checkpoint_format)
sequences_of = of_run(study.sequences)
recordings_of = of_run(study.recordings)


def ground_truth_of(wildcards):
    """The ground truth of a run or, for a job of the whole experiment, of its first run."""
    return study.ground_truth(wildcards.experiment, wildcards.get("run"))


samples_of = of_experiment(study.samples)


def checkpoint_digest_of(wildcards):
    """The digest of a pretrained network's file, which may be replaced by one with an older date."""
    return file_digest(checkpoint_of(wildcards))


language_of = of_experiment(lambda name: study.experiments[name]["language"])
language_files_of = of_experiment(lambda name: weights_of(study.experiments[name]))


def language_digests_of(wildcards):
    return [sampled_digest(path) for path in language_files_of(wildcards)]


def files_of(paths):
    """The files of some recordings, each of which is a file or a folder."""
    return [str(file) for path in paths for file in (files_below(path) if os.path.isdir(path) else [path])]


def is_made_here(path):
    """True for a recording that a job makes, which is no file yet while the study is planned."""
    return os.path.normpath(path).startswith(f"results{os.sep}")


def sampled_digests(paths):
    """What shows that a recording was replaced, also by one with an older date."""
    return [sampled_digest(path) for path in paths if not is_made_here(path)]


def recording_files_of(wildcards):
    return files_of(recordings_of(wildcards))


def recording_digests_of(wildcards):
    return sampled_digests(recording_files_of(wildcards))


def recording_of_task(wildcards):
    """The files of the recording that has the sequences of a task, if there is one."""
    return files_of([named_task(wildcards)["recording"]] if "recording" in named_task(wildcards) else [])


def recording_digest_of_task(wildcards):
    return sampled_digests(recording_of_task(wildcards))


def named_task(wildcards):
    return study.tasks[wildcards.task]


def quoted(task):
    """A task section as JSON without `<`: the report quotes the params of its rules in a script, as they stand."""
    return json.dumps(task).replace("<", r"\u003c")


quoted_task_of = of_experiment(lambda name: quoted(study.task(name)))


def quoted_named_task(wildcards):
    return quoted(named_task(wildcards))


def seeds_of_run(wildcards):
    """The seeds in the name of a run; none where it names none."""
    return seeds_of(wildcards.run)


def seed_of_run(wildcards):
    """The seed in the name of a run of one network; 0 where it names none."""
    return (seeds_of(wildcards.run) or [0])[0]


def in_runs(name):
    """A function of the wildcards: this file of every run of the experiment."""
    return of_experiment(lambda experiment: study.in_every_run(name, [experiment]))


def in_first_run(name):
    """A function of the wildcards: this file of the experiment's first run."""
    return of_experiment(lambda experiment: study.in_every_run(name, [experiment])[0])


def in_random_init(name):
    """A function of the wildcards: this file with the experiment's random networks, if there are any."""
    return of_experiment(lambda experiment: study.in_random_init(name, [experiment]))


def in_runs_if_predicted(name):
    """A function of the wildcards: this file of every run of the experiment, if its predictions are known."""
    return of_experiment(lambda experiment: study.in_every_run(name, [experiment] * study.predicts(experiment)))


def of_process(name):
    """A function of the wildcards: this table of the experiment's task."""
    return of_experiment(lambda experiment: study.of_task(experiment, name))


def if_analysed(rule, files):
    """A function of the wildcards: these files, if the experiment's task has the rule; else none."""

    def of_analysed(wildcards):
        found = files(wildcards) if rule in study.analyses[wildcards.experiment].rules else []
        return [found] if isinstance(found, str) else found

    return of_analysed


# --- All jobs together --------------------------------------------------------------------------------------------------


def figures_of_the_study(wildcards):
    return study.figure_files()


def cards_of_the_study(wildcards):
    return [f"results/tasks/{task}/card.html" for task in study.tasks_analysed_by("describe_process")]


def records_of_the_study(wildcards):
    return study.records()


def crate_of_the_study(wildcards):
    return study.crate()


@cache
def warn_of_replaced_claims():
    """Say once, while planning, that claims of other experiments are replaced, if so."""
    if sentence := study.replaced_claims():
        logger.warning(sentence)


def claims_of_the_study(wildcards):
    """The claims of every experiment."""
    warn_of_replaced_claims()
    return study.claims_files()


def what_was_found():
    """The outcomes of the claims and what to open, if this run was to make them; else nothing."""
    from geometry.claims.outcomes import counts_in_words, with_outcomes  # not while planning, as pandas takes its time
    from geometry.tables import read_table

    rules, stored = {job.rule.name for job in workflow.dag.jobs}, workflow.storage_settings
    if "collect_claims" not in rules:
        return ""
    folder, counts = f"results/{STUDY}", ""
    if stored.default_storage_provider:  # no copy stays here
        folder = f"{stored.default_storage_prefix}/{folder}"
    else:
        claims = with_outcomes(read_table(f"{folder}claims.csv"), config["claims"]["margin"])
        counts = f"{counts_in_words(claims)}. "
    pages = {"write_findings": "findings.html", "write_report": "report.html for all figures"}
    made = [page for rule, page in pages.items() if rule in rules] or ["claims.csv"]
    return f"{counts}Open {', or '.join(folder + page for page in made)}."


def reference_of_the_study(wildcards):
    """The table of claims that those of the study are compared with, once it is known to be one."""
    path = os.path.relpath(PUBLISHED) if REFERENCE is None else os.path.normpath(str(REFERENCE))
    try:
        if path == f"results/{STUDY}claims.csv":
            raise ReplicationError(f"reference is {path}, the table of this study itself; it must be another")
        check_experiments(read_claims(path), path, study.experiments)
    except ReplicationError as error:
        raise WorkflowError(str(error)) from None
    return path


def labels_of_the_report(wildcards):
    """How the report names and sorts what it shows."""
    shown = ((rule, file.flags.get("report")) for rule in workflow.rules for file in rule.output)
    return sorted(([rule.name, entry.category, entry.labels] for rule, entry in shown if entry), key=str)
