"""How many dimensions a set of beliefs has: from the maps that make it, and from a sample of its points.

From the maps. Each token contracts beliefs; how fast, on average, tell the Lyapunov exponents of the random
product of the process's matrices, in nats per token. With the entropy rate, which tells how fast new beliefs
are made, they give the Kaplan-Yorke dimension of the set (Jurgens and Crutchfield 2021, Chaos 31, 083114). It
is an upper bound where the images of the maps overlap.

From the points. The correlation integral is the share of pairs of points that are nearer than a scale
(Grassberger and Procaccia 1983, Physica D 9), and box counts are how many boxes of that side they fall in.
Both are of one sample: below the scale at which points become rare they tell the sample, not the set.

A process may be slightly invalid, as one that was fitted is: tokens are drawn by its probabilities with
those below 0 taken for 0, and the others scaled to sum to 1.
"""

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.special import entr

from geometry.processes.belief_states import IMPOSSIBLE, images_after
from geometry.processes.process import Process
from geometry.processes.sampling import draw_by_weight

SINGULAR = 1e-13
"""A growth this much below the largest of the same matrix is 0, but for rounding."""

LEAST_RATIO = 1e-10
"""A singular value this much below the largest has lost all but six of its digits."""

MOST_BELIEFS = 2000
"""Belief states beyond which their number counts as infinite."""

SAME_DECIMALS = 9
"""Belief states that agree to this many decimals are the same."""

MOST_SEQUENCES = 20_000
"""Words whose matrices are multiplied out at most; of two tokens, so many are drawn evenly where there are more."""

LONGEST_SEQUENCE = 100
"""Tokens of a word at most: of a process that hardly chooses, words stay few however long they are."""

ROWS_AT_ONCE = 128
"""Points whose distances to all later ones are held at a time."""


# --- The maps -----------------------------------------------------------------------------------------------------


def _clipped(process: Process, belief: Float[ndarray, "row state"]) -> Float[ndarray, "row token"]:
    """The next-token distribution from each belief, with what is below 0 taken for 0."""
    probability = process.next_token_probability(belief)
    return probability / probability.sum(axis=1, keepdims=True)


def _after(
    process: Process, belief: Float[ndarray, "row state"], token: Integer[ndarray, " row"]
) -> Float[ndarray, "row state"]:
    """Each belief after a token."""
    image = images_after(process, belief, token)
    return image / (image @ process.readout)[:, None]


def lyapunov_exponents(
    process: Process, rng: np.random.Generator, n_runs: int = 500, n_tokens: int = 400, n_transient: int = 50
) -> Float[ndarray, " state"]:
    """The Lyapunov exponents of the matrices of random tokens, in nats per token, largest first.

    The first is minus the entropy rate. Tokens are drawn from the process, `n_runs` words at once; a frame that
    the matrices move is made orthonormal after each token, and the logarithms of the lengths that its vectors
    then lose are averaged after the transient (Benettin et al. 1980, Meccanica 15). Where the product of some
    run becomes singular, the exponent is minus infinity.
    """
    belief = np.broadcast_to(process.stationary_distribution, (n_runs, process.n_states))
    frame = rng.normal(size=(n_runs, process.n_states, process.n_states))
    frame[:, :, 0] = process.stationary_distribution  # the word's probability, which is never 0
    frame = np.linalg.qr(frame)[0]
    total, singular = np.zeros((n_runs, process.n_states)), np.zeros((n_runs, process.n_states), dtype=bool)
    for place in range(n_transient + n_tokens):
        token = draw_by_weight(_clipped(process, belief), rng)
        belief = _after(process, belief, token)
        frame, triangle = np.linalg.qr(process.transition_tensor[token].swapaxes(1, 2) @ frame)
        growth = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
        singular |= growth <= SINGULAR * growth.max(axis=1, keepdims=True)
        if place >= n_transient:
            total += np.log(np.maximum(growth, np.finfo(float).tiny))
    exponents = np.where(singular.any(axis=0), -np.inf, total.mean(axis=0) / n_tokens)
    return np.sort(exponents)[::-1]


def exponents_of_sequences(process: Process) -> Float[ndarray, " state"]:
    """The same exponents without a sample: expectations over all words of n tokens, and of one token more.

    The mean logarithm of each singular value of a word's matrix, weighted by the word's probability, grows by
    the exponent with each token. Words are made longer while they are few enough, and no singular value is so
    small beside the largest that it would be rounding; of many tokens, the words of two are a systematic sample by
    their probability. Convergence is exponential in n, but slow where two
    exponents are near each other; their sum is right for any n.
    """
    belief, weight = process.stationary_distribution[None], np.ones(1)
    matrix, growth, least = np.eye(process.n_states)[None], [np.zeros(process.n_states)], 1.0
    for length in range(1, LONGEST_SEQUENCE + 1):
        if length > 2 and (len(weight) * process.n_tokens > MOST_SEQUENCES or least <= LEAST_RATIO):
            break
        shares = (weight[:, None] * _clipped(process, belief)).ravel()
        kept, weight = _kept_sequences(np.where(shares > IMPOSSIBLE, shares, 0))
        parent, token = np.divmod(kept, process.n_tokens)
        belief = _after(process, belief[parent], token)
        matrix = matrix[parent] @ process.transition_tensor[token]
        size = np.linalg.svd(matrix, compute_uv=False)
        regular = size > SINGULAR * size[:, :1]
        mean = weight @ np.log(np.where(regular, size, 1)) / weight.sum()
        growth.append(np.where(regular.all(axis=0), mean, -np.inf))
        least = (size / size[:, :1])[regular].min()
    singular = np.isinf(growth[-1])
    return np.where(singular, -np.inf, growth[-1] - np.where(singular, 0, growth[-2]))


def _kept_sequences(shares: Float[ndarray, " word"]) -> tuple[Integer[ndarray, " kept"], Float[ndarray, " kept"]]:
    """The possible words and their weights or, of more than `MOST_SEQUENCES`, so many at even steps of probability."""
    kept = np.flatnonzero(shares)
    if len(kept) <= MOST_SEQUENCES:
        return kept, shares[kept]
    edges = np.cumsum(shares[kept])
    steps = (np.arange(MOST_SEQUENCES) + 0.5) * edges[-1] / MOST_SEQUENCES
    return kept[np.searchsorted(edges, steps)], np.full(MOST_SEQUENCES, edges[-1] / MOST_SEQUENCES)


def has_finite_beliefs(process: Process) -> bool:
    """Whether the belief states after all words are few, and so have no dimension."""
    known = new = process.initial_state[None].round(SAME_DECIMALS)
    n_sources = max(1, MOST_SEQUENCES // process.n_tokens)  # whose continuations are looked at together
    while len(new) and len(known) <= MOST_BELIEFS:
        sources, new = new[:n_sources], new[n_sources:]
        parent, token = np.nonzero(process.next_token_probability(sources) > IMPOSSIBLE)
        reached = np.unique(_after(process, sources[parent], token).round(SAME_DECIMALS) + 0.0, axis=0)
        merged, first = np.unique(np.vstack([known, reached]), axis=0, return_index=True)
        new = np.vstack([new, reached[first[first >= len(known)] - len(known)]])
        known = merged
    return len(known) <= MOST_BELIEFS


def kaplan_yorke_dimension(exponents: Float[ndarray, " state"]) -> float:
    """The dimension of the beliefs of a process with those Lyapunov exponents, which are infinitely many.

    Minus the first is the entropy rate h, the others less the first are the rates chi_i at which beliefs are
    contracted: D = k + (h + chi_1 + ... + chi_k) / |chi_(k+1)|, with the greatest k for which the bracket is not
    negative (Jurgens and Crutchfield 2021, equation 13), and at most one less than the number of states.
    """
    entropy_rate, contraction = -exponents[0], exponents[1:] - exponents[0]
    if entropy_rate <= SINGULAR:
        return 0.0
    left = entropy_rate + np.concatenate([[0.0], np.cumsum(contraction)])
    k = int((left >= 0).sum()) - 1
    return float(k + left[k] / -contraction[k]) if k < len(contraction) else float(k)


def belief_set_dimension(process: Process, exponents: Float[ndarray, " state"]) -> float:
    """The Kaplan-Yorke dimension of a process's beliefs; of finitely many, 0."""
    return 0.0 if has_finite_beliefs(process) else kaplan_yorke_dimension(exponents)


# --- The points ---------------------------------------------------------------------------------------------------


def rms_distance(points: Float[ndarray, "point component"], weight: Float[ndarray, " point"]) -> float:
    """The root mean square distance of two points, each drawn by its weight."""
    share = weight / weight.sum()
    return float(np.sqrt(2 * (share @ (points - share @ points) ** 2).sum()))


def correlation_integral(
    points: Float[ndarray, "point component"], weight: Float[ndarray, " point"], scales: Float[ndarray, " scale"]
) -> Float[ndarray, " scale"]:
    """The share of pairs of different points that are no farther apart than each scale, pairs by their weights.

    `scales` ascend; a point's weight is how often it was drawn.
    """
    within = np.zeros(len(scales) + 1)
    squared = np.square(scales)
    for start in range(0, len(points), ROWS_AT_ONCE):
        rows, later = points[start : start + ROWS_AT_ONCE], points[start:]
        distance = sum(np.subtract.outer(a, b) ** 2 for a, b in zip(rows.T, later.T, strict=True))
        pairs = np.triu(np.outer(weight[start : start + ROWS_AT_ONCE], weight[start:]), k=1)
        place = np.searchsorted(squared, distance.ravel())
        within += np.bincount(place, weights=pairs.ravel(), minlength=len(within))
    return np.cumsum(within)[:-1] / within.sum()


def local_slopes(
    scales: Float[ndarray, " scale"], values: Float[ndarray, " scale"]
) -> tuple[Float[ndarray, " gap"], Float[ndarray, " gap"]]:
    """The scales between each two, and the slope of the values there, both on logarithmic axes; nan beside a 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.diff(np.log(values)) / np.diff(np.log(scales))
    return np.sqrt(scales[1:] * scales[:-1]), np.where(np.isfinite(slopes), slopes, np.nan)


def slope_between(scales: Float[ndarray, " scale"], values: Float[ndarray, " scale"], low: float, high: float) -> float:
    """The slope of a straight line through some values between two scales, on logarithmic axes."""
    inside = (scales >= low) & (scales <= high) & (values > 0)
    if inside.sum() < 2:
        return float("nan")
    return float(np.polyfit(np.log(scales[inside]), np.log(values[inside]), 1)[0])


def _box(points: Float[ndarray, "point component"], scale: float) -> Integer[ndarray, " point"]:
    """The number of the box that each point is in, of a grid that begins at the points' least corner."""
    number = np.zeros(len(points), dtype=np.int64)
    for column in np.floor((points - points.min(axis=0)) / scale).astype(np.int64).T:
        number = np.unique(number * (column.max() + 1) + column, return_inverse=True)[1]
    return number


def box_counts(
    points: Float[ndarray, "point component"], weight: Float[ndarray, " point"], scales: Float[ndarray, " scale"]
) -> tuple[Integer[ndarray, " scale"], Float[ndarray, " scale"]]:
    """How many boxes of each side hold a point, and how many do so in effect: the exponential of their entropy.

    The first grows with the dimension of the set as boxes become smaller. The second, for which a box counts by
    the weight of its points, grows with the information dimension of the measure, as which Kaplan and Yorke's
    is meant.
    """
    shares = [np.bincount(_box(points, scale), weights=weight) / weight.sum() for scale in scales]
    return np.array([len(share) for share in shares]), np.exp([entr(share).sum() for share in shares])


def resolution(
    scales: Float[ndarray, " scale"],
    truth: Float[ndarray, " scale"],
    other: Float[ndarray, " scale"],
    factor: float,
) -> float:
    """The scale below which one set is no longer like another: the first, from the largest down, at which they differ.

    Two correlation integrals over ascending scales differ where one is more than `factor` times the other; between
    scales, the logarithm of their ratio is interpolated. Where they never differ, this is the least scale: the
    resolution is that or finer. A blur leaves no trace where a set fills its space evenly.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(np.log(other) - np.log(truth)) / np.log(factor)
    apart = np.where((truth == 0) & (other == 0), 0.0, apart)[::-1]
    scale, differs = np.log(scales[::-1]), np.flatnonzero(apart > 1)
    if len(differs) == 0:
        return float(scales[0])
    first = differs[0]
    if first == 0 or np.isinf(apart[first]):
        return float(np.exp(scale[first]))
    share = (1 - apart[first - 1]) / (apart[first] - apart[first - 1])
    return float(np.exp(scale[first - 1] + share * (scale[first] - scale[first - 1])))
