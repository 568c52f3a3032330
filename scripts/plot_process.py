"""Draw a process: its hidden states with the transitions between them, and the matrix of each token."""

import json
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from geometry.figures.style import WIDTH, note, save_figure
from geometry.processes.process import Process
from geometry.provenance.job import Job
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_STATES, MOST_LABELS, MOST_TOKENS = 12, 16, 12
"""States of a diagram, arrows that have labels, and tokens whose matrices are drawn."""

COLUMNS = 4


def as_text(name: str) -> str:
    """A name as it is, where Matplotlib would read a formula."""
    return name.replace("$", r"\$")


def draw_states(ax: Axes, process: Process) -> None:
    """The states on a circle; an arrow for each transition, darker and wider the more probable it is."""
    ax.axis("off")
    if process.generalized:
        return note(ax, "A generalized process:\nentries are no probabilities")
    if process.n_states > MOST_STATES:
        return note(ax, f"{process.n_states} states:\ntoo many for a diagram")
    chain = process.transition_tensor.sum(axis=0)
    angle = np.pi / 2 - 2 * np.pi * np.arange(process.n_states) / process.n_states
    place = np.column_stack([np.cos(angle), np.sin(angle)]) * (process.n_states > 1)
    edges = np.argwhere(chain > 0)
    for i, j in edges:
        outward = place[i] if process.n_states > 1 else np.array([0.0, 1.0])
        aside = 0.16 * np.array([-outward[1], outward[0]])
        ends = (place[i] + aside, place[i] - aside) if i == j else (place[i], place[j])
        bend = "arc3,rad=-1.9" if i == j else "arc3,rad=0.16"
        style = {"color": str(0.85 - 0.85 * chain[i, j]), "linewidth": 0.4 + 1.2 * chain[i, j]}
        shrink = {"shrinkA": 0, "shrinkB": 0} if i == j else {"shrinkA": 10, "shrinkB": 10}
        ax.add_patch(
            FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=7, connectionstyle=bend, **style, **shrink)
        )
        if len(edges) <= MOST_LABELS:
            third, across = (2 * place[i] + place[j]) / 3, (place[j] - place[i])[::-1] * [1, -1]
            at = 1.42 * outward if i == j else third + 0.09 * across  # on the bend, nearer to where it begins
            text = {"fontsize": 5.5, "ha": "center", "va": "center", "zorder": 2}
            ax.text(*at, label_of(process, i, j), bbox={"facecolor": "white", "linewidth": 0, "pad": 0.3}, **text)
    for name, at in zip(process.state_names, place, strict=True):
        box = {"boxstyle": "circle,pad=0.3", "facecolor": "white", "edgecolor": "0.3"}
        ax.text(*at, as_text(name), fontsize=7, ha="center", va="center", bbox=box, zorder=3)
    ax.set(xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal")


def label_of(process: Process, i: int, j: int) -> str:
    """The tokens of a transition with their probabilities."""
    found = process.transition_tensor[:, i, j]
    return "\n".join(f"{as_text(process.token_names[x])}: {found[x]:.2g}" for x in np.flatnonzero(found))


def plot_process(process: Process) -> Figure:
    """The figure: the diagram, and T[token] of the first tokens, a row for each state that is left."""
    shown = process.transition_tensor[:MOST_TOKENS]
    n_rows = -(-len(shown) // COLUMNS)
    figure = plt.figure(figsize=(WIDTH, max(0.42, 0.17 * n_rows) * WIDTH))
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.5])
    draw_states(left.subplots(), process)
    axes = right.subplots(n_rows, min(COLUMNS, len(shown)), squeeze=False).ravel()
    largest = np.abs(process.transition_tensor).max()
    for ax, name, matrix in zip(axes, process.token_names, shown, strict=False):
        image = ax.imshow(matrix, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
        ax.set_title(f"token {as_text(name)}", fontsize=7)
        few = process.n_states <= MOST_STATES / 2
        names = [as_text(state) for state in process.state_names] if few else []
        ax.set_xticks(range(len(names)), names, fontsize=5.5, rotation=90 if max(map(len, names), default=0) > 2 else 0)
        ax.set_yticks(range(len(names)), names, fontsize=5.5)
    for ax in axes[len(shown) :]:
        ax.axis("off")
    right.colorbar(image, ax=list(axes), shrink=0.6).ax.tick_params(labelsize=6)
    if process.n_tokens > len(shown):
        right.suptitle(f"the first {len(shown)} of {process.n_tokens} tokens", fontsize=7)
    return figure


if __name__ == "__main__":
    with Job(snakemake) as job:
        save_figure(plot_process(process_of(json.loads(snakemake.params.task))), job)
