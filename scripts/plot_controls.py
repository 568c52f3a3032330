"""The belief as decoded from the network, beside all else that it can be decoded from, and beside wrong targets."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import CONTROL, STYLE_SHEET, TRAINED, UNTRAINED, WIDTH, save_figure, scale_to_unexplained
from geometry.networks.hook_points import CONCATENATED, short_site
from geometry.probing.probe_table import BASELINES, estimated, last_layer_output
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
    probe: pd.DataFrame, baselines: pd.DataFrame, untrained: pd.DataFrame, target: str
) -> dict[str, tuple[str, pd.DataFrame]]:
    """Colour and scores of each kind of features."""
    sites = [last_layer_output(probe)] + [CONCATENATED] * (CONCATENATED in probe["site"].values)
    first, last = (select(probe, step=step, target=target) for step in (probe["step"].min(), probe["step"].max()))
    lines = {f"{short_site(site)}, trained": (TRAINED, select(last, site=site)) for site in sites}
    never = select(untrained, target=target)
    for site in sites:
        rows = pd.concat([select(first, site=site), select(never, site=site)])
        lines[f"{short_site(site)}, untrained"] = UNTRAINED, rows
    known = pd.concat([last, select(baselines, target=target)])
    return lines | {name: (CONTROL, select(known, site=s, features=f)) for name, (s, f) in BASELINES.items()}


def draw_lines(ax: Axes, lines: dict[str, tuple[str, pd.DataFrame]]) -> None:
    """A row for each kind of features, a mark for each way of scoring and network; what is beyond an end is there."""
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


def plot_controls(probe: pd.DataFrame, baselines: pd.DataFrame, untrained: pd.DataFrame) -> Figure:
    """Left: the belief from whatever may tell it. Right: whatever may be mistaken for it, from the last stream."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 0.6 * WIDTH))
    draw_lines(axes[0], lines_of(probe, baselines, untrained, "belief_state"))
    axes[0].set_title("The belief state, decoded from ...")
    site = last_layer_output(probe)
    last = select(probe, step=probe["step"].max(), site=site, features="activations")
    names = {target: target.replace("_", " ").replace("belief state", "belief") for target in last["target"].unique()}
    draw_lines(axes[1], {name: (TRAINED, select(last, target=target)) for target, name in names.items()})
    axes[1].set_title(f"Decoded from {short_site(site)}: the ...")
    handles = [
        plt.Line2D([], [], marker=marker, linestyle="", color="black", markerfacecolor="none", markersize=4, label=name)
        for name, (_, _, marker) in WAYS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        plt.style.use(STYLE_SHEET)
        probe = pd.concat([read_table(path) for path in snakemake.input.probe])
        untrained = read_table(snakemake.input.random_init)
        figure = plot_controls(probe, read_table(snakemake.input.baselines), untrained)
        n = probe["seed"].nunique()
        figure.suptitle(
            f"{snakemake.wildcards.experiment}: {n} trained, {untrained['seed'].nunique()} never trained", fontsize=9
        )
        save_figure(figure, snakemake.output.figure, snakemake.params.dpi)
        job.info(f"drew {snakemake.output.figure}")
