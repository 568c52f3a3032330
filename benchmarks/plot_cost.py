"""Cost against work: sequences per second by batch, and what a step costs as context and vocabulary grow."""

import sys

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from geometry.figures.style import AT_INITIALISATION, CONTROL, TRAINED, WIDTH


def plot_cost(training: pd.DataFrame, scale: pd.DataFrame) -> Figure:
    figure, (by_batch, by_context, by_vocabulary) = plt.subplots(1, 3, figsize=(WIDTH, 0.38 * WIDTH))
    draw_rates(by_batch, training)
    draw_steps(by_context, scale[scale["what"] == "context"], "context (tokens)")
    draw_steps(by_vocabulary, scale[scale["what"] == "vocabulary"], "vocabulary (tokens)")
    by_vocabulary.set_ylabel("")
    return figure


def draw_rates(ax: Axes, training: pd.DataFrame) -> None:
    batch, ours = training["batch_sequences"], training["sequences_per_second"]
    peer = batch / training["transformer_lens_step_ms"] * 1e3
    ax.plot(batch, ours / training["share_of_products_rate"], "--", color=CONTROL, label="matrix products alone")
    ax.plot(batch, ours, "o-", color=TRAINED, label="this study")
    ax.plot(batch, peer, "s-", color=AT_INITIALISATION, label="TransformerLens")
    for x, y, factor in zip(batch, ours, training["speedup"], strict=True):
        ax.annotate(f"{factor:.1f} x", (x, y), (2, -11), textcoords="offset points", fontsize=7)
    ax.set(xscale="log", yscale="log", xlabel="sequences in a batch", ylabel="sequences per second")
    ax.set(xlim=(45, 12_000), ylim=(1500, 300_000), xticks=batch)
    ax.set_title("Training mess3, one core")
    label_plainly(ax)


def draw_steps(ax: Axes, rows: pd.DataFrame, label: str) -> None:
    ax.plot(rows["value"], rows["dense_ms"], "s-", color=AT_INITIALISATION, label="dense sequences")
    ax.plot(rows["value"], rows["tree_ms"], "o-", color=TRAINED, label="their tree of prefixes")
    ax.set(xscale="log", yscale="log", xlabel=label, ylabel="one step of 512 sequences (ms)")
    ax.set(ylim=(2, 20_000), xticks=rows["value"])
    ax.set_title(f"By {label.split(maxsplit=1)[0]}")
    label_plainly(ax)


def label_plainly(ax: Axes) -> None:
    """Numbers in place of powers, no ticks between those that have one, the legend above the curves."""
    ax.minorticks_off()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    ax.legend(loc="upper left")


if __name__ == "__main__":
    training, scale, path = sys.argv[1:]
    of_published = pd.read_csv(training).query("model == 'published'")
    plot_cost(of_published, pd.read_csv(scale)).savefig(path, dpi=250, metadata={"Software": None})
