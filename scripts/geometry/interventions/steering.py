"""Steering: the predictions of a network after the belief at one of its sites is replaced by another, or ablated.

A probe shows that a site determines the belief, not that the network uses it. Here a prefix's activations are changed
at one site as if its belief were that of another prefix of the same length, its *counterfactual partner*, and the
prediction is compared with the optimal one of either belief. A change of belief becomes a change of activations along

- the *pattern*, or encoding (write) directions: the regression of activations on beliefs;
- the *filter*, or decoding (read) directions: the smallest change that the probe, the regression of beliefs on
  activations, decodes as the new belief. Its weights also cancel other variation at the site, so that a filter need
  not point along the pattern (Haufe et al. 2014, NeuroImage 87, 96-110);
- a *random* direction of the pattern's length.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.control_targets import DISTINCT, group_ids
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import NOISE, AffineMap, fit
from geometry.processes.belief_states import IMPOSSIBLE
from geometry.processes.process import Process
from geometry.processes.sampling import draw_tokens

METRICS = ("kl_to_counterfactual_nats", "kl_to_original_nats")
"""The divergence of the prediction from the optimal one of either belief."""

MOST_FOLLOWED = 12
"""Tokens after which the next prediction is scored: all or, of more, so many drawn for each pair."""

PARTS = 32
"""Parts of the prefixes whose Gram matrices are computed one after another, to limit memory."""


@dataclass(frozen=True)
class PrefixPairs:
    """Prefixes and their counterfactual partners, as rows of one table of prefixes."""

    prefix: Integer[ndarray, " pair"]
    partner: Integer[ndarray, " pair"]

    def __len__(self) -> int:
        return len(self.prefix)


def draw_pairs(
    belief: Float[ndarray, "prefix state"],
    alike: Float[ndarray, "prefix quantity"],
    weight: Float[ndarray, " prefix"],
    n_pairs: int,
    rng: np.random.Generator,
) -> PrefixPairs:
    """Prefixes drawn by weight, each with a partner drawn by weight among those with equal `alike` and another belief.

    Prefixes without such a partner are not drawn; if there are no others, there are no pairs. For four prefixes with
    equal `alike`, weights 1, 2, 3, 4 and beliefs A, A, B, C, the partner of the first is the third with probability
    3/7 or the fourth with 4/7; that of the third is one of the others with probabilities 1/7, 2/7 and 4/7.
    """
    group = group_ids(alike)
    own = group_ids(np.hstack([group[:, None], belief]), DISTINCT)  # the class of prefixes with the same belief
    order = np.lexsort([own, group])  # groups are contiguous, and classes within them
    end = np.cumsum(weight[order])
    start = end - weight[order]
    group_interval, own_interval = (intervals(label[order], start, end) for label in (group, own))
    outside = np.ptp(group_interval, axis=0) - np.ptp(own_interval, axis=0)
    share = np.where(outside > IMPOSSIBLE, weight[order], 0)
    if not share.any():
        return PrefixPairs(*np.empty((2, 0), np.int64))
    drawn = rng.choice(len(share), size=n_pairs, p=share / share.sum())
    point = sample_outside_own(group_interval[:, drawn], own_interval[:, drawn], rng)
    partner = np.searchsorted(end, point, side="right").clip(max=len(order) - 1)
    return PrefixPairs(order[drawn], order[partner])


def intervals(
    label: Integer[ndarray, " place"], start: Float[ndarray, " place"], end: Float[ndarray, " place"]
) -> Float[ndarray, "2 place"]:
    """The start and the end, in cumulative weight, of the run of equal labels around each place."""
    first = np.flatnonzero(np.diff(label, prepend=-1))
    size = np.diff(first, append=len(label))
    return np.stack([np.repeat(start[first], size), np.repeat(end[first + size - 1], size)])


def sample_outside_own(
    group: Float[ndarray, "2 pair"], own: Float[ndarray, "2 pair"], rng: np.random.Generator
) -> Float[ndarray, " pair"]:
    """A uniform random point of each interval `group` outside the interval `own` within it.

    The point is drawn from an interval that is shorter by the length of `own`, then moved past `own` unless it lies
    before it.
    """
    point = group[0] + rng.random(group.shape[1]) * (np.ptp(group, axis=0) - np.ptp(own, axis=0))
    return point + np.where(point >= own[0], np.ptp(own, axis=0), 0)


@dataclass(frozen=True)
class SiteMaps:
    """Least-squares maps between the beliefs and the activations of one site."""

    probe: AffineMap  # from activations to beliefs
    pattern: Float[ndarray, "state feature"]  # encoding directions
    filter: Float[ndarray, "state feature"]  # decoding directions: the pseudoinverse of the probe
    mean: Float[ndarray, " feature"]
    basis: Float[ndarray, "rank feature"]  # orthonormal, of the span of the pattern

    def changes(
        self, belief_change: Float[ndarray, "pair state"], rng: np.random.Generator
    ) -> dict[str, Float[ndarray, "pair feature"]]:
        """The changes of activations for some changes of belief, by intervention."""
        pattern = belief_change @ self.pattern
        random = rng.normal(size=pattern.shape)
        random *= np.linalg.norm(pattern, axis=1, keepdims=True) / np.linalg.norm(random, axis=1, keepdims=True)
        return {"pattern": pattern, "filter": belief_change @ self.filter, "random": random}


def fit_all(
    x: Float[ndarray, "prefix feature"], y: Float[ndarray, "prefix component"], weight: Float[ndarray, " prefix"]
) -> AffineMap:
    """The least-squares map from x to y, fitted to all prefixes by their weight."""
    part = np.arange(len(weight)) * PARTS // len(weight)
    return fit(cell_gram_matrices(x, y, weight[None], part)[0].total())


def fit_site(
    activation: Float[ndarray, "prefix feature"],
    belief: Float[ndarray, "prefix state"],
    weight: Float[ndarray, " prefix"],
) -> SiteMaps:
    """The maps between the beliefs and the activations of one site, fitted to weighted prefixes."""
    encoding, decoding = fit_all(belief, activation, weight), fit_all(activation, belief, weight)
    mean = weight @ belief / weight.sum() @ encoding.matrix + encoding.offset
    basis = np.linalg.svd(encoding.matrix, full_matrices=False)[2][: encoding.effective_rank]
    return SiteMaps(decoding, encoding.matrix, np.linalg.pinv(decoding.matrix, rcond=NOISE), mean, basis)


def random_basis(like: Float[ndarray, "rank feature"], rng: np.random.Generator) -> Float[ndarray, "rank feature"]:
    """An orthonormal basis of a random subspace of the same dimension."""
    return np.linalg.qr(rng.normal(size=like.shape).T)[0].T


def kl_nats(
    optimal: Float[ndarray, "*row token"], log_probability: Float[ndarray, "*row token"]
) -> Float[ndarray, "*row"]:
    """The Kullback-Leibler divergence of a prediction from the optimal one in nats; impossible tokens add 0."""
    log_optimal = np.log(optimal, out=np.zeros_like(optimal), where=optimal > 0)
    return (optimal * (log_optimal - log_probability)).sum(axis=-1)


def draw_following(
    process: Process, belief: Float[ndarray, "pair state"], rng: np.random.Generator
) -> Integer[ndarray, "pair next"]:
    """The tokens to follow each prefix: all or, of more than `MOST_FOLLOWED`, so many drawn given its belief."""
    if process.n_tokens <= MOST_FOLLOWED:
        return np.tile(np.arange(process.n_tokens), (len(belief), 1))
    return draw_tokens(process, np.repeat(belief, MOST_FOLLOWED, axis=0), rng).reshape(-1, MOST_FOLLOWED)


def after_another_token(
    process: Process, belief: Float[ndarray, "pair state"], following: Integer[ndarray, "pair next"]
) -> tuple[Float[ndarray, "pair next"], Float[ndarray, "pair next token"]]:
    """The probability of each token that follows, and the optimal prediction after it, 0 after an impossible one."""
    image = np.einsum("ps, tsu -> ptu", belief, process.transition_tensor)
    image = np.take_along_axis(image, following[..., None], axis=1)
    probability = image @ process.readout
    possible = probability > IMPOSSIBLE
    prediction = np.zeros((*probability.shape, process.n_tokens))
    prediction[possible] = process.next_token_probability(image[possible] / probability[possible, None])
    return np.where(possible, probability, 0), prediction


@dataclass(frozen=True)
class SteeringScorer:
    """Scores of predictions against the optimal ones of the counterfactual and the original beliefs of some pairs."""

    process: Process
    counterfactual: Float[ndarray, "pair state"]
    original: Float[ndarray, "pair state"]
    following: Integer[ndarray, "pair next"]  # as from `draw_following` with the counterfactual beliefs

    def of_pairs(self, pairs: Integer[ndarray, " chosen_pair"]) -> "SteeringScorer":
        """The scorer of some of the pairs."""
        return SteeringScorer(self.process, self.counterfactual[pairs], self.original[pairs], self.following[pairs])

    def now(self, log_probability: Float[ndarray, "pair token"]) -> dict[str, float]:
        """Mean divergences of the next-token prediction, in nats."""
        optimal = (self.process.next_token_probability(belief) for belief in (self.counterfactual, self.original))
        return dict(zip(METRICS, (float(kl_nats(p, log_probability).mean()) for p in optimal), strict=True))

    def later(self, log_probability: Float[ndarray, "pair next token"]) -> dict[str, float]:
        """Mean divergences of the prediction after one more token, in nats, weighted by that token's counterfactual
        probability, or drawn by it; tokens that are impossible under either belief are excluded.
        """
        (weight, counterfactual), (possible, original) = (
            after_another_token(self.process, belief, self.following) for belief in (self.counterfactual, self.original)
        )
        is_drawn = self.following.shape[1] < self.process.n_tokens
        weight = ((weight > 0) if is_drawn else weight) * (possible > 0)
        if not weight.any():
            return {}
        scores = (np.average(kl_nats(p, log_probability), weights=weight) for p in (counterfactual, original))
        return dict(zip(METRICS, map(float, scores), strict=True))
