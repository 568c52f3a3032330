"""Draw grokking as loss, accuracy and decoded circles by training step."""

from math import inf, log
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from geometry.figures.end_labels import name_ends
from geometry.figures.style import CONTROL, TRAINED, WIDTH, note, save_figure
from geometry.networks.hook_points import short_site
from geometry.probing.probe_table import circle_scores, last_layer_output
from geometry.provenance.job import Job
from geometry.tables import by_seed, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

TRAINING, HELD_OUT = "training pairs", "held-out pairs"
RESTRICTED, EXCLUDED = "restricted: the key\nfrequencies alone", "excluded: all but\nthe key frequencies"
OTHER_MODULI, OTHERS = "other moduli,\nafter surgery", "other frequencies"
STYLES = {
    TRAINING: {"color": "black", "linestyle": ":"},
    HELD_OUT: {"color": TRAINED, "linestyle": "-"},
    RESTRICTED: {"color": "#009E73", "linestyle": "--"},
    EXCLUDED: {"color": "#D55E00", "linestyle": "-."},
    OTHER_MODULI: {"color": "#CC79A7", "linestyle": "-", "marker": "o"},
    OTHERS: {"color": CONTROL, "linestyle": ":", "marker": "."},
}
OF_SITES = (
    {"color": TRAINED, "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s", "markerfacecolor": "none"},
    {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    {"color": "#CC79A7", "linestyle": (0, (5, 1)), "marker": "D", "markerfacecolor": "none"},
    {"color": "#56B4E9", "linestyle": "-", "marker": "v"},
    {"color": "black", "linestyle": "--", "marker": "x"},
)
LOWEST_R2 = -0.25
Curves = dict[str, pd.Series]
"""The curves of one network by name: values by step."""


def losses(training: pd.DataFrame, circuit: pd.DataFrame) -> Curves:
    by_step = training.set_index("step")
    parts = {
        name: select(circuit, measure=measure).set_index("step")["value"]
        for name, measure in ((RESTRICTED, "restricted_loss_nats"), (EXCLUDED, "excluded_loss_nats"))
    }
    return {TRAINING: by_step["minibatch_loss_nats"], HELD_OUT: by_step["held_out_loss_nats"]} | parts


def accuracies(training: pd.DataFrame, surgery: pd.DataFrame | None) -> Curves:
    """The accuracy of the network and, if there is surgery, the mean accuracy over moduli scored at all snapshots."""
    by_step = training.set_index("step")
    own = {TRAINING: by_step["accuracy"], HELD_OUT: by_step["held_out_accuracy"]}
    if surgery is None:
        return own
    rows = select(surgery, network="surgery", measure="accuracy")
    moduli = select(rows, step=rows["step"].min())["modulus"]
    means = rows[rows["modulus"].isin(moduli)].groupby("step")["value"].mean()
    return own | {OTHER_MODULI: means}


def decoded_circles(probe: pd.DataFrame, circuit: pd.DataFrame) -> Curves:
    """The mean R2 of the key frequencies of the last snapshot by site, and of all others at the last layer output.

    Values below the panel are drawn at its edge.
    """
    last = select(circuit, step=circuit["step"].max(), measure="is_key")
    scores, site_of_others = circle_scores(probe), last_layer_output(probe)
    is_key = scores["frequency"].isin(last.loc[last["value"] > 0, "frequency"])
    groups = {short_site(site): rows for site, rows in scores[is_key].groupby("site", sort=False)}
    groups |= {OTHERS: select(scores[~is_key], site=site_of_others)}
    return {name: rows.groupby("step")["value"].mean().clip(LOWEST_R2) for name, rows in groups.items()}


def draw_networks(ax: Axes, networks: list[Curves], styles: dict[str, dict], level: tuple[str, float]) -> None:
    """The curves of all networks, the first as thick ones with their names, and a level of reference.

    Values of 0, losses below rounding, are left out on a logarithmic axis.
    """
    ax.axhline(level[1], color="black", linewidth=0.6, zorder=0)
    least = 0 if ax.get_yscale() == "log" else -inf
    ends: dict[str, float] = {}
    for place, curves in reversed(list(enumerate(networks))):
        width = {"alpha": 0.7, "linewidth": 0.7, "markersize": 1.5} if place else {"linewidth": 1.7, "markersize": 3.5}
        for name, values in curves.items():
            shown = values[(values.index > 0) & (values > least)]
            ax.plot(shown.index, shown, **styles[name] | width)
            if place == 0 and len(shown):
                ends[name] = float(shown.iloc[-1])
    name_ends(ax, ends | dict([level]), {name: styles[name]["color"] for name in ends} | {level[0]: "black"})


def plot_progress(
    training: list[pd.DataFrame],
    circuit: list[pd.DataFrame],
    surgery: list[pd.DataFrame | None],
    probe: list[pd.DataFrame],
    p: int,
) -> Figure:
    """The figure: loss, accuracy and decoded circles over the same steps; tables are lists with one per network."""
    figure, axes = plt.subplots(3, 1, figsize=(WIDTH, WIDTH), sharex=True, gridspec_kw={"height_ratios": [1.2, 1, 1]})
    loss, accuracy, circle = axes
    steps = circuit[0]["step"]
    circle.set(xscale="log", xlim=(steps[steps > 0].min() / 2, steps.max()), xlabel="training step")
    circle.xaxis.set_major_locator(LogLocator(subs=[1, 2, 5]))
    circle.xaxis.set_major_formatter("{x:g}")
    circle.xaxis.set_minor_formatter(NullFormatter())

    loss.set(yscale="log", ylabel="loss (nats)", title="Loss")
    draw_networks(loss, list(map(losses, training, circuit)), STYLES, ("ln p, uniform", log(p)))

    accuracy.set(ylim=(-0.03, 1.03), ylabel="accuracy", title="Accuracy")
    draw_networks(accuracy, list(map(accuracies, training, surgery)), STYLES, ("1 / p, uniform", 1 / p))

    circle.set(ylim=(LOWEST_R2, 1.03), ylabel="R² (mean over frequencies)")
    circle.set_title("Circles of the key frequencies of the last snapshot, decoded on held-out pairs")
    curves = list(map(decoded_circles, probe, circuit))
    sites = list(dict.fromkeys(name for of_one in curves for name in of_one if name != OTHERS))
    if not sites:
        note(circle, "no network has a key frequency")
    draw_networks(circle, curves, STYLES | dict(zip(sites[::-1], OF_SITES, strict=False)), ("mean baseline", 0.0))
    return figure


def subtitle(circuit: list[pd.DataFrame], p: int) -> str:
    """The modulus, the number of networks, and their seeds."""
    first, *others = (table["seed"].iloc[0] for table in circuit)
    thin = f", thin: {', '.join(map(str, others))}" if others else ""
    return f"p = {p}, {len(circuit)} trained networks (thick: seed {first}{thin})"


if __name__ == "__main__":
    with Job(snakemake) as job:
        kinds, p = ("training", "circuit", "surgery", "probe"), snakemake.params.task["parameters"]["modulus"]
        tables = {kind: by_seed(snakemake.input[kind]) for kind in kinds}
        tables["surgery"] = tables["surgery"] or [None] * len(tables["circuit"])  # no sum or difference, no surgery
        figure = plot_progress(**tables, p=p)
        figure.suptitle(f"{snakemake.wildcards.experiment}: {subtitle(tables['circuit'], p)}", fontsize=9)
        save_figure(figure, job)
