"""Draw R2 of the decoded belief beside its baselines and control targets."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH, save_figure, scale_to_unexplained
from geometry.networks.hook_points import CONCATENATED, short_site
from geometry.probing.probe_table import BASELINES, estimated, last_layer_output, of_random_networks
from geometry.provenance.job import Job
from geometry.tables import read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

WAYS = {
    "in sample, least squares": ("in_sample", "least_squares", "x"),
    "held-out prefixes, ridge": ("held_out_prefix", "ridge", "o"),
    "held-out subtrees, ridge": ("held_out_subtree", "ridge", "^"),
}


def lines_of(
    probe: pd.DataFrame, baselines: pd.DataFrame, random_networks: pd.DataFrame, target: str
) -> dict[str, tuple[str, pd.DataFrame]]:
    """Colour and scores of each kind of features; a recording may have no random networks, and no predictions."""
    sites = [last_layer_output(probe)] + [CONCATENATED] * (CONCATENATED in probe["site"].values)
    last, never = select(probe, step=probe["step"].max(), target=target), select(random_networks, target=target)
    lines = {f"{short_site(site)}, trained": (TRAINED, select(last, site=site)) for site in sites}
    lines |= {f"{short_site(site)}, random networks": (AT_INITIALISATION, select(never, site=site)) for site in sites}
    known = pd.concat([last, select(baselines, target=target)])
    lines |= {name: (CONTROL, select(known, site=s, features=f)) for name, (s, f) in BASELINES.items()}
    return {name: (color, scores) for name, (color, scores) in lines.items() if len(scores)}


def draw_lines(ax: Axes, lines: dict[str, tuple[str, pd.DataFrame]]) -> None:
    """Draw a row for each kind of features, a mark for each split and network; values beyond the axis at its ends."""
    shown = [select(scores, metric="r2", weighting="probability") for _, scores in lines.values()]
    unexplained = 1 - pd.concat(shown)["value"]
    low, high = scale_to_unexplained(ax.xaxis, unexplained[unexplained > 1e-4], ticks=(10, 2, 1, 0.5, 0.1, 0.01, 1e-3))
    for place, (scores, (color, _)) in enumerate(zip(shown, lines.values(), strict=True)):
        for split, estimator, marker in WAYS.values():
            left = 1 - select(estimated(scores, estimator), split=split)["value"]
            style = {"color": color, "markersize": 4, "markerfacecolor": "none", "markeredgewidth": 0.8}
            if len(left):  # an empty line that is not clipped upsets the layout
                ax.plot(left.clip(low, high), [place] * len(left), marker, clip_on=False, **style)
    ax.set_yticks(range(len(lines)), list(lines))
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.grid(axis="y", color="0.93", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel("R²")


def plot_controls(probe: pd.DataFrame, baselines: pd.DataFrame, random_networks: pd.DataFrame) -> Figure:
    """The figure: left, the belief decoded from all features; right, all targets decoded from the last layer output."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 0.6 * WIDTH))
    draw_lines(axes[0], lines_of(probe, baselines, random_networks, "belief_state"))
    axes[0].set_title("Belief state decoded from ...")
    site = last_layer_output(probe)
    last = select(probe, step=probe["step"].max(), site=site, features="activations")
    names = {target: target.replace("_", " ").replace("belief state", "belief") for target in last["target"].unique()}
    draw_lines(axes[1], {name: (TRAINED, select(last, target=target)) for target, name in names.items()})
    axes[1].set_title(f"Targets at {short_site(site)}")
    handles = [
        plt.Line2D([], [], marker=marker, linestyle="", color="black", markerfacecolor="none", markersize=4, label=name)
        for name, (_, _, marker) in WAYS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        probe = pd.concat([read_table(path) for path in snakemake.input.probe])
        random_networks = of_random_networks(snakemake.input.random_init, like=probe)
        figure = plot_controls(probe, read_table(snakemake.input.baselines), random_networks)
        n = probe["seed"].nunique()
        figure.suptitle(
            f"{snakemake.wildcards.experiment}: {n} trained, {random_networks['seed'].nunique()} random networks",
            fontsize=9,
        )
        save_figure(figure, job)
