"""Draw the process recovered from a network beside the true one."""

from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.recovered_maps import draw_eigenvalues, draw_fractals, frequent_tokens
from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH, save_figure
from geometry.networks.hook_points import OUTPUT, short_site
from geometry.networks.origins import PRETRAINED
from geometry.probing.probe_table import of_random_networks
from geometry.provenance.job import Job
from geometry.recovery.sources import EXACT, SAMPLED, SUPPORT, TRUTH, UNIGRAM, is_identifiable
from geometry.storage import open_dataset
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

LEAST = 1e-7
"""The lower limit of the axes of divergence, in nats per token."""

NO_NETWORK = {SAMPLED: "sampled sequences", SUPPORT: "support", UNIGRAM: "unigram"}
NAMES = {OUTPUT: "output alone", **NO_NETWORK}
"""Labels of sources that are no activations."""


def draw_spectrum(ax: Axes, scores: pd.DataFrame, of_process: pd.DataFrame, site: str) -> None:
    """Singular values of one run, from exact predictions, the output, and a site after and before training."""
    first, last = scores["step"].min(), scores["step"].max()
    series = [
        ("exact", select(of_process, source=EXACT), "0.6", "s"),
        ("outputs", select(scores, step=last, source=OUTPUT), "#009E73", "^"),
        ("activations", select(scores, step=last, source=site), TRAINED, "o"),
        ("at initialisation", select(scores, step=first, source=site), AT_INITIALISATION, "x"),
    ]
    for name, rows, color, marker in series:
        values = select(rows, measure="singular_value")["value"]
        rank = int(select(rows, measure="rank")["value"].iloc[0])
        drawn = values[values > 1e-5]
        label = f"{name}: {rank} dimension{'s' * (rank > 1)}"
        ax.plot(range(1, len(drawn) + 1), drawn, marker=marker, color=color, markersize=3.5, linewidth=0.8, label=label)
    true = int(select(of_process, source=TRUTH, measure="rank")["value"].iloc[0])
    ax.axvline(true + 0.5, color="0.3", linewidth=0.8, linestyle=":", label=f"process: {true}")
    ax.set(yscale="log", xlabel="index", ylabel="singular value")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_ylim(bottom=ax.get_ylim()[0] / 30)  # room for the legend
    ax.legend(fontsize=6, loc="lower left")
    ax.set_title("Dimension")


def draw_sources(ax: Axes, scores: pd.DataFrame, of_process: pd.DataFrame, random_networks: pd.DataFrame) -> None:
    """The rate of divergence by the source of the recovered process; a mark for each seed."""
    rates = select(scores, measure="kl_rate_nats", step=scores["step"].max())
    never = select(random_networks, measure="kl_rate_nats")
    of_network, sampled = rates[rates["source"] != SAMPLED], select(rates, source=SAMPLED)
    known = select(of_process[of_process["source"].isin(NO_NETWORK)], measure="kl_rate_nats")
    of_none = pd.concat([sampled, known])
    sources = [*scores.loc[scores["source"] != SAMPLED, "source"].unique(), *of_none["source"].unique()]
    series = (
        ("random networks", never, AT_INITIALISATION, "x"),
        ("trained", of_network, TRAINED, "o"),
        ("no network", of_none, CONTROL, "s"),
    )
    for name, rows, color, marker in series:
        place, value = rows["source"].map(sources.index), rows["value"].clip(lower=LEAST)
        ax.plot(value, place, marker, color=color, markersize=3.5, markerfacecolor="none", label=name)
    labels = [NAMES.get(source, short_site(source)) for source in sources]
    ax.set_yticks(range(len(sources)), labels)
    ax.set(xscale="log", xlabel="divergence, nats per token", ylim=(len(sources) - 0.5, -0.5))
    ax.legend(loc="best", fontsize=6)
    ax.set_title("Divergence by source")


def draw_training(ax: Axes, scores: pd.DataFrame, of_process: pd.DataFrame, site: str) -> None:
    """The rate of divergence by step, from a site and from the output; a line for each seed.

    Pretrained networks, whose steps are not known, have two: a random network of the same shape, and the network.
    """
    ends = scores["step"].max()
    for source, color, name in ((site, TRAINED, short_site(site)), (OUTPUT, "#009E73", NAMES[OUTPUT])):
        for seed, rows in select(scores, measure="kl_rate_nats", source=source).groupby("seed"):
            label = name if seed == scores["seed"].min() else None
            value = rows["value"].clip(lower=LEAST)
            ax.plot(rows["step"], value, "o-", color=color, markersize=3, linewidth=0.8, label=label)
    for table, source, line in ((scores, SAMPLED, ":"), (of_process, UNIGRAM, "--")):
        level = select(table, measure="kl_rate_nats", source=source)["value"]
        if len(level):  # not all networks are trained on sequences
            ax.axhline(max(level.mean(), LEAST), color="0.5", linewidth=0.8, linestyle=line, label=NAMES[source])
    ax.set(yscale="log", ylabel="divergence, nats per token")
    if PRETRAINED not in set(scores["origin"]):
        ax.set_xscale("symlog", linthresh=10)
        ax.set(xlim=(-2, None), xlabel="training step", title="Over training")  # no step is negative
    else:
        ax.set_xticks([0, ends], ["random network", "pretrained"])
        ax.set(xlim=(-0.4, 1.4), title="Random and pretrained")
    ax.legend(fontsize=6)


def plot_recovery(
    truth: xr.Dataset,
    fractal: xr.Dataset,
    scores: pd.DataFrame,
    of_process: pd.DataFrame,
    random_networks: pd.DataFrame,
    max_points: int,
) -> Figure:
    """The figure: above, maps and operators of the first run; below, its dimension, and rates of divergence."""
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 0.72 * WIDTH))
    site = fractal.attrs["site"]
    draw_fractals(axes[0, :2], truth, fractal, max_points)
    draw_eigenvalues(axes[0, 2], fractal, frequent_tokens(truth))
    draw_spectrum(axes[1, 0], select(scores, seed=scores["seed"].iloc[0]), of_process, site)
    draw_sources(axes[1, 1], scores, of_process, random_networks)
    draw_training(axes[1, 2], scores, of_process, site)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        scores = pd.concat([read_table(path) for path in snakemake.input.recovery])
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.fractal) as fractal:
            random_networks = of_random_networks(snakemake.input.random_init)
            params, n = snakemake.params, scores["seed"].nunique()
            of_process = read_table(snakemake.input.of_process)
            figure = plot_recovery(truth, fractal, scores, of_process, random_networks, params.max_points)
            is_clear = is_identifiable(of_process, params.identifiable_share)
            note = "" if is_clear else ", not identifiable from so few tokens"
            figure.suptitle(
                f"{snakemake.wildcards.experiment}: process recovered from {short_site(fractal.attrs['site'])}{note}; "
                f"{n} trained network{'s' * (n > 1)}",
                fontsize=9,
            )
        save_figure(figure, job)
