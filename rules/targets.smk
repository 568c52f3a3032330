"""What makes up the study: its figures, and the records of every job behind them. No rule stands here."""

PLOTS_OF_BELIEFS = ["belief_simplex", "emergence", "sites", "r2_by_site", "controls", "components", "loss"]
PLOTS_OF_BELIEFS += ["distances", "steering", "recovery", "dimension", "symmetry", "convergence"]
PLOTS_OF_CIRCUIT = ["progress", "spectrum", "circles", "bases", "surgery", "shift_symmetry"]
# Not of a network from elsewhere, whose training is not known
OVER_TRAINING = ["emergence", "loss", "dimension", "progress"]
OF_ADDITION = ["circles", "surgery"]  # not of an operation that is no sum or difference
EMERGING = [name for name in MARKOV if name in TRAINED]


def plots_of(experiment):
    """The names of an experiment's plots."""
    if experiment in MODULAR:
        plots = [name for name in PLOTS_OF_CIRCUIT if experiment in LINEAR or name not in OF_ADDITION]
    else:
        plots = PLOTS_OF_BELIEFS
    return [name for name in plots if not (experiment in PRETRAINED and name in OVER_TRAINING)]


def figures_of_the_study(wildcards):
    """Every figure: those of each experiment, and the explainer and the comparison if the study has them."""
    return [
        *([f"results/{STUDY}figures/explainer.{FORMAT}"] if EXPLAINED else []),
        *([f"results/{STUDY}figures/comparison.{FORMAT}"] if COMPARED else []),
        *(
            f"results/figures/{experiment}/{name}.{FORMAT}"
            for experiment in EXPERIMENTS
            for name in plots_of(experiment)
        ),
        *expand("results/figures/{experiment}/emergence.gif", experiment=EMERGING),
    ]


@cache
def warn_of_replaced_claims():
    """Say once, while planning, that claims of other experiments are replaced, if so."""
    if sentence := replaced(STUDY, EXPERIMENTS):
        logger.warning(sentence)


def claims_of_the_study(wildcards):
    """The claims of every experiment."""
    warn_of_replaced_claims()
    return expand(f"results/{STUDY}claims/{{experiment}}.csv", experiment=EXPERIMENTS)


def crate_of_the_study(wildcards):
    """The research object; a study with a name leaves another's alone."""
    return [] if STUDY and has_crate_of_another(config["study"]) else ["results/ro-crate-metadata.json"]


def labels_of_the_report(wildcards):
    """How the report names and sorts what it shows."""
    shown = ((rule, file.flags.get("report")) for rule in workflow.rules for file in rule.output)
    return {rule.name: [entry.category, entry.labels] for rule, entry in shown if entry}


def records_of_runs(experiment):
    """What the jobs of an experiment's networks leave of themselves."""
    made_by = "import_model" if is_pretrained(EXPERIMENTS[experiment]) else "train_model"
    runs, per_run = runs_of(experiment), ["extract_activations", "probe_beliefs"]
    if experiment in MODULAR:
        per_run += ["measure_circuit", "compare_bases", "find_shift_symmetry"]
        of_kind = expand("{run}/measure_surgery", run=runs) if experiment in LINEAR else []
    else:
        per_run += ["recover_process", "score_recovery", "find_symmetries"]
        of_kind = expand("{run}/{rule}", run=runs, rule=["steer_network", "measure_convergence"])
        of_kind += expand("{run}/measure_{what}", run=runs[0], what=["distances", "components"])
        of_kind += expand("{run}/measure_dimension", run=[] if is_pretrained(EXPERIMENTS[experiment]) else runs)
    return [
        *expand("{run}/{rule}", run=runs, rule=[made_by, *per_run, "measure_loss"]),
        *expand("{run}/{rule}", run=RANDOM_INIT, rule=["initialize_networks", *per_run]),
        *of_kind,
    ]


def records_of_the_study(wildcards):
    """What each job behind the claims and figures leaves of itself."""
    with_words = [name for name in TRAINED if reads_sequences(EXPERIMENTS[name])]
    gathered = ["collect_claims", "write_findings"]
    gathered += ["figures/play_chaos_game", f"figures/plot_explainer.{FORMAT}"] if EXPLAINED else []
    gathered += ["compare_experiments", f"figures/plot_comparison.{FORMAT}"] if COMPARED else []
    names = [
        *(STUDY + record for record in gathered),
        *expand(f"{STUDY}claims/{{experiment}}/judge_claims", experiment=EXPERIMENTS),
        *(f"tasks/{task}/build_ground_truth" for task in TASKS),
        *(f"tasks/{task}/measure_process" for task in MARKOV_TASKS),
        *expand("{experiment}/score_baselines", experiment=EXPERIMENTS),
        *expand("{experiment}/seed_{seed}/sample_sequences", experiment=with_words, seed=SEEDS),
        *(f"{experiment}/{record}" for experiment in EXPERIMENTS for record in records_of_runs(experiment)),
        *(f"figures/{name}/plot_{plot}.{FORMAT}" for name in EXPERIMENTS for plot in plots_of(name)),
        *expand("figures/{experiment}/animate_emergence", experiment=EMERGING),
    ]
    return [f"results/provenance/{name}.json" for name in names]
