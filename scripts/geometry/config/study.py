"""A study: its experiments, networks and figures, and the records of the jobs behind them.

Files are named relative to the project's folder, as the rules name them.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from snakemake.exceptions import WorkflowError

from geometry.config.checks import probe_caution
from geometry.config.gathered import has_crate_of_another, replaced
from geometry.config.pretrained import checkpoint_runs, is_pretrained
from geometry.config.published import published_rows, tables_of
from geometry.config.recorded import analyses_of, is_recorded, sampled_seeds, tasks_of
from geometry.config.seeds import all_seeds, in_each, run_name
from geometry.networks.hook_points import chosen_sites, compared_sites, concatenated_sites, drawn_site
from geometry.tasks.task import task_name, task_of

RANDOM_INIT = "random_init"
"""The run whose snapshots are random networks; the origin of that name (`origins`) is of every snapshot at step 0."""

BEHIND = dict(published="hold_against_published", comparison="compare_experiments", explainer="figures/play_chaos_game")
"""The rules behind figures of all experiments together."""

OF_SITES_AND_NETWORKS = {"sites", "concatenated", "snapshots", "random_networks"}
"""Keys of the probe section that choose what is probed, not how."""


class Known(dict):
    """The members of a study by name; another name is refused in a sentence."""

    def __missing__(self, name):
        raise WorkflowError(f"this study has no {name!r}; it has {', '.join(self)}")


class Study:
    """A canonical configuration with its resolved experiments."""

    def __init__(self, config: Mapping, experiments: Mapping[str, Mapping]):
        self.config = config
        self.experiments = Known(experiments)
        self.tasks = Known((task_name(task), task) for one in experiments.values() for task in tasks_of(one))
        self.described = {task_name(one["task"]): one["task"] for one in experiments.values()}  # one of several samples
        self.folder = f"studies/{config['study']}/" if config["study"] else ""
        self.format = config["figures"]["format"]
        self.pretrained = [name for name, one in experiments.items() if is_pretrained(one)]
        self.recorded = [name for name, one in experiments.items() if is_recorded(one)]
        self.trained = [name for name in experiments if name not in {*self.pretrained, *self.recorded}]
        self.kinds = {name: task_of(one["task"]).kind for name, one in experiments.items()}
        self.analyses = {name: analyses_of(one) for name, one in experiments.items()}
        self.explained = self.experiments.get(config["figures"]["explainer"])
        """The experiment of the explainer; None if it is not drawn."""
        tables = {name: tables_of(name, self.network_records(name)) for name in experiments}
        self.published = published_rows(config["published"], tables, config["experiments"].keys() - experiments.keys())

    def analysed_by(self, rule: str) -> list[str]:
        """The experiments whose task has a rule, by its name."""
        return [name for name, analyses in self.analyses.items() if rule in analyses.rules]

    def tasks_analysed_by(self, rule: str) -> list[str]:
        """The tasks that have a rule, by their names in paths; of those that differ in their words, the first."""
        return [name for name, section in self.described.items() if rule in task_of(section).analyses.rules]

    def cautions(self) -> Iterable[str]:
        """Sentences on the experiments that are shown before anything runs."""
        for name, one in self.experiments.items():
            for note in [*task_of(one["task"]).notes, probe_caution(one, self.config["tree"]["max_prefixes"])]:
                if note:
                    yield f"experiment {name!r}: {note}"

    # --- Settings of an experiment, or of a run of it -----------------------------------------------------------------

    def task(self, experiment: str) -> Mapping:
        return self.experiments[experiment]["task"]

    def model(self, experiment: str) -> Mapping:
        return self.experiments[experiment]["model"]

    def training(self, experiment: str) -> Mapping:
        """The training section but for its context, see `trained_task`; empty for a pretrained network."""
        section = self.experiments[experiment].get("training", {})
        return {key: value for key, value in section.items() if key != "context"}

    def trained_task(self, experiment: str) -> Mapping:
        """The task of the training sequences: so a longer context that is scored alone reruns no training."""
        one = self.experiments[experiment]
        return {**one["task"], "context": one.get("training", one["task"])["context"]}

    def is_trained_here(self, experiment: str) -> bool:
        return experiment in self.trained

    def batches(self, experiment: str) -> dict:
        """The settings of training that its sequences depend on."""
        return {key: value for key, value in self.training(experiment).items() if key in ("batch_size", "steps")}

    def reads_sequences(self, experiment: str) -> bool:
        """True if training reads sampled sequences, in place of all prefixes at each step."""
        return self.training(experiment).get("labels", "full_distribution") != "full_distribution"

    def n_sequences(self, experiment: str, run: str) -> int | None:
        """The sequences that a training reads; None where it reads more than their tokens, is not known, or is none."""
        training = {} if run == RANDOM_INIT else self.training(experiment)
        return training["batch_size"] * training["steps"] if training.get("labels") == "sampled" else None

    def regression(self, experiment: str) -> dict:
        """The probe section without the choice of sites and networks."""
        probe = self.experiments[experiment]["probe"]
        return {key: value for key, value in probe.items() if key not in OF_SITES_AND_NETWORKS}

    def n_random_networks(self, experiment: str) -> int:
        return self.experiments[experiment]["probe"]["random_networks"]

    def n_snapshots(self, experiment: str, run: str) -> int:
        """The snapshots of a run that are probed, at most; of random networks, all."""
        return self.experiments[experiment]["probe"]["random_networks" if run == RANDOM_INIT else "snapshots"]

    def n_trained_positions(self, experiment: str) -> int:
        """Positions whose attention was trained; of a pretrained network not the last, which may predict nothing."""
        return self.task(experiment)["context"] - (experiment in self.pretrained)

    def predicts(self, experiment: str) -> bool:
        """False for a recording without predictions."""
        return not (experiment in self.recorded and self.experiments[experiment]["recording"]["n_tokens"] is None)

    def samples(self, experiment: str) -> list[int]:
        """The seeds whose words are samples of their own; none where all networks are scored on the same prefixes."""
        return sampled_seeds(self.experiments[experiment])

    def sites(self, experiment: str) -> list[str]:
        """The hook points that the probe's patterns choose."""
        return chosen_sites(self.model(experiment), self.experiments[experiment]["probe"])

    def concatenated(self, experiment: str) -> list[str]:
        """The chosen hook points that are concatenated to one more site."""
        return concatenated_sites(self.sites(experiment), self.experiments[experiment]["probe"])

    def drawn_site(self, experiment: str) -> str:
        return drawn_site(self.experiments[experiment], self.config["figures"]["sites"].get(experiment))

    def compared_sites(self, experiment: str) -> list[str]:
        """The last layer output or, if none is probed, the last site; and the concatenated ones, if there are any."""
        return compared_sites(self.experiments[experiment])

    def last_layer_output(self, experiment: str) -> str:
        return self.compared_sites(experiment)[0]

    # --- Runs and their files -----------------------------------------------------------------------------------------

    def checkpoint(self, experiment: str, run: str) -> str:
        """The file of a pretrained network, in the spelling that Snakemake wants."""
        return os.path.normpath(Known(self._checkpoints(experiment))[run])

    def checkpoint_format(self, experiment: str) -> str:
        return self.experiments[experiment]["checkpoint"]["format"]

    def _checkpoints(self, experiment: str) -> dict[str, str]:
        one = self.experiments[experiment]
        return checkpoint_runs(one.get("checkpoint", one.get("recording"))["path"], all_seeds(one["seeds"]))

    def recordings(self, experiment: str, run: str) -> list[str]:
        """The paths of the recordings that a run is of: one, or of random networks all."""
        known = self._checkpoints(experiment)
        return [os.path.normpath(path) for path in (known.values() if run == RANDOM_INIT else [Known(known)[run]])]

    def runs(self, experiment: str) -> list[str]:
        """The runs that claims are made of: one for each entry of the seeds, or for each file of a network."""
        if not self.is_trained_here(experiment):
            return list(self._checkpoints(experiment))
        return [run_name(entry) for entry in self.experiments[experiment]["seeds"]]

    def in_every_run(self, name: str, experiments: Iterable[str]) -> list[str]:
        """This file of every run of some experiments."""
        return [f"results/{one}/{run}/{name}" for one in experiments for run in self.runs(one)]

    def random_runs(self, experiment: str) -> list[str]:
        """The runs with an experiment's random networks, if it has any: one or, of samples of words, all."""
        if self.samples(experiment):
            return self.runs(experiment)
        return [RANDOM_INIT] * self.experiments[experiment].get("recording", {}).get("has_random_network", True)

    def in_random_init(self, name: str, experiments: Iterable[str]) -> list[str]:
        """This file of the random networks of some experiments; its rows of other origins are of no random network."""
        return [f"results/{one}/{run}/{name}" for one in experiments for run in self.random_runs(one)]

    def of_task(self, experiment: str, name: str) -> str:
        """This file of the experiment's task; of samples of words, that of the first."""
        return f"results/tasks/{task_name(self.task(experiment))}/{name}"

    def ground_truths(self, experiment: str) -> list[str]:
        """The ground truth of an experiment's task or, of samples of words, of each by itself."""
        return [f"results/tasks/{task_name(t)}/ground_truth.zarr.zip" for t in tasks_of(self.experiments[experiment])]

    def ground_truth(self, experiment: str, run: str | None = None) -> str:
        """The ground truth of a run; without one, of the first, which figures of one network show."""
        known = self.ground_truths(experiment)
        return known[self.runs(experiment).index(run)] if run and len(known) > 1 else known[0]

    def sequences(self, experiment: str, run: str) -> list[str]:
        """The file of a run's training sequences, if it reads any."""
        return [f"results/{experiment}/{run}/sequences.zarr.zip"] * self.reads_sequences(experiment)

    # --- Networks on the same task ------------------------------------------------------------------------------------

    @cached_property
    def shared_tasks(self) -> dict[str, list[str]]:
        """The experiments on each task that several are on, of those whose recovery can be compared, by task name."""
        by_task: dict[str, list[str]] = {name: [] for name in self.tasks}
        for experiment in self.analysed_by("score_recovery"):
            by_task[task_name(self.task(experiment))].append(experiment)
        return {name: experiments for name, experiments in by_task.items() if len(experiments) > 1}

    @property
    def compared(self) -> list[str]:
        return [experiment for experiments in self.shared_tasks.values() for experiment in experiments]

    # --- Figures, records and the study as a whole --------------------------------------------------------------------

    def figures(self, experiment: str) -> list[str]:
        """The names of an experiment's figures."""
        analyses = self.analyses[experiment]
        left_out = () if self.is_trained_here(experiment) else analyses.figures_over_training
        return [name for name in analyses.figures if name not in left_out]

    def animations(self, experiment: str) -> tuple[str, ...]:
        return self.analyses[experiment].animations if self.is_trained_here(experiment) else ()

    def _figures_and_animations(self, experiment: str) -> Iterable[str]:
        """The names of the files of an experiment's figures, each before its animation."""
        for name in self.figures(experiment):
            yield f"{name}.{self.format}"
            if name in self.animations(experiment):
                yield f"{name}.gif"

    def _of_each(self, names: Callable[[str], Iterable[str]]) -> list[tuple[str, str]]:
        return [(experiment, name) for experiment in self.experiments for name in names(experiment)]

    @property
    def own_figures(self) -> list[str]:
        """The names of the figures of all experiments together."""
        drawn = {"published": self.published, "comparison": self.shared_tasks, "explainer": self.explained is not None}
        return ["claims", *(name for name, is_drawn in drawn.items() if is_drawn)]

    def figure_files(self) -> list[str]:
        """Every figure, in the order of the report: of the study, then of each experiment."""
        return [
            *(f"results/{self.folder}figures/{name}.{self.format}" for name in self.own_figures),
            *(f"results/figures/{one}/{name}" for one, name in self._of_each(self._figures_and_animations)),
        ]

    def network_records(self, experiment: str) -> list[str]:
        """The records of the jobs of an experiment's networks: run/rule."""
        analyses, runs = self.analyses[experiment], self.runs(experiment)
        trained_here = self.is_trained_here(experiment)
        first, never = ["train_model" if trained_here else "import_model"], ["initialize_networks"]
        first, never = ([*made, "extract_activations"] for made in (first, never))
        if experiment in self.recorded:
            never = ["import_activations"]
            first = [*never, *["record_activations"] * bool(self.samples(experiment))]
        every_network, random_init = ["probe_beliefs", *analyses.every_network], self.random_runs(experiment)
        return [
            *in_each(runs, [*first, *every_network, *["measure_loss"] * self.predicts(experiment)]),
            *in_each([run for run in random_init if run not in runs], [*never, *every_network]),
            *in_each(runs, analyses.runs),
            *in_each(runs[:1], analyses.first_run),
            *in_each(runs if trained_here else [], analyses.over_training),
        ]

    def records(self) -> list[str]:
        """The records of all jobs behind the claims and figures."""
        of_study = ["collect_claims", "write_findings", "build_explorer"]
        of_study += [f"figures/plot_{name}.{self.format}" for name in self.own_figures]
        of_study += [rule for name, rule in BEHIND.items() if name in self.own_figures]
        with_sequences = [name for name in self.trained if self.reads_sequences(name)]
        names = [
            *(self.folder + name for name in of_study),
            *(f"{self.folder}claims/{name}/judge_claims" for name in self.experiments),
            *(f"tasks/{task}/build_ground_truth" for task in self.tasks),
            *(f"tasks/{name}/{rule}" for name, one in self.described.items() for rule in task_of(one).analyses.of_task),
            *(f"{name}/score_baselines" for name in self.experiments),
            *(f"{name}/{run}/sample_sequences" for name in with_sequences for run in self.runs(name)),
            *(f"{one}/{name}" for one, name in self._of_each(self.network_records)),
            *(f"figures/{one}/plot_{name}.{self.format}" for one, name in self._of_each(self.figures)),
            *(f"figures/{one}/animate_{name}" for one, name in self._of_each(self.animations)),
        ]
        return [f"results/provenance/{name}.json" for name in names]

    def claims_files(self) -> list[str]:
        """The claims of each experiment, in the folder of the study."""
        return [f"results/{self.folder}claims/{name}.csv" for name in self.experiments]

    def replaced_claims(self) -> str | None:
        """The sentence on claims of other experiments that this study replaces; None if it replaces none."""
        return replaced(self.folder, self.experiments)

    def crate(self) -> list[str]:
        """The file of the research object; a study with a name leaves that of another alone."""
        left_alone = self.folder and has_crate_of_another(self.config["study"])
        return [] if left_alone else ["results/ro-crate-metadata.json"]
