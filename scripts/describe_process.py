"""The card of a process: its tensor, entropies, dimensions, forbidden sequences, symmetries and parts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from geometry.claims.markup import Heading, Paragraph, Part, Table, as_html, as_markdown
from geometry.files import write_text
from geometry.processes.causal_states import CausalStates, causal_states, forbidden_sequences
from geometry.processes.entropy import entropy_rate_bounds_nats
from geometry.processes.minimal_realization import minimal_process, reachable_directions
from geometry.processes.observability import hidden_directions
from geometry.processes.process import TOLERANCE, Process
from geometry.provenance.job import Job
from geometry.tables import read_table
from geometry.tasks.task import process_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MOST_ROWS = 100
"""Rows of the table of transitions, and forbidden sequences, that are shown."""

CONVENTION = (
    "T[token, from_state, to_state] is the probability of emitting the token and going to the state, given the state "
    "before. A belief is a row vector: after a token x it is b T[x], divided by b T[x] r with the readout r."
)


def transitions(process: Process) -> list[Part]:
    """Every entry of the transition tensor that is not 0."""
    names, tensor = process.state_names, process.transition_tensor
    entries = [(i, x, j) for x, i, j in np.argwhere(tensor)]
    shown = sorted(entries)[:MOST_ROWS]
    rows = [(names[i], process.token_names[x], names[j], f"{tensor[x, i, j]:.6g}") for i, x, j in shown]
    left = len(entries) - len(rows)
    more = [Paragraph(f"and {left} further entries that are not 0.")] if left else []
    return [Heading("Transition tensor"), Paragraph(CONVENTION), Table(["from", "token", "to", "T"], rows), *more]


def states_table(process: Process) -> Table:
    """The start, the long run and the readout of each state."""
    columns = process.state_names, process.initial_state, process.stationary_distribution, process.readout
    rows = [(name, *(f"{value:.6g}" for value in values)) for name, *values in zip(*columns, strict=True)]
    return Table(["state", "initial", "stationary", "readout"], rows)


def _nats(value: float) -> str:
    return f"{value:.9g} nats ({value / np.log(2):.6g} bits)"


def measures(process: Process, states: CausalStates | None) -> list[tuple[str, str]]:
    """The name and value of each number of the process."""
    lower, upper = entropy_rate_bounds_nats(process)
    beyond, unobservable = (len(directions) for directions in hidden_directions(process))
    if states is not None:
        rate = _nats(states.entropy_rate_nats)
    elif np.isnan(lower):
        rate = f"at most {_nats(upper)}"
    else:
        rate = f"{_nats((lower + upper) / 2)}, with bounds {upper - lower:.2g} apart"
    none = "none is computed: the causal states are too many, or infinitely many"
    counts = none
    if states is not None:
        counts = f"{(states.law > TOLERANCE).sum()} in the long run, {len(states.law)} with the first"
    return [
        ("hidden states", str(process.n_states)),
        ("tokens", str(process.n_tokens)),
        ("kind", "generalized: entries may be negative" if process.generalized else "hidden Markov model"),
        ("entropy rate", rate),
        ("causal states", counts),
        ("statistical complexity", none if states is None else _nats(states.statistical_complexity_nats)),
        ("excess entropy", none if states is None else _nats(states.excess_entropy_nats)),
        ("dimensions that beliefs span", str(len(reachable_directions(process)))),
        ("dimensions of the minimal realization", str(minimal_process(process).n_states)),
        ("of states: seen in the next token", str(process.n_states - beyond - unobservable)),
        ("of states: seen in later tokens only", str(beyond)),
        ("of states: in no prediction", str(unobservable)),
    ]


def sequences(process: Process) -> str:
    """The sentence on sequences that cannot occur."""
    found = forbidden_sequences(process)
    if not found:
        return "Every sequence of a few tokens is possible."
    shown = [" ".join(process.token_names[token] for token in word) for word in found[:MOST_ROWS]]
    more = f"; and {len(found) - MOST_ROWS} more" if len(found) > MOST_ROWS else ""
    return f"Sequences that never occur, though their parts do: {'; '.join(shown)}{more}."


def symmetries(table: pd.DataFrame, names: Sequence[str]) -> str:
    """The sentence on the permutations of the tokens, by number, that are symmetries."""
    found = table[(table["measure"] == "is_symmetry") & (table["value"] > 0)]["permutation"]
    numbered = ", ".join(f"{k} is {name}" for k, name in enumerate(names) if str(k) != name)
    tried = f"Of {len(table)} permutations of the tokens that were tried, these, as cycles, change no probability"
    return f"{tried}: {'; '.join(found)}." + (f" (Token {numbered}.)" if numbered else "")


def parts_of(process: Process) -> Iterable[Part]:
    """The table of the parts of a composed process."""
    if composition := process.composition:
        product = "independent factors" if composition.independent else "factors that are not independent"
        yield Heading("Parts")
        yield Paragraph(f"A {composition.kind}{f' of {product}' if composition.kind == 'product' else ''}.")
        prior = [process.initial_state @ part.marginal @ part.readout for part in composition.parts]
        rows = [
            (part.name, str(len(part.readout)), f"{p:.6g}") for part, p in zip(composition.parts, prior, strict=True)
        ]
        yield Table(["part", "states", "prior probability"], rows)


def card(process: Process, task: Mapping, symmetry: pd.DataFrame) -> list[Part]:
    """The card of a task's process."""
    return [
        Heading(f"{process.name}", 1),
        Paragraph(f"task.parameters: {dict(task['parameters'])}"),
        *(Paragraph(note) for note in process.notes),
        Table(["measure", "value"], measures(process, causal_states(process))),
        *parts_of(process),
        Heading("Sequences and symmetries"),
        Paragraph(sequences(process)),
        Paragraph(symmetries(symmetry, process.token_names)),
        Heading("States"),
        states_table(process),
        *transitions(process),
    ]


if __name__ == "__main__":
    with Job(snakemake) as job:
        task = json.loads(snakemake.params.task)
        process = process_of(task)
        parts = card(process, task, read_table(snakemake.input.symmetry))
        write_text(as_markdown(parts), snakemake.output.text)
        write_text(as_html(snakemake.wildcards.task, parts), snakemake.output.page)
        job.info(f"described {process.name} in {snakemake.output.text}")
