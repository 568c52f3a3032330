"""The process that came out of the network alone, beside the true one."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.belief_cloud import BeliefPainter, draw_cloud
from geometry.figures.simplex import ANCHORS, belief_colors
from geometry.figures.style import CONTROL, STYLE_SHEET, TRAINED, UNTRAINED, WIDTH, save_figure
from geometry.networks.hook_points import OUTPUT, short_site
from geometry.networks.origins import PRETRAINED
from geometry.provenance.job import Job
from geometry.recovery.sources import EXACT, SAMPLED, SUPPORT, TRUTH, UNIGRAM, is_identifiable
from geometry.storage import open_dataset
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_TOKENS = 12
"""Tokens whose eigenvalues are drawn."""

LEAST = 1e-7
"""The rate of divergence, in nats, at which the axes end."""

NO_NETWORK = {SAMPLED: "sampled tokens", SUPPORT: "which words occur", UNIGRAM: "token frequencies"}
NAMES = {OUTPUT: "outputs alone", **NO_NETWORK}
"""How the figure calls what is no activation."""


def draw_fractals(axes: np.ndarray, truth: xr.Dataset, fractal: xr.Dataset, max_points: int) -> None:
    """Random tokens that the recovered maps draw, on the true maps and on these, in the true belief's colour.

    Grey on the recovered maps is what cannot happen by the true ones; there, nothing is drawn.
    """
    painter = BeliefPainter(truth, max_points)
    true, recovered = (fractal[f"{name}_belief"].values.astype(np.float64) for name in ("true", "recovered"))
    known = np.isfinite(true).all(axis=1)
    colors = np.full((len(true), 3), 0.8)
    colors[known] = belief_colors(true[known], bool(truth.attrs["generalized"]))
    order = np.argsort(known, kind="stable")
    for ax, belief, title in ((axes[0], true, "True maps"), (axes[1], recovered, "RecoveredProcess maps")):
        drawn = order[np.isfinite(belief[order]).all(axis=1)]
        draw_cloud(ax, painter.projection(belief[drawn]), colors[drawn])
        painter.frame(ax)
        if painter.lift.any():
            ax.set_ylabel("")  # these words are all of one length
        ax.set_title(f"{title}\nafter {len(drawn):,} random words")


def frequent_tokens(truth: xr.Dataset) -> list[int]:
    """The tokens whose eigenvalues are drawn: those that a word begins with most often, in their own order."""
    first = truth["length"].values == 1
    weight = np.bincount(truth["last_token"].values[first], truth["weight"].values[first], truth.sizes["token"])
    return sorted(np.argsort(-weight, kind="stable")[:MOST_TOKENS].tolist())


def draw_eigenvalues(ax: Axes, fractal: xr.Dataset, tokens: list[int]) -> None:
    """The eigenvalues of some tokens' operators: rings are true, crosses are recovered."""
    real, imaginary = np.moveaxis(fractal["eigenvalue"].values, -1, 0)
    for token in tokens:
        color = ANCHORS[token % len(ANCHORS)]
        ax.plot(real[0, token], imaginary[0, token], "o", color=color, markerfacecolor="none", markersize=7)
        ax.plot(real[1, token], imaginary[1, token], "x", color=color, markersize=4)
    ax.plot([], [], "o", color="0.3", markerfacecolor="none", label="true")
    ax.plot([], [], "x", color="0.3", label="recovered")
    ax.axhline(0, color="0.85", linewidth=0.6, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.6, zorder=0)
    ax.set(xlabel="real part", ylabel="imaginary part", aspect="equal", adjustable="datalim")
    ax.margins(0.2)
    ax.legend(loc="best", fontsize=6)
    every = len(tokens) == fractal.sizes["token"]
    ax.set_title("Eigenvalues\nof " + ("each token's operator" if every else f"{len(tokens)} frequent tokens"))


def draw_spectrum(ax: Axes, scores: pd.DataFrame, of_process: pd.DataFrame, site: str) -> None:
    """Singular values of the futures, of one run: from the last stream, trained and untrained, and from outputs."""
    first, last = scores["step"].min(), scores["step"].max()
    series = [
        ("exact", select(of_process, source=EXACT), "0.6", "s"),
        ("outputs", select(scores, step=last, source=OUTPUT), "#009E73", "^"),
        ("activations", select(scores, step=last, source=site), TRAINED, "o"),
        ("at initialisation", select(scores, step=first, source=site), UNTRAINED, "x"),
    ]
    for name, rows, color, marker in series:
        values = select(rows, measure="singular_value")["value"]
        rank = int(select(rows, measure="rank")["value"].iloc[0])
        drawn = values[values > 1e-5]
        label = f"{name}: {rank} dimension{'s' * (rank > 1)}"
        ax.plot(range(1, len(drawn) + 1), drawn, marker=marker, color=color, markersize=3.5, linewidth=0.8, label=label)
    true = int(select(of_process, source=TRUTH, measure="rank")["value"].iloc[0])
    ax.axvline(true + 0.5, color="0.3", linewidth=0.8, linestyle=":", label=f"process: {true}")
    ax.set(yscale="log", xlabel="place", ylabel="singular value")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_ylim(bottom=ax.get_ylim()[0] / 30)  # room for the legend
    ax.legend(fontsize=6, loc="lower left")
    ax.set_title("Dimensions of the futures")


def draw_sources(ax: Axes, scores: pd.DataFrame, of_process: pd.DataFrame, untrained: pd.DataFrame) -> None:
    """The rate of divergence by what the process was recovered from; a mark for each seed."""
    rates = select(scores, measure="kl_rate_nats", step=scores["step"].max())
    never = select(untrained, measure="kl_rate_nats")
    of_network, sampled = rates[rates["source"] != SAMPLED], select(rates, source=SAMPLED)
    known = select(of_process[of_process["source"].isin(NO_NETWORK)], measure="kl_rate_nats")
    of_none = pd.concat([sampled, known])
    sources = [*scores.loc[scores["source"] != SAMPLED, "source"].unique(), *of_none["source"].unique()]
    series = (
        ("never trained", never, UNTRAINED, "x"),
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
    ax.set_title("Distance to the truth")


def draw_training(ax: Axes, scores: pd.DataFrame, of_process: pd.DataFrame, site: str) -> None:
    """The rate of divergence over training, of the last stream and of the outputs; a line for each seed.

    Of a network from elsewhere, whose steps are not known: of a new one of its shape, and of it.
    """
    ends = scores["step"].max()
    for source, color, name in ((site, TRAINED, short_site(site)), (OUTPUT, "#009E73", NAMES[OUTPUT])):
        for seed, rows in select(scores, measure="kl_rate_nats", source=source).groupby("seed"):
            label = name if seed == scores["seed"].min() else None
            value = rows["value"].clip(lower=LEAST)
            ax.plot(rows["step"], value, "o-", color=color, markersize=3, linewidth=0.8, label=label)
    for table, source, line in ((scores, SAMPLED, ":"), (of_process, UNIGRAM, "--")):
        level = select(table, measure="kl_rate_nats", source=source)["value"]
        if len(level):  # not all networks read words
            ax.axhline(max(level.mean(), LEAST), color="0.5", linewidth=0.8, linestyle=line, label=NAMES[source])
    ax.set(yscale="log", ylabel="divergence, nats per token")
    if PRETRAINED not in set(scores["origin"]):
        ax.set_xscale("symlog", linthresh=10)
        ax.set(xlabel="training step", title="Over training")
    else:
        ax.set_xticks([0, ends], ["new", "from elsewhere"])
        ax.set(xlim=(-0.4, 1.4), title="Without and with training")
    ax.legend(fontsize=6)


def plot_recovery(
    truth: xr.Dataset,
    fractal: xr.Dataset,
    scores: pd.DataFrame,
    of_process: pd.DataFrame,
    untrained: pd.DataFrame,
    max_points: int,
) -> Figure:
    """Above: maps and operators of the first run. Below: dimensions, and rates of divergence."""
    figure, axes = plt.subplots(2, 3, figsize=(WIDTH, 0.72 * WIDTH))
    site = fractal.attrs["site"]
    draw_fractals(axes[0, :2], truth, fractal, max_points)
    draw_eigenvalues(axes[0, 2], fractal, frequent_tokens(truth))
    draw_spectrum(axes[1, 0], select(scores, seed=scores["seed"].iloc[0]), of_process, site)
    draw_sources(axes[1, 1], scores, of_process, untrained)
    draw_training(axes[1, 2], scores, of_process, site)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.style.use(STYLE_SHEET)
        scores = pd.concat([read_table(path) for path in snakemake.input.recovery])
        with open_dataset(snakemake.input.ground_truth) as truth, open_dataset(snakemake.input.fractal) as fractal:
            untrained = read_table(snakemake.input.random_init)
            params, n = snakemake.params, scores["seed"].nunique()
            of_process = read_table(snakemake.input.of_process)
            tables = scores, of_process, untrained
            figure = plot_recovery(truth, fractal, *tables, params.max_points)
            told = (
                "no hidden state looked at" if is_identifiable(of_process) else "too few tokens to tell the whole of it"
            )
            figure.suptitle(
                f"{snakemake.wildcards.experiment}: the process read out of {short_site(fractal.attrs['site'])}, "
                f"{told}; {n} trained network{'s' * (n > 1)}",
                fontsize=9,
            )
        save_figure(figure, snakemake.output.figure, snakemake.params.dpi)
        job.info(f"drew {snakemake.output.figure}")
