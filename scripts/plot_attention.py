"""Draw the first attention beside constrained belief updates: by lag, what it writes, and what becomes of it."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from geometry.figures.series import draw_series
from geometry.figures.style import AT_INITIALISATION, TRAINED, WIDTH, save_figure, scale_to_unexplained
from geometry.networks.hook_points import FIRST_BLOCK, short_site
from geometry.probing.control_targets import BELIEF_OF
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MARKERS = "os^vDP*X"
THEORY = {"color": "black", "linewidth": 0.9, "linestyle": (0, (4, 2)), "zorder": 0}
COSINES = {"output_value_cosine": ("o", "-", "in the stream"), "evidence_cosine": ("s", ":", "in the belief subspace")}
TARGETS = {"belief_state": ("o", "-", "belief"), "constrained_update": ("s", ":", "sum of evidence")}


def draw_heads(ax: Axes, table: pd.DataFrame, zeta: float) -> None:
    """The attention of each head after the longest prefixes: the first network's with marks, those of others thin."""
    rows = select(table, measure="attention", position=table["position"].max())
    rows, heads = rows[rows["head"].notna()], sorted(rows["head"].dropna().unique())
    colors = colormaps["viridis"](np.linspace(0.1, 0.75, len(heads)))
    for number, (_, network) in enumerate(rows.groupby("seed", sort=False)):
        for marker, head, color in zip(MARKERS * len(heads), heads, colors, strict=False):
            own = select(network, head=head)
            style = {"color": color, "linewidth": 0.5, "alpha": 0.5}
            if number == 0:
                style = {"color": color, "marker": marker, "markersize": 3.5, "label": f"head {head:.0f}"}
            ax.plot(own["lag"], own["value"], **style)
    lags = np.arange(rows["lag"].max() + 1)
    if np.isfinite(zeta):
        ax.plot(lags, (1 - abs(zeta)) * abs(zeta) ** lags, **THEORY, label="falling as |ζ|^lag")
    ax.set(yscale="log", ylim=(1e-4, 1), xlabel="lag", ylabel="attention")
    ax.set_title("Attention of each head")


def draw_evidence(ax: Axes, networks: dict[str, tuple[str, pd.DataFrame]]) -> None:
    """The share of each token's evidence that all heads together write, by lag; of each factor, if there are any."""
    zetas = select(networks["trained"][1], measure="zeta").groupby("target", sort=False)["value"].first()
    factors = [target for target in zetas.index if target] or [""]
    for marker, target in zip(MARKERS * len(factors), factors, strict=False):
        name, zeta = target.removeprefix(BELIEF_OF), zetas[target]
        for label, (color, table) in networks.items():
            rows = select(table, measure="effective_attention", position=table["position"].max(), target=target)
            style = {"color": color, "marker": marker, "linestyle": "-"}
            draw_series(ax, rows, rows["lag"], " ".join(filter(None, (label, name))), style)
        if np.isfinite(zeta):
            lags = np.arange(rows["lag"].max() + 1)
            ax.plot(lags, zeta**lags, **THEORY, label="ζ^lag" if target == factors[0] else None)
    ax.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    ax.set(xlabel="lag", ylabel="effective attention")
    ax.set_title("Evidence that is written")


def draw_cosines(ax: Axes, networks: dict[str, tuple[str, pd.DataFrame]]) -> None:
    """The cosine of what is written of a token with its evidence, by lag: the mean over tokens of each network."""
    for color, table in networks.values():
        for measure, (marker, line, where) in COSINES.items():
            rows = select(table, measure=measure).groupby(["seed", "lag"])["value"].mean().reset_index()
            style = {"color": color, "marker": marker, "linestyle": line}
            draw_series(ax, rows, rows["lag"], where if color == TRAINED else "_", style)
    ax.axhline(1, **THEORY)
    ax.set(xlabel="lag", ylabel="cosine with the token's evidence")
    ax.set_title("What is written of a token")


def draw_r2(ax: Axes, networks: dict[str, tuple[str, pd.DataFrame]]) -> None:
    """R2 of the belief and of the sum of evidence, behind the attention and around the MLP."""
    scores = {name: select(table, measure="r2") for name, (_, table) in networks.items()}
    ends = scale_to_unexplained(ax.yaxis, 1 - pd.concat(scores.values())["value"])
    for label, (color, _) in networks.items():
        for target, (marker, line, what) in TARGETS.items():
            rows = select(scores[label], target=target)
            rows = rows.assign(value=(1 - rows["value"]).clip(*ends))
            style = {"color": color, "marker": marker, "linestyle": line}
            draw_series(ax, rows, rows["site"].map(FIRST_BLOCK.index), what if color == TRAINED else "_", style)
    ax.set_xticks(range(len(FIRST_BLOCK)), [short_site(site) for site in FIRST_BLOCK])
    ax.set_ylabel("R², held-out prefixes")
    ax.set_title("From evidence to belief")


def plot_attention(trained: pd.DataFrame, random_networks: pd.DataFrame) -> Figure:
    """The figure: attention by head, evidence written, its direction, and the two targets along the first block."""
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 0.95 * WIDTH))
    zeta = select(trained, measure="zeta", target="")["value"].iloc[0]
    networks = {"trained": (TRAINED, trained), "random networks": (AT_INITIALISATION, random_networks)}
    draw_heads(axes[0, 0], trained, zeta)
    draw_evidence(axes[0, 1], networks)
    draw_cosines(axes[1, 0], networks)
    draw_r2(axes[1, 1], networks)
    for ax in axes.flat:
        ax.legend(fontsize=6)
    for ax in axes.flat[:3]:
        ax.margins(x=0.05)
        low, high = ax.get_xlim()
        ax.set_xlim(min(low, -0.3), max(high, 0.3))  # of one lag, where others have no evidence
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        trained = pd.concat([read_table(path) for path in snakemake.input.attention])
        random_networks = read_table(snakemake.input.random_init)
        figure = plot_attention(trained, random_networks)
        n, never = trained["seed"].nunique(), random_networks["seed"].nunique()
        zeta = select(trained, measure="zeta", target="")["value"].iloc[0]
        decay = f", ζ = {zeta:.3g}" if np.isfinite(zeta) else ""
        figure.suptitle(
            f"{snakemake.wildcards.experiment}{decay}: {n} trained and {never} random networks (marks), means (lines)",
            fontsize=9,
        )
        save_figure(figure, job)
