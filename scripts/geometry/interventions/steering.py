"""Steering: what a network predicts once the belief in its stream is replaced by another, or taken out.

A probe says what can be read from a site, not what the network reads there. Here a prefix's activations are changed
at one site as if its belief were that of another prefix of the same length, its *counterfactual partner*, and the
prediction is compared with the optimal one of either belief. A change of belief becomes a change of activations by

- the *pattern*: the map that regresses activations on beliefs, how the stream varies with the belief;
- the *filter*: the smallest change that the probe, which regresses beliefs on activations, reads as the new belief.
  Its weights also cancel what else varies there, so a filter need not point along the pattern (Haufe et al. 2014);
- a *random* direction, as long as the pattern's.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.control_targets import DISTINCT, group_ids
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import NOISE, fit
from geometry.processes.belief_states import IMPOSSIBLE
from geometry.processes.process import Process
from geometry.processes.sampling import draw_tokens

METRICS = ("kl_to_counterfactual_nats", "kl_to_original_nats")
"""How far the prediction is from the optimal one of either belief."""

MOST_FOLLOWED = 12
"""Tokens after which the next prediction is asked: all or, of more, so many that are drawn for each pair."""

PARTS = 32
"""Parts of the prefixes whose moments are taken one after another, so that copies of them stay small."""


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
    """Prefixes drawn by weight, each with a partner, drawn by weight among those that are alike in all
    but their belief. Prefixes without such a partner are left out; if all are, there are no pairs.
    """
    group = group_ids(alike)
    kind = group_ids(np.hstack([group[:, None], belief]), DISTINCT)
    order = np.lexsort([kind, group])  # a group's prefixes lie together, and in it those of one belief
    ends = np.cumsum(weight[order])
    start = ends - weight[order]
    of_group, of_kind = (spans(label[order], start, ends) for label in (group, kind))
    others = np.ptp(of_group, axis=0) - np.ptp(of_kind, axis=0)
    share = np.where(others > IMPOSSIBLE, weight[order], 0)
    if not share.any():
        return PrefixPairs(*np.empty((2, 0), np.int64))
    drawn = rng.choice(len(share), size=n_pairs, p=share / share.sum())
    # A place among the others: what lies before its own belief in the group, or else behind it.
    place = of_group[0, drawn] + rng.random(n_pairs) * others[drawn]
    place += np.where(place >= of_kind[0, drawn], np.ptp(of_kind, axis=0)[drawn], 0)
    return PrefixPairs(order[drawn], order[np.searchsorted(ends, place, side="right").clip(max=len(order) - 1)])


def spans(
    label: Integer[ndarray, " place"], start: Float[ndarray, " place"], ends: Float[ndarray, " place"]
) -> Float[ndarray, "2 place"]:
    """Where the run of equal labels around each place starts and ends."""
    first = np.flatnonzero(np.diff(label, prepend=-1))
    size = np.diff(first, append=len(label))
    return np.stack([np.repeat(start[first], size), np.repeat(ends[first + size - 1], size)])


@dataclass(frozen=True)
class SiteMaps:
    """How beliefs and the activations of one site depend on each other, by least squares."""

    pattern: Float[ndarray, "state feature"]
    filter: Float[ndarray, "state feature"]
    mean: Float[ndarray, " feature"]
    basis: Float[ndarray, "rank feature"]  # orthonormal, of the directions along which the pattern moves

    def changes(
        self, belief_change: Float[ndarray, "pair state"], rng: np.random.Generator
    ) -> dict[str, Float[ndarray, "pair feature"]]:
        """What is added to the activations for some changes of belief, by kind of intervention."""
        pattern = belief_change @ self.pattern
        random = rng.normal(size=pattern.shape)
        random *= np.linalg.norm(pattern, axis=1, keepdims=True) / np.linalg.norm(random, axis=1, keepdims=True)
        return {"pattern": pattern, "filter": belief_change @ self.filter, "random": random}


def fit_site(
    activation: Float[ndarray, "prefix feature"],
    belief: Float[ndarray, "prefix state"],
    weight: Float[ndarray, " prefix"],
) -> SiteMaps:
    """The maps between the beliefs and the activations of one site, over weighted prefixes."""
    part = np.arange(len(weight)) * PARTS // len(weight)
    write, read = (
        fit(cell_gram_matrices(x, y, weight[None], part)[0].total())
        for x, y in ((belief, activation), (activation, belief))
    )
    mean = weight @ belief / weight.sum() @ write.matrix + write.offset
    basis = np.linalg.svd(write.matrix, full_matrices=False)[2][: write.effective_rank]
    return SiteMaps(write.matrix, np.linalg.pinv(read.matrix, rcond=NOISE), mean, basis)


def random_basis(like: Float[ndarray, "rank feature"], rng: np.random.Generator) -> Float[ndarray, "rank feature"]:
    """An orthonormal basis of a random subspace of the same dimension."""
    return np.linalg.qr(rng.normal(size=like.shape).T)[0].T


def kl_nats(
    optimal: Float[ndarray, "*row token"], log_probability: Float[ndarray, "*row token"]
) -> Float[ndarray, "*row"]:
    """The divergence of the network's prediction from the optimal one; impossible tokens count nothing."""
    log_optimal = np.log(optimal, out=np.zeros_like(optimal), where=optimal > 0)
    return (optimal * (log_optimal - log_probability)).sum(axis=-1)


def draw_following(
    process: Process, belief: Float[ndarray, "pair state"], rng: np.random.Generator
) -> Integer[ndarray, "pair next"]:
    """The tokens that are read after each of some beliefs: all or, of more than `MOST_FOLLOWED`, so many drawn."""
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
    """The optimal predictions of the counterfactual and the original beliefs of some pairs, now and a token later."""

    process: Process
    counterfactual: Float[ndarray, "pair state"]
    original: Float[ndarray, "pair state"]
    following: Integer[ndarray, "pair next"]  # as from `draw_following` with the counterfactual beliefs

    def of_pairs(self, pairs: Integer[ndarray, " some"]) -> "SteeringScorer":
        """The same of some of the pairs."""
        return SteeringScorer(self.process, self.counterfactual[pairs], self.original[pairs], self.following[pairs])

    def now(self, log_probability: Float[ndarray, "pair token"]) -> dict[str, float]:
        """Mean divergences of the next-token prediction."""
        optimal = (self.process.next_token_probability(belief) for belief in (self.counterfactual, self.original))
        return dict(zip(METRICS, (float(kl_nats(p, log_probability).mean()) for p in optimal), strict=True))

    def later(self, log_probability: Float[ndarray, "pair next token"]) -> dict[str, float]:
        """Mean divergences of the prediction after one more token, weighted by that token's counterfactual
        probability, or drawn by it; tokens that are impossible under either belief are left out.
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
