"""Draw the overlap of the subspaces of the parts of a composed process, and the dimensions that activations take up."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.series import draw_series, name_sites
from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH, save_figure
from geometry.networks.hook_points import short_site
from geometry.probing.part_subspaces import BELIEF_STATE, PART_BELIEFS
from geometry.probing.probe_table import of_random_networks
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

BELIEFS = {BELIEF_STATE: ("the joint belief", "-"), PART_BELIEFS: ("the beliefs of the parts", "--")}


def draw_by_site(ax: Axes, networks: dict[str, tuple[str, pd.DataFrame]], measure: str, title: str) -> None:
    """Draw a measure by layer output, of several kinds of networks."""
    sites = [site for site in next(iter(networks.values()))[1]["site"].unique() if site not in BELIEFS]
    for name, (color, table) in networks.items():
        rows = select(table[table["site"].isin(sites)], measure=measure)
        place = rows["site"].map(sites.index)
        draw_series(ax, rows, place, name, {"color": color, "marker": "o", "linewidth": 1.1})
    name_sites(ax, [short_site(site) for site in sites])
    ax.set(title=title, ylim=(-0.03, 1.03))


def draw_shares(ax: Axes, networks: dict[str, tuple[str, pd.DataFrame]], site: str) -> None:
    """Draw the cumulative share of the variance at one site, beside those of the true beliefs."""
    trained = next(iter(networks.values()))[1]
    for color, table in networks.values():
        for _, rows in select(table, measure="variance_share", site=site).groupby("seed"):
            ax.plot(rows["index"], rows["value"], color=color, linewidth=0.8)
    for belief, (label, line) in BELIEFS.items():
        rows = select(trained, measure="variance_share", site=belief, seed=trained["seed"].iloc[0])
        ax.plot(rows["index"], rows["value"], line, color="black", linewidth=1.1, label=label)
    ax.set(title=f"Variance at {short_site(site)}", xlabel="principal components", ylim=(0, 1.03))


def plot_subspaces(subspaces: pd.DataFrame, random_networks: pd.DataFrame, site: str) -> Figure:
    """The figure: overlaps by layer output, the share that the parts' beliefs explain, and cumulative variance."""
    last = select(subspaces, step=subspaces["step"].max())
    networks = {"trained": (TRAINED, last), "random networks": (AT_INITIALISATION, random_networks)}
    measure = "vary_one_overlap" if "vary_one_overlap" in set(last["measure"]) else "encoding_overlap"
    figure, (overlaps, explained, shares) = plt.subplots(1, 3, figsize=(WIDTH, 0.42 * WIDTH))
    draw_by_site(overlaps, networks, measure, "Overlap of the parts' subspaces")
    chance = select(last, measure="random_overlap")
    chance = chance[~chance["site"].isin(list(BELIEFS))].groupby("site", sort=False)["value"].mean()
    overlaps.plot(range(len(chance)), chance, ":", color=CONTROL, linewidth=1.2, label="random directions")
    draw_by_site(explained, networks, "explained_by_parts", "Variance that beliefs explain")
    draw_shares(shares, networks, site)
    (marks, names), (lines, beliefs) = (ax.get_legend_handles_labels() for ax in (overlaps, shares))
    figure.legend(marks + lines, names + beliefs, loc="outside lower center", ncols=5)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        subspaces = pd.concat([read_table(path) for path in snakemake.input.subspaces])
        random_networks = of_random_networks(snakemake.input.random_init, like=subspaces)
        figure = plot_subspaces(subspaces, random_networks, snakemake.params.site)
        n = subspaces["seed"].nunique()
        figure.suptitle(f"{snakemake.wildcards.experiment}: {n} trained networks", fontsize=9)
        save_figure(figure, job)
