"""Draw the equivariance errors of permutations of the tokens, and the eigenvalues of their maps."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import AT_INITIALISATION, TRAINED, WIDTH, draw_unit_circle, note, save_figure
from geometry.networks.hook_points import short_site
from geometry.probing.probe_table import of_random_networks
from geometry.provenance.job import Job
from geometry.tables import by_seed, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_ROWS = 30
"""Permutations that are drawn; of more, those with the least error."""

LEAST = 1e-4
"""The lower limit of the axis of errors; smaller ones are drawn there."""

MARKERS, COLORS = "osD^vP*X", ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def kind(permutation: str) -> str:
    """The kind of a permutation, by the lengths of its cycles."""
    lengths = sorted(len(cycle.split()) for cycle in permutation.strip("()").split(")(") if cycle)
    return " and ".join(f"{n}-cycle" if n > 2 else "swap" for n in lengths)


def draw_errors(
    ax: Axes, networks: list[tuple[str, str, str, pd.DataFrame]], names: list[str], largest_error: float
) -> None:
    """Draw the error of each permutation, a mark per network, filled where it counts as a symmetry."""
    for label, color, marker, table in networks:
        errors, counts = (
            select(table, measure=measure).set_index(["permutation", "seed"])["value"]
            for measure in ("error", "is_symmetry")
        )
        for (name, seed), error in errors[errors.index.get_level_values(0).isin(names)].items():
            filled = color if counts[name, seed] else "none"
            mark = {"color": color, "markerfacecolor": filled, "markersize": 4, "clip_on": False}
            ax.plot(max(error, LEAST), names.index(name), marker, **mark)
        ax.plot([], [], marker, color=color, markerfacecolor="none", label=label)
    ax.axvline(largest_error, color="0.4", linewidth=0.8, linestyle="--")
    ax.set(xscale="log", xlim=(LEAST, 1.3), ylim=(max(len(names), 1) - 0.5, -0.5))
    ax.set_xlabel("unexplained share of the variance")
    if not names:
        note(ax, "one token: the identity is\nthe only permutation")


def row_labels(table: pd.DataFrame, names: list[str]) -> list[str]:
    """The label of each permutation, with the share of the prefixes whose image is a prefix, if not all."""
    coverage = select(table, measure="coverage").groupby("permutation")["value"].min()
    return [name if coverage[name] > 0.9995 else f"{name}, {coverage[name]:.0%}" for name in names]


def draw_eigenvalues(ax: Axes, table: pd.DataFrame, names: list[str]) -> None:
    """Draw the eigenvalues of the maps of one network in the complex plane, with the unit circle."""
    draw_unit_circle(ax)
    kinds = list(dict.fromkeys(map(kind, names)))
    for name in names:
        place, rows = kinds.index(kind(name)), select(table, permutation=name)
        color = COLORS[place % len(COLORS)]
        filled = color if select(rows, measure="is_symmetry")["value"].item() else "none"
        real, imaginary = (select(rows, measure=f"eigenvalue_{part}")["value"] for part in ("real", "imaginary"))
        mark = {"color": color, "markersize": 4 + 1.5 * place, "markerfacecolor": filled}
        ax.plot(real, imaginary, MARKERS[place % len(MARKERS)], **mark)
    for place, name in enumerate(kinds):
        mark = {"color": COLORS[place % len(COLORS)], "markerfacecolor": "none", "label": name}
        ax.plot([], [], MARKERS[place % len(MARKERS)], **mark)
    ax.set(aspect="equal", xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), xlabel="real part", ylabel="imaginary part")


def plot_symmetry(trained: list[pd.DataFrame], random_networks: pd.DataFrame, site: str, symmetry: dict) -> Figure:
    """The figure: errors of all networks, and the eigenvalues of the first one's maps."""
    last = [select(table, step=table["step"].max()) for table in trained]
    without_training = pd.concat([random_networks, *(select(table, step=table["step"].min()) for table in trained)])
    at_site = [select(table, site=site, n_dimensions=symmetry["dimensions"]) for table in (*last, without_training)]
    order = select(at_site[0], measure="error").set_index("permutation")["value"]
    order = order.drop("()")  # the identity is always a symmetry
    names = [name for name in order.index if name in set(order.sort_values(kind="stable").index[:MOST_ROWS])]
    height = 1.9 + 0.16 * len(names)
    figure, (errors, plane) = plt.subplots(1, 2, figsize=(WIDTH, max(3.3, height)), width_ratios=(1.15, 1))
    networks = [
        ("trained", TRAINED, "o", pd.concat(at_site[:-1])),
        ("random networks", AT_INITIALISATION, "s", at_site[-1]),
    ]
    draw_errors(errors, networks, names, symmetry["largest_error"])
    errors.set_yticks(range(len(names)), row_labels(last[0], names))
    errors.set_title(f"Equivariance at {short_site(site)}")
    draw_eigenvalues(plane, at_site[0], names)
    plane.set_title("Eigenvalues of the maps, trained")
    errors.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    if names:
        plane.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        trained = by_seed(snakemake.input.symmetry)
        random_networks = of_random_networks(snakemake.input.random_init)
        figure = plot_symmetry(trained, random_networks, snakemake.params.site, snakemake.params.symmetry)
        never = random_networks["seed"].nunique()
        n = f"{len(trained)} trained networks, the same at initialisation and {never} random ones"
        figure.suptitle(f"{snakemake.wildcards.experiment}: {n}", fontsize=9)
        save_figure(figure, job)
