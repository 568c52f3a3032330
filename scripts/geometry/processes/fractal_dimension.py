"""The fractal dimension of a set of beliefs, from the maps that generate it and from a sample of its points.

From the maps: each token contracts beliefs, at mean rates given by the Lyapunov exponents of the random
product of the process's matrices, in nats per token. With the entropy rate, the rate at which beliefs
multiply, they give the Kaplan-Yorke dimension of the set (Jurgens and Crutchfield 2021, Chaos 31, 083114). It
is an upper bound where the images of the maps overlap.

From the points: the correlation integral is the share of pairs of points within a distance
(Grassberger and Procaccia 1983, Physica D 9), and the box count is the number of occupied boxes of a side.
Both depend on the sample below the scale at which its points become rare.

A process may be slightly invalid, for instance a fitted one: negative probabilities of tokens are set to 0
and the others are normalised.
"""

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray
from scipy.special import entr

from geometry.processes.belief_states import IMPOSSIBLE, images_after
from geometry.processes.process import Process
from geometry.processes.sampling import draw_by_weight

SINGULAR = 1e-13
"""The ratio to the largest growth factor of a matrix below which one is 0 up to rounding."""

LEAST_RATIO = 1e-10
"""The ratio of singular values below which the smaller one has fewer than six accurate digits."""

MOST_BELIEFS = 2000
"""The number of belief states above which it counts as infinite."""

SAME_DECIMALS = 9
"""The number of decimals to which equal belief states agree."""

MOST_SEQUENCES = 20_000
"""The largest number of sequences whose matrices are multiplied; of longer lists, a systematic sample."""

LONGEST_SEQUENCE = 100
"""The largest length of these sequences: nearly deterministic processes have few of any length."""

ROWS_AT_ONCE = 128
"""Points whose distances to all later ones are in memory at a time."""


# --- The maps -----------------------------------------------------------------------------------------------------


def _clipped(process: Process, belief: Float[ndarray, "row state"]) -> Float[ndarray, "row token"]:
    """The next-token distribution from each belief, with negative entries set to 0, normalised."""
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

    The first is minus the entropy rate. Tokens are drawn from the process, `n_runs` sequences at once; a frame is
    mapped by the matrices and orthonormalised after each token, and the logarithms of the growth of its vectors
    are averaged after the transient (Benettin et al. 1980, Meccanica 15). Where the product of any
    run becomes singular, the exponent is minus infinity.
    """
    belief = np.broadcast_to(process.stationary_distribution, (n_runs, process.n_states))
    frame = rng.normal(size=(n_runs, process.n_states, process.n_states))
    frame[:, :, 0] = process.stationary_distribution  # grows by the sequence's probability, which is never 0
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
    """The Lyapunov exponents from expectations over all sequences of n and n + 1 tokens, without a random sample.

    The mean logarithm of each singular value of a sequence's matrix, weighted by the sequence's probability, grows by
    the exponent with each token. n is increased while sequences are few enough and no singular value is so
    small relative to the largest that it would be rounding; with many tokens, the sequences of two are a systematic
    sample by their probability. Convergence is exponential in n, but slow for nearly equal exponents; their sum is
    exact for any n.
    """
    belief, weight = process.stationary_distribution[None], np.ones(1)
    matrix, growth, least = np.eye(process.n_states)[None], [np.zeros(process.n_states)], 1.0
    for length in range(1, LONGEST_SEQUENCE + 1):
        if length > 2 and (len(weight) * process.n_tokens > MOST_SEQUENCES or least <= LEAST_RATIO):
            break
        shares = (weight[:, None] * _clipped(process, belief)).ravel()
        chosen, weight = _chosen_sequences(np.where(shares > IMPOSSIBLE, shares, 0))
        parent, token = np.divmod(chosen, process.n_tokens)
        belief = _after(process, belief[parent], token)
        matrix = matrix[parent] @ process.transition_tensor[token]
        size = np.linalg.svd(matrix, compute_uv=False)
        regular = size > SINGULAR * size[:, :1]
        mean = weight @ np.log(np.where(regular, size, 1)) / weight.sum()
        growth.append(np.where(regular.all(axis=0), mean, -np.inf))
        least = (size / size[:, :1])[regular].min()
    singular = np.isinf(growth[-1])
    return np.where(singular, -np.inf, growth[-1] - np.where(singular, 0, growth[-2]))


def _chosen_sequences(
    shares: Float[ndarray, " sequence"],
) -> tuple[Integer[ndarray, " chosen"], Float[ndarray, " chosen"]]:
    """The possible sequences and their weights or, of more than `MOST_SEQUENCES`, a systematic sample."""
    possible = np.flatnonzero(shares)
    if len(possible) <= MOST_SEQUENCES:
        return possible, shares[possible]
    edges = np.cumsum(shares[possible])
    steps = (np.arange(MOST_SEQUENCES) + 0.5) * edges[-1] / MOST_SEQUENCES
    return possible[np.searchsorted(edges, steps)], np.full(MOST_SEQUENCES, edges[-1] / MOST_SEQUENCES)


def has_finite_beliefs(process: Process) -> bool:
    """True if the belief states after all sequences are at most `MOST_BELIEFS`, so that their dimension is 0."""
    known = new = process.initial_state[None].round(SAME_DECIMALS)
    n_sources = max(1, MOST_SEQUENCES // process.n_tokens)  # whose continuations are computed together
    while len(new) and len(known) <= MOST_BELIEFS:
        sources, new = new[:n_sources], new[n_sources:]
        parent, token = np.nonzero(process.next_token_probability(sources) > IMPOSSIBLE)
        reached = np.unique(_after(process, sources[parent], token).round(SAME_DECIMALS) + 0.0, axis=0)
        merged, first = np.unique(np.vstack([known, reached]), axis=0, return_index=True)
        new = np.vstack([new, reached[first[first >= len(known)] - len(known)]])
        known = merged
    return len(known) <= MOST_BELIEFS


def kaplan_yorke_dimension(exponents: Float[ndarray, " state"]) -> float:
    """The Kaplan-Yorke dimension of infinitely many beliefs, from the Lyapunov exponents of a process.

    Minus the first is the entropy rate h, the others less the first are the rates chi_i at which beliefs are
    contracted: D = k + (h + chi_1 + ... + chi_k) / |chi_(k+1)|, with the largest k for which the bracket is not
    negative (Jurgens and Crutchfield 2021, equation 13), and at most one less than the number of states.
    """
    entropy_rate, contraction = -exponents[0], exponents[1:] - exponents[0]
    if entropy_rate <= SINGULAR:
        return 0.0
    left = entropy_rate + np.concatenate([[0.0], np.cumsum(contraction)])
    k = int((left >= 0).sum()) - 1
    return float(k + left[k] / -contraction[k]) if k < len(contraction) else float(k)


def belief_set_dimension(process: Process, exponents: Float[ndarray, " state"]) -> float:
    """The Kaplan-Yorke dimension of a process's beliefs; 0 for finitely many."""
    return 0.0 if has_finite_beliefs(process) else kaplan_yorke_dimension(exponents)


# --- The points ---------------------------------------------------------------------------------------------------


def rms_distance(points: Float[ndarray, "point component"], weight: Float[ndarray, " point"]) -> float:
    """The root mean square distance of two points, each drawn by its weight."""
    share = weight / weight.sum()
    return float(np.sqrt(2 * (share @ (points - share @ points) ** 2).sum()))


def correlation_integral(
    points: Float[ndarray, "point component"], weight: Float[ndarray, " point"], scales: Float[ndarray, " scale"]
) -> Float[ndarray, " scale"]:
    """The weighted share of pairs of different points whose distance is at most each scale.

    `scales` ascend; a point's weight is the number of times that it was drawn.
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
    """The midpoints of scales and the slopes of the values there, on logarithmic axes; nan next to a 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.diff(np.log(values)) / np.diff(np.log(scales))
    return np.sqrt(scales[1:] * scales[:-1]), np.where(np.isfinite(slopes), slopes, np.nan)


def slope_between(scales: Float[ndarray, " scale"], values: Float[ndarray, " scale"], low: float, high: float) -> float:
    """The slope of a straight line fitted to the values between two scales, on logarithmic axes."""
    inside = (scales >= low) & (scales <= high) & (values > 0)
    if inside.sum() < 2:
        return float("nan")
    return float(np.polyfit(np.log(scales[inside]), np.log(values[inside]), 1)[0])


def _box(points: Float[ndarray, "point component"], scale: float) -> Integer[ndarray, " point"]:
    """The index of the box of each point, in a grid from the least corner of the points."""
    number = np.zeros(len(points), dtype=np.int64)
    for column in np.floor((points - points.min(axis=0)) / scale).astype(np.int64).T:
        number = np.unique(number * (column.max() + 1) + column, return_inverse=True)[1]
    return number


def box_counts(
    points: Float[ndarray, "point component"], weight: Float[ndarray, " point"], scales: Float[ndarray, " scale"]
) -> tuple[Integer[ndarray, " scale"], Float[ndarray, " scale"]]:
    """The number of occupied boxes of each side, and their effective number, the exponential of their entropy.

    As boxes become smaller, the first grows with the box-counting dimension of the set. The second, in which a box
    counts by the weight of its points, grows with the information dimension of the measure, to which the
    Kaplan-Yorke dimension refers.
    """
    shares = [np.bincount(_box(points, scale), weights=weight) / weight.sum() for scale in scales]
    return np.array([len(share) for share in shares]), np.exp([entr(share).sum() for share in shares])


def resolution(
    scales: Float[ndarray, " scale"],
    truth: Float[ndarray, " scale"],
    other: Float[ndarray, " scale"],
    factor: float,
) -> float:
    """The resolution: the largest scale at which the correlation integrals of two sets differ.

    They differ where one is more than `factor` times the other, over ascending `scales`; between
    scales, the logarithm of their ratio is interpolated. Where they never differ, the result is the least scale, an
    upper bound. A blur has no effect on a set that fills its space evenly.
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
