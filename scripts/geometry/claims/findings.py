"""The findings of a study as a document: what may be claimed, and the scores behind it."""

from collections.abc import Iterator, Mapping

import pandas as pd

from geometry.claims.markup import Cell, Heading, Matrix, Paragraph, Part, Section, Table
from geometry.claims.multiplicity import multiplicity_in_words
from geometry.claims.outcomes import OUTCOMES, SAMPLE, counts_in_words, counts_of, range_in_network, with_outcomes
from geometry.networks.hook_points import CONCATENATED
from geometry.probing.probe_table import BASELINES, estimated, last_layer_output
from geometry.tables import select

INTRODUCTION = """A claim of more is supported if its gain over the best baseline, as a share of what that baseline
leaves unexplained and paired by seed, exceeds {margin:g} with {confidence:.0%} confidence; one of no more, if it stays
below; one of no less, if it does not fall short by {margin:g} of what the baseline explains. It is not supported if the
opposite holds with that confidence, and undecided otherwise. It is not testable where the baseline explains everything,
where exact predictions on the same prefixes do not show what is claimed, or where a file of activations lacks what it
is compared with. Intervals are Student's t over seeds and,
of what is scored on folds, over the draws of folds that all networks share."""

READING = """Each cell is the estimate over its best baseline. A few claims, such as that a network predicts near the
optimum, are of no less than the baseline, or of no more. The interval, the gain, the baseline and the networks
behind a cell appear at the foot of the page while it is pointed at, tapped, or reached with the tab key. To turn the
beliefs, follow a word and change the belief of a running network, open explorer.html, in the folder of this page."""

NEEDED = """One network alone is compared with its baselines by an interval over the draws of folds or, where nothing is
drawn, by the gain itself. A verdict on the recipe that made it needs at least one more network, of another seed."""

OF_SAMPLES = """The seeds of a language model are samples of words: each is a draw of sequences that one and the same
pretrained network reads, beside a random network of its own, which reads the same words. Intervals and verdicts are
over samples of words and over random networks, of this one network. They say nothing of other networks, however they
are trained."""

WAYS = {
    "held-out prefixes": ("held_out_prefix", "ridge", "probability"),
    "each prefix once": ("held_out_prefix", "ridge", "distinct_prefix"),
    "uniform over sequences": ("held_out_prefix", "ridge", "uniform"),
    "held-out subtrees": ("held_out_subtree", "ridge", "probability"),
    "published: in sample, uniform over sequences, least squares": ("in_sample", "least_squares", "uniform"),
    "in sample, least squares": ("in_sample", "least_squares", "probability"),
    "prefixes, least squares": ("held_out_prefix", "least_squares", "probability"),
    "subtrees, least squares": ("held_out_subtree", "least_squares", "probability"),
    "lengths, least squares": ("held_out_length", "least_squares", "probability"),
}
OF_SEQUENCES = {
    "held-out sequences": ("held_out_sequence", "ridge", "probability"),
    "held-out blocks of positions": ("held_out_block", "ridge", "probability"),
}
"""Ways of scoring; by ridge and probability, weighted as they stand, unless they say otherwise. The latter are of
recordings of sequences alone."""


CIRCUIT = {
    "Accuracy, pairs trained on": "train_accuracy",
    "Accuracy, other pairs": "held_out_accuracy",
    "Loss, other pairs (nats)": "held_out_loss_nats",
    "Restricted loss: key frequencies only (nats)": "restricted_loss_nats",
    "Excluded loss: all but these (nats)": "excluded_loss_nats",
    "Neurons of one frequency": "pure_neuron_share",
    "Gradient symmetricity": "gradient_symmetricity",
    "Distance irrelevance": "distance_irrelevance",
}

SURGERY = {
    "Accuracy after surgery, all moduli, mean": lambda accuracy: number(accuracy.mean()),
    "The worst modulus": lambda accuracy: f"{number(accuracy.min())} ({accuracy.idxmin()})",
    "Moduli without an error": lambda accuracy: f"{(accuracy == 1).sum()} of {len(accuracy)}",
}


def number(value: float) -> str:
    """A score with its significant digits."""
    return "" if pd.isna(value) else f"{value:.4f}" if abs(value) < 10 else f"{value:.3g}"


def range_of(low: float, high: float) -> str:
    return f"[{number(low)}, {number(high)}]"


def seeds_in_words(n: int, unit: str) -> str:
    """So many networks or samples of words, over which an interval is."""
    return f"{n} sample{'s' * (n != 1)} of words, one network" if unit == SAMPLE else f"{n} network{'s' * (n != 1)}"


def gain_in_words(row) -> str:
    """The gain with its interval over seeds or, of one network, over the draws of folds, if there are any."""
    if pd.isna(row.gain):
        return ""
    if row.n_seeds > 1:
        return f"{number(row.gain)} {range_of(row.gain_ci_low, row.gain_ci_high)}"
    drawn = f", interval over draws of folds {range_of(row.gain_over_draws_low, row.gain_over_draws_high)}"
    return number(row.gain) + ("" if pd.isna(row.gain_over_draws_low) else drawn)


def network_in_words(row) -> str:
    """The side of its best baseline on which one network is, as far as the draws of folds show, and its gain."""
    if pd.isna(row.baseline):
        return f"{number(row.estimate)}; {row.baseline_name}".lstrip("; ")
    low, high = range_in_network(row)
    side = "above" if low > 0 else "below" if high < 0 else "level with"
    baseline = f"its best baseline ({row.baseline_name}, {number(row.baseline)})"
    return f"{number(row.estimate)}, {side} {baseline}" + f": gain {gain_in_words(row)}" * (not pd.isna(row.gain))


def note_on(row, rule: dict) -> str:
    """Everything on one claim, line by line."""
    interval = f" {range_of(row.ci_low, row.ci_high)}" if row.n_seeds > 1 else ""
    lines = [
        f"{row.experiment}: {row.name}: {row.outcome}",
        f"{row.measure}: {number(row.estimate)}{interval} at {row.site}",
        f"best baseline, {row.baseline_name}: {number(row.baseline)}".removesuffix(": "),
        f"gain: {gain_in_words(row) or 'none, as the baseline leaves nothing'} ({row.kind}, margin {rule['margin']:g})",
        f"{seeds_in_words(row.n_seeds, row.unit)}, {rule['confidence']:.0%} intervals",
    ]
    if row.n_seeds == 1:
        lines.append(" ".join(NEEDED.split()))
    return "\n".join(lines + [f"Caution: {row.caution}"] * bool(row.caution))


def over_baseline(row) -> str:
    """The estimate over its best baseline; or what is missing to test it."""
    return row.baseline_name if pd.isna(row.baseline) else f"{row.estimate:.3f} over {row.baseline:.3f}"


def overview(claims: pd.DataFrame, rule: dict) -> Matrix:
    """Claims as rows and experiments as columns: the outcome, and the estimate over its best baseline."""
    experiments = list(claims["experiment"].unique())
    cells = {
        (row.name, row.experiment): Cell(
            row.outcome, f"{over_baseline(row)}{' (caution)' if row.caution else ''}", note_on(row, rule)
        )
        for row in claims.itertuples()
    }
    rows = {name: [cells.get((name, experiment)) for experiment in experiments] for name in claims["name"].unique()}
    return Matrix(["Claim", *experiments], rows, counts_of(claims))


def claims_table(claims: pd.DataFrame, confidence: float) -> Table:
    """Every claim of the study, experiment by experiment."""
    percent = f"[{confidence:.0%} interval]"
    header = ["Experiment", "Claim", "Site", "Measure", f"Estimate {percent}", "SD over draws", "Exact"]
    header += ["Best baseline", f"Gain {percent}", "Verdict"]
    rows = [
        [
            row.experiment,
            row.claim,
            row.site,
            row.measure,
            f"{number(row.estimate)} {range_of(row.ci_low, row.ci_high)}" if row.n_seeds > 1 else number(row.estimate),
            number(row.sd_over_draws),
            number(row.exact),
            f"{number(row.baseline)} ({row.baseline_name})",
            gain_in_words(row),
            (row.outcome if row.kind == "more" else f"{row.outcome} ({row.kind})") + " (caution)" * bool(row.caution),
        ]
        for row in claims.itertuples()
    ]
    return Table(header, rows)


def outcomes_in_words(claims: pd.DataFrame) -> str:
    """A sentence for each outcome, with the claims that have it."""
    sentences = [f"{seeds_in_words(int(claims['n_seeds'].max()), claims['unit'].iloc[0]).capitalize()}."]
    for name in OUTCOMES:
        if len(found := select(claims, outcome=name)["name"]):
            sentences.append(f"{name.capitalize()}: {'; '.join(found)}.")
    return " ".join(sentences)


def network_table(claims: pd.DataFrame) -> Table:
    """The one network of an experiment beside the best baseline of each claim."""
    rows = [[row.name, row.outcome, network_in_words(row)] for row in claims.itertuples()]
    return Table(["Claim", "Outcome", "This network"], rows)


def scores_table(
    probe: pd.DataFrame, baselines: pd.DataFrame, random_networks: pd.DataFrame, target: str
) -> Table | None:
    """R2 of a target in the trained networks (means over seeds), and of every baseline, by each way of scoring."""
    last = probe["step"].max()
    tables = probe, baselines, random_networks
    probe, baselines, random_networks = (select(table, target=target, metric="r2") for table in tables)
    if probe.empty:
        return None
    shown = [last_layer_output(probe), *[CONCATENATED] * (CONCATENATED in probe["site"].values)]
    trained = select(probe, step=last)
    lines = {f"trained, {site}": select(trained, site=site) for site in shown}
    n = random_networks["seed"].nunique()
    if n:
        lines |= {f"best of {n} random networks, {site}": select(random_networks, site=site) for site in shown}
    known = pd.concat([trained, baselines])
    lines |= {name: select(known, site=site, features=of) for name, (site, of) in BASELINES.items()}
    ways = WAYS | (OF_SEQUENCES if "held_out_sequence" in set(probe["split"]) else {})
    rows = []
    for name, scores in lines.items():
        summary = "max" if name.startswith("best") else "mean"
        values = [
            select(estimated(scores, estimator), split=split, weighting=weighting)["value"].agg(summary)
            for split, estimator, weighting in ways.values()
        ]
        rows.append([name, *map(number, values)])
    return Table(["R²", *ways], rows)


def key_frequencies_in_words(circuit: pd.DataFrame) -> str:
    """The key frequencies of one network, the strongest first; nothing where no waves are looked for."""
    is_key = select(circuit, measure="is_key").dropna(subset="frequency").set_index("frequency")["value"]
    amplitude = select(circuit, measure="logit_amplitude").set_index("frequency")["value"]
    key = amplitude[is_key[is_key == 1].index].sort_values(ascending=False).index
    return ", ".join(f"{k:.0f}" for k in key) or "no key frequency" * (len(is_key) > 0)


def circuit_table(circuit: pd.DataFrame, surgery: pd.DataFrame) -> Table:
    """Measures of each network of modular arithmetic: its circuit, and its accuracy for other moduli."""
    rows = {name: [] for name in ["Key frequencies, the strongest first", *CIRCUIT, *SURGERY]}
    seeds = list(circuit["seed"].unique())
    for seed in seeds:
        own = select(circuit, seed=seed, step=select(circuit, seed=seed)["step"].max())
        rows["Key frequencies, the strongest first"].append(key_frequencies_in_words(own))
        for name, measure in CIRCUIT.items():
            rows[name].append(", ".join(f"{value:.3g}" for value in select(own, measure=measure)["value"]))
        operated = select(surgery, seed=seed, measure="accuracy", network="surgery")
        operated = select(operated[operated["n_pairs"] == operated["modulus"] ** 2], step=operated["step"].max())
        accuracy = operated.set_index("modulus")["value"]
        for name, summary in SURGERY.items():
            rows[name].append(summary(accuracy) if len(accuracy) else "")
    return Table(["", *(f"seed {seed}" for seed in seeds)], [[name, *cells] for name, cells in rows.items()])


def circuit_sections(tables: dict[str, pd.DataFrame]) -> Iterator[Part]:
    """The table of one experiment's circuits."""
    yield Heading("circuit", 3)
    yield circuit_table(tables["circuit"], tables["surgery"])


def belief_sections(tables: dict[str, pd.DataFrame]) -> Iterator[Part]:
    """The tables of one experiment's probe scores."""
    for target in ("belief_state", "belief_beyond_next_token", "unobservable_belief_state"):
        table = scores_table(tables["probe"], tables["baselines"], tables["random_init"], target)
        if table is not None:
            yield Heading(target.replace("_", " "), 3)
            yield table


SECTIONS = {"markov": belief_sections, "modular": circuit_sections, "tabulated": lambda tables: ()}
"""By the kind of task, in the order of the overviews."""


def rules_in_words(claims: pd.DataFrame, rule: dict) -> list[Part]:
    """The rule of the verdicts and, where there are any over seeds, what their number means."""
    parts = [Paragraph(INTRODUCTION.format(**rule))]
    if claims["p_value"].notna().any():
        parts.append(Paragraph(multiplicity_in_words(claims, rule["confidence"])))
    return parts


def findings(
    claims: pd.DataFrame, tables: dict[str, pd.DataFrame], experiments: Mapping[str, str], rule: dict
) -> list[Part]:
    """The whole document, given the kind of each experiment's task."""
    claims = with_outcomes(claims, rule["margin"])
    parts = [
        Heading("Findings", 1),
        Paragraph(f"{counts_in_words(claims)}. {READING}"),
        *[Paragraph(NEEDED)] * bool((claims["n_seeds"] == 1).any()),
        *[Paragraph(OF_SAMPLES)] * bool((claims["unit"] == SAMPLE).any()),
        overview(claims, rule),
        Section(Heading("How a verdict is made"), rules_in_words(claims, rule)),
        Section(Heading("All claims"), [claims_table(claims, rule["confidence"])]),
    ]
    for experiment, of_experiment in claims.groupby("experiment", sort=False):
        own = {name: select(table, experiment=experiment) for name, table in tables.items()}
        inside: list[Part] = [Paragraph(outcomes_in_words(of_experiment))]
        if caution := of_experiment["caution"].iloc[0]:
            inside.append(Paragraph(f"Caution: {caution}. A claim on such a network says little of the task."))
        if (of_experiment["n_seeds"] == 1).all():
            inside += [Paragraph(NEEDED), network_table(of_experiment)]
        inside += SECTIONS[experiments[experiment]](own)
        parts.append(Section(Heading(experiment), inside))
    return parts
