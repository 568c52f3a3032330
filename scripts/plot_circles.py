"""Draw the circles of a network of modular arithmetic: of its numbers, also after surgery, and of its answers."""

from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from geometry.figures.number_circle import draw_circle
from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH, name_peaks, note, save_figure
from geometry.networks.hook_points import short_site
from geometry.probing.probe_table import circle_scores, last_layer_output
from geometry.provenance.job import Job
from geometry.storage import open_dataset
from geometry.tables import of_first_seed, read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_CIRCLES = 6
SIDE_BY_SIDE = 3
"""The largest number of circles of each kind for which both kinds are in one row."""

LOWEST_R2 = -0.25
TRAINED_NETWORK = "trained (number: a key frequency)"
NETWORKS = {
    TRAINED_NETWORK: {"color": TRAINED, "marker": "o"},
    "same network at initialisation": {"color": AT_INITIALISATION, "marker": "s", "markerfacecolor": "none"},
    "random networks": {"color": CONTROL, "marker": "x"},
}


def draw_circles(figure: SubFigure, circles: xr.DataArray, frequencies: list[int], names: list[str]) -> None:
    """A panel for each of the first key frequencies."""
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for ax, points, k, name in zip(axes, circles.values, frequencies, names, strict=False):
        draw_circle(ax, points, k, name)


def draw_scores(ax: Axes, networks: dict[str, pd.DataFrame], keys: list[int], p: int) -> None:
    """R2 by frequency, with stems for the trained network and the key frequencies named."""
    for kind, rows in reversed(networks.items()):
        style = {"linestyle": "none", "markersize": 3.5, "markeredgewidth": 0.8}
        ax.plot(rows["frequency"], rows["value"].clip(LOWEST_R2), label=kind, **style | NETWORKS[kind])
    trained = networks[TRAINED_NETWORK].set_index("frequency")["value"].dropna()
    ax.vlines(trained.index, 0, trained.clip(LOWEST_R2), color=TRAINED, linewidth=0.8)
    heights = {k: max(trained[k], 0) + 0.06 for k in keys if k in trained}
    name_peaks(ax, heights, dict.fromkeys(keys, TRAINED), near=0.0125 * p, line_height=0.12)
    if trained.empty:
        note(ax, "no pairs are held out to score decoded circles")
    ax.axhline(0, color="black", linewidth=0.6, zorder=0)
    ax.set(xlim=(0, p // 2 + 1), ylim=(1.1 * LOWEST_R2, 1.3), xlabel="frequency k", ylabel="R²")
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])


def plot_circles(
    circuit: xr.Dataset, operated: xr.Dataset, surgery: pd.DataFrame, probe: pd.DataFrame, random_networks: pd.DataFrame
) -> Figure:
    """The figure: above, the embedding on its circles, also after surgery; below, R2 of the circles of the answer."""
    p, modulus = circuit.sizes["token"], operated.sizes["token"]
    keys = [k for k in circuit["key_frequency"].values.tolist() if k]
    old, new = (operated[name].values.tolist()[:MOST_CIRCLES] for name in ("key_frequency", "chosen_frequency"))
    after = f"After surgery for p' = {modulus}, accuracy {accuracy_for(surgery, modulus):.4f}"
    moved = [f"k = {k}  →  k' = {k_new}" for k, k_new in zip(old, new, strict=True)]
    groups = [
        (f"Embedding of the numbers modulo p = {p}", circuit, keys, [f"k = {k}" for k in keys]),
        (after, operated, new, moved),
    ]
    in_one_row = max(len(keys), len(new)) <= SIDE_BY_SIDE
    side = 0.9 * WIDTH / 6
    figure = plt.figure(figsize=(WIDTH, (1 if in_one_row else 2) * (side + 0.55) + 2.4))
    above, below = figure.subfigures(2, 1, height_ratios=[(1 if in_one_row else 2) * (side + 0.55), 2.4])
    parts = above.subfigures(*((1, 2) if in_one_row else (2, 1)))
    for part, (title, dataset, frequencies, names) in zip(parts, groups, strict=True):
        part.suptitle(title, fontsize=9)
        if names:
            draw_circles(part, dataset["embedding_circle"], frequencies, names)
        else:
            part.text(0.5, 0.4, "no key frequency", ha="center", fontsize=8, color="0.4")
    site, ax = last_layer_output(probe), below.subplots()
    scores, never = (select(circle_scores(table), site=site) for table in (probe, random_networks))
    steps = [scores[scores["step"] == step] for step in (scores["step"].max(), scores["step"].min())]
    draw_scores(ax, dict(zip(NETWORKS, (*steps, never), strict=True)), keys, p)
    ax.set_title(f"Circles of the answer, decoded from {short_site(site)} on held-out pairs")
    handles, labels = ax.get_legend_handles_labels()
    below.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=3)
    return figure


def accuracy_for(surgery: pd.DataFrame, modulus: int) -> float:
    """The accuracy of surgery on the last snapshot, for one modulus."""
    rows = select(surgery, network="surgery", measure="accuracy", modulus=modulus)
    return rows.set_index("step")["value"].sort_index().iloc[-1]


def subtitle(circuit: xr.Dataset, random_networks: pd.DataFrame) -> str:
    """The modulus and the networks."""
    p, seed, n = circuit.sizes["token"], int(circuit["seed"]), random_networks["seed"].nunique()
    return f"p = {p}, one trained network (seed {seed}), {n} random networks"


if __name__ == "__main__":
    with Job(snakemake) as job:
        source = snakemake.input
        circuit, random_networks = open_dataset(source.circuit).isel(seed=0), read_table(source.random_init)
        tables = *(of_first_seed(read_table(path)) for path in (source.surgery, source.probe)), random_networks
        figure = plot_circles(circuit, open_dataset(source.circles), *tables)
        figure.suptitle(f"{snakemake.wildcards.experiment}: {subtitle(circuit, random_networks)}", fontsize=9)
        save_figure(figure, job)
