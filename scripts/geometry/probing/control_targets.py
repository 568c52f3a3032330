"""Targets beside the belief state: its components that predictions do not determine, and control targets."""

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.kgram import kgram_ids, kgram_predictions
from geometry.processes.belief_states import belief_states
from geometry.processes.composition import MIXTURE, part_beliefs, source_posterior
from geometry.processes.observability import hidden_directions
from geometry.processes.prefix_tree import PrefixTree
from geometry.processes.process import TOLERANCE, Process

DISTINCT = 1e-6
"""A difference of two beliefs that exceeds rounding."""

SOURCE_POSTERIOR, BELIEF_OF = "source_posterior", "belief_of_"
"""Names of targets: the posterior of the components of a mixture; what precedes the name of a part."""

MOST_COMPONENTS = 40
"""Components of a control target, at most; one with more is left out."""


def true_targets(process: Process, belief: Float[ndarray, "prefix state"]) -> dict[str, Float[ndarray, "prefix _"]]:
    """The belief state; its components that next-token and all predictions do not determine; the beliefs of its parts.

    Of a mixture, the posterior of its components too. Those that do not vary are left out.
    """
    named = zip(("belief_beyond_next_token", "unobservable_belief_state"), hidden_directions(process), strict=True)
    hidden = {name: belief @ parts.T for name, parts in named if len(parts)}
    targets = hidden | targets_of_parts(process, belief)
    return {"belief_state": belief} | {
        name: part for name, part in targets.items() if np.ptp(part, axis=0).max() > DISTINCT
    }


def targets_of_parts(process: Process, belief: Float[ndarray, "prefix state"]) -> dict[str, Float[ndarray, "prefix _"]]:
    """The posterior of the components of a mixture, and the belief over the states of each part."""
    composition, targets = process.composition, {}
    if composition is None:
        return targets
    if composition.kind == MIXTURE:
        targets[SOURCE_POSTERIOR] = source_posterior(composition, belief)
    beliefs = zip(composition.parts, part_beliefs(composition, belief), strict=True)
    return targets | {f"{BELIEF_OF}{part.name}": own for part, own in beliefs}


def control_targets(
    process: Process, tree: PrefixTree, belief: Float[ndarray, "prefix state"], weight, other: Process | None, rng
) -> dict[str, Float[ndarray, "prefix _"]]:
    """Control targets (Hewitt and Liang 2019): alike the belief state, but of no use for the task.

    The belief of another prefix; of another prefix with the same optimal prediction; under other parameters of
    the process; the mean belief given the last k tokens; and the one-hot state of the order-k Markov approximation.
    """
    numbers = kgram_ids(tree, 3)
    suffix = list(kgram_predictions(belief, weight, numbers, None))
    control = {"shuffled_belief_state": belief[rng.permutation(len(belief))]}
    shuffled = _shuffled_within(group_ids(process.next_token_probability(belief)), rng)
    if np.abs(belief[shuffled] - belief).max() > DISTINCT:
        control["class_shuffled_belief_state"] = belief[shuffled]
    if other is not None:
        control["control_parameters_belief_state"] = belief_states(other, tree)[0]
    control |= {f"suffix_{k}_belief_state": suffix[k] for k in (1, 2, 3)}
    for k in (1, 2):
        if (n := int(numbers[k].max()) + 1) <= MOST_COMPONENTS:
            control[f"markov_{k}_state"] = np.eye(n)[numbers[k]]
    return control


def group_ids(rows: Float[ndarray, "row column"], tolerance: float = TOLERANCE) -> Integer[ndarray, " row"]:
    """Equal numbers for rows that are equal up to a tolerance, by default rounding."""
    cells = np.floor(rows / tolerance + 1 / np.e)  # no simple fraction lies at a cell's edge
    mixed = cells.astype(np.int64) @ (np.random.default_rng(0).integers(1, 2**62, cells.shape[1]) | 1)
    number, n_different = np.zeros(len(cells), np.int64), len(np.unique(mixed))
    for column in cells.T:  # numbered in the order of the rows; mostly, few columns separate them
        if len(cells) and number.max() + 1 == n_different:
            break
        value = np.unique(column, return_inverse=True)[1]
        number = np.unique(number * (value.max(initial=0) + 1) + value, return_inverse=True)[1]
    return number


def _shuffled_within(number: Integer[ndarray, " row"], rng: np.random.Generator) -> Integer[ndarray, " row"]:
    """A permutation of the rows that keeps each row's number."""
    order = np.lexsort((rng.random(len(number)), number))
    rows = np.empty_like(order)
    rows[np.argsort(number, kind="stable")] = order
    return rows
