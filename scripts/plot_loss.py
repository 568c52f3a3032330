"""Draw the loss beside the exact optimum, by training step and by position."""

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import AT_INITIALISATION, TRAINED, WIDTH, save_figure
from geometry.provenance.job import Job
from geometry.tables import by_seed, read_table, select

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def plot_loss(training: list[pd.DataFrame], loss: pd.DataFrame) -> Figure:
    """The figure: the gap to the optimum by step, the loss by position, and its gap by position."""
    figure, (by_step, by_position, gap) = plt.subplots(1, 3, figsize=(WIDTH, 0.38 * WIDTH))
    for table in training:
        rows = table[table["step"] > 0]
        by_step.plot(rows["step"], rows["gap_nats"], color=TRAINED, alpha=0.55, linewidth=0.7)
    means = loss.groupby(["seed", "step"])["gap_nats"].mean().reset_index()
    means = means[means["step"] > 0]
    by_step.plot(means["step"], means["gap_nats"], "o", color="black", markersize=2.5, label="snapshots, exact")
    by_step.plot([], [], color=TRAINED, label="training batches")
    by_step.set(xscale="log", yscale=scale_of(by_step), xlabel="training step", ylabel="loss over the optimum (nats)")
    by_step.set_title("Gap by step")
    by_step.legend()
    first, last = loss["step"].min(), loss["step"].max()
    for step, color, name in ((first, AT_INITIALISATION, "at initialisation"), (last, TRAINED, "trained")):
        for seed, rows in select(loss, step=step).groupby("seed"):
            label = name if seed == loss["seed"].min() else None
            gap.plot(rows["position"], rows["gap_nats"], "o-", color=color, linewidth=0.8, label=label)
            if name == "trained":
                by_position.plot(rows["position"], rows["loss_nats"], "o", color=color, label=label)
    optimum = select(loss, step=last, seed=loss["seed"].min())
    by_position.plot(optimum["position"], optimum["optimal_loss_nats"], color="black", linewidth=0.8, label="optimum")
    by_position.set(xlabel="observed tokens", ylabel="loss (nats)")
    by_position.set_title("Loss by position")
    by_position.legend()
    gap.set(yscale=scale_of(gap), xlabel="observed tokens", ylabel="loss over the optimum (nats)")
    gap.set_title("Gap by position")
    gap.legend()
    return figure


def scale_of(ax: Axes) -> str:
    """The scale of an axis of gaps: logarithmic, unless all are 0, as for deterministic processes."""
    return "log" if ax.dataLim.ymax > 0 else "linear"


if __name__ == "__main__":
    with Job(snakemake) as job:
        training = by_seed(snakemake.input.training)
        loss = pd.concat([read_table(path) for path in snakemake.input.loss])
        figure = plot_loss(training, loss)
        figure.suptitle(f"{snakemake.wildcards.experiment}, {len(training)} seeds", fontsize=9)
        save_figure(figure, job)
