"""The first attention beside constrained belief updates: by lag and head, and what it writes of each token.

A value without a position is the mean over long prefixes, those of at least half the tokens of the longest, at the lags
that all of them have. Prefixes of one length are weighted by probability, lengths alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from geometry.probing.design import ProbeDesign
from geometry.probing.gram_matrices import cell_gram_matrices
from geometry.probing.regression import fit
from geometry.probing.scores import TargetColumns, fit_sites, side_by_side
from geometry.processes.constrained_updates import decay_of_evidence


class AttentionRow(NamedTuple):
    """One measure; the fields are those columns of attention.csv that do not describe the network."""

    measure: str
    value: float
    head: int | None = None
    position: int | None = None
    lag: int | None = None
    token: int | None = None
    site: str = ""
    target: str = ""
    draw: int | None = None


@dataclass(frozen=True)
class PositionMeans:
    """Means over the prefixes of one length: how often each token is at each lag, and the attention to it there."""

    probability: Float[ndarray, "lag token"]
    attention: Float[ndarray, "lag token head"]  # the mean over prefixes with the token at the lag; 0 if there is none
    square: Float[ndarray, "lag head"]  # the mean of the squared attention

    @property
    def length(self) -> int:
        return len(self.probability)

    @property
    def by_lag(self) -> Float[ndarray, "lag head"]:
        return (self.probability[:, :, None] * self.attention).sum(axis=1)


def position_means(
    tokens: Integer[ndarray, "prefix place"],
    pattern: Float[ndarray, "prefix place head"],
    weight: Float[ndarray, " prefix"],
    n_tokens: int,
) -> PositionMeans:
    """The means over prefixes of one length, given their tokens and the attention of the last position to each."""
    weight, n_heads = weight / weight.sum(), pattern.shape[2]
    probability, attention = np.zeros((tokens.shape[1], n_tokens)), np.zeros((tokens.shape[1], n_tokens, n_heads))
    for lag, (token, to_token) in enumerate(zip(tokens.T[::-1], pattern.swapaxes(0, 1)[::-1], strict=True)):
        probability[lag] = np.bincount(token, weight, n_tokens)
        for head, column in enumerate(to_token.T):
            attention[lag, :, head] = np.bincount(token, weight * column, n_tokens)
    occurs = probability[:, :, None] > 0
    attention = np.divide(attention, probability[:, :, None], out=np.zeros_like(attention), where=occurs)
    return PositionMeans(probability, attention, np.einsum("p,plh->lh", weight, pattern**2)[::-1])


def token_share(means: Sequence[PositionMeans]) -> Float[ndarray, " head"]:
    """The share of the attention's variance, over prefixes and lags, that position and lag leave to the tokens."""
    within = sum((of.square - of.by_lag**2).sum(axis=0) for of in means)
    n = sum(of.length for of in means)
    mean = sum(of.by_lag.sum(axis=0) for of in means) / n
    total = sum(of.square.sum(axis=0) for of in means) - n * mean**2
    return np.divide(within, total, out=np.full(len(total), np.nan), where=total > 1e-12 * n)


def encoding(
    state: Float[ndarray, "prefix state"], stream: Float[ndarray, "prefix feature"], weight: Float[ndarray, " prefix"]
) -> Float[ndarray, "state feature"]:
    """The change of activations with a state: the regression of activations on states, not the inverse of a probe."""
    (moments,) = cell_gram_matrices(state, stream, weight[None], np.zeros(len(state), dtype=int))
    return fit(moments).matrix


def written_of_tokens(
    means: PositionMeans, written: Float[ndarray, "position token head feature"]
) -> Float[ndarray, "lag token feature"]:
    """The vectors that all heads write of each token by its lag, less their mean over tokens; means over prefixes."""
    own = written[: means.length][::-1]
    of_token = np.einsum("lzh,lzhf->lzf", means.attention, own)
    return of_token - np.einsum("lz,lzf->lf", means.probability, of_token)[:, None]


def cosines(left: Float[ndarray, "*row column"], right: Float[ndarray, "*row column"]) -> Float[ndarray, "*row"]:
    """The cosines of the angles of rows; nan where one is 0."""
    norms = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    return np.divide((left * right).sum(axis=-1), norms, out=np.full(norms.shape, np.nan), where=norms > 1e-12)


@dataclass(frozen=True)
class Theory:
    """The evidence of each token at each position, the map that carries it forward, and the rate of its decay."""

    evidence: Float[ndarray, "position token state"]
    chain: Float[ndarray, "state state"]
    decoder: Float[ndarray, "feature state"]  # inverts the encoding of states in the stream
    target: str = ""  # of a factor of a product, that of its belief

    @property
    def decay(self) -> float:
        """The rate by whose powers evidence decays; nan where it is no real number."""
        return decay_of_evidence(self.chain)

    def carried(self, length: int) -> Float[ndarray, "lag token state"]:
        """The evidence of each token, carried forward over its lag, after so many tokens."""
        powers = [np.eye(len(self.chain))]
        for _ in range(length - 1):
            powers.append(powers[-1] @ self.chain)
        return self.evidence[:length][::-1] @ np.stack(powers)


def effective_attention(
    means: PositionMeans, written: Float[ndarray, "lag token feature"], theory: Theory
) -> Float[ndarray, " lag"]:
    """The share of each token's evidence that the heads together write, by lag; of constrained updates, zeta^lag.

    That is <f(sum_h A^h v^h), g(z)> / |g|^2, with f the map from the stream to states that inverts the encoding.
    """
    evidence = theory.evidence[: means.length][::-1]
    products = ((written @ theory.decoder) * evidence).sum(axis=2)
    total = (means.probability * (evidence**2).sum(axis=2)).sum(axis=1)
    of_evidence = (means.probability * products).sum(axis=1)
    return np.divide(of_evidence, total, out=np.full(len(total), np.nan), where=total > 1e-12)


Series = Sequence[Float[ndarray, " _"]]
"""Values by lag, after prefixes of 1, 2, ... tokens."""


def over_long(series: Sequence[ndarray]) -> ndarray:
    """The mean over long prefixes at the lags that all of them have, which are the first axis."""
    fewest = -(-len(series) // 2)
    return np.mean([values[:fewest] for values in series[fewest - 1 :]], axis=0)


def series_rows(measure: str, head: int | None, series: Series, target: str = "") -> Iterator[AttentionRow]:
    """The values by position and lag, their means over long prefixes, and the ratio of each mean to the one before."""
    for position, values in enumerate(series, 1):
        for lag, value in enumerate(values):
            yield AttentionRow(measure, float(value), head, position, lag, target=target)
    mean = over_long(series)
    for lag, value in enumerate(mean):
        yield AttentionRow(measure, float(value), head, lag=lag, target=target)
    for lag in range(1, len(mean)):
        ratio = mean[lag] / mean[lag - 1] if mean[lag - 1] else np.nan
        yield AttentionRow(f"{measure}_decay", float(ratio), head, lag=lag, target=target)


def kernel_cosine(measure: str, series: Series, decay: float, target: str = "") -> AttentionRow:
    """The cosine of the values by lag, from 1 on, and the powers of a rate; the mean over long prefixes.

    The last token, at lag 0, is in the stream without attention too.
    """
    powers, long = np.power(decay, np.arange(len(series))), series[max(-(-len(series) // 2) - 1, 1) :]
    cosine = np.mean([cosines(of[1:], powers[1 : len(of)]) for of in long])
    return AttentionRow(f"{measure}_cosine", float(cosine), target=target)


def effective_rows(
    means: Sequence[PositionMeans], of_tokens: Sequence[Float[ndarray, "_ token feature"]], theory: Theory
) -> Iterator[AttentionRow]:
    """The rate of decay, and the share of the evidence that is written, given what is written of each token."""
    series = [effective_attention(*pair, theory) for pair in zip(means, of_tokens, strict=True)]
    yield AttentionRow("zeta", theory.decay, target=theory.target)
    yield from series_rows("effective_attention", None, series, theory.target)
    yield kernel_cosine("effective_attention", series, theory.decay, theory.target)


def attention_rows(
    means: Sequence[PositionMeans],
    written: Float[ndarray, "position token head feature"],
    theory: Theory,
    encoder: Float[ndarray, "state feature"],
    of_factors: Sequence[Theory] = (),
) -> Iterator[AttentionRow]:
    """All measures of the attention of one network, given the means over prefixes of 1, 2, ... tokens."""
    by_lag, of_tokens = [of.by_lag for of in means], [written_of_tokens(of, written) for of in means]
    for head, share in enumerate(token_share(means)):
        yield AttentionRow("token_share", float(share), head)
        yield from series_rows("attention", head, [values[:, head] for values in by_lag])
    of_all = [values.sum(axis=1) for values in by_lag]
    yield from series_rows("attention", None, of_all)
    yield kernel_cosine("attention", of_all, theory.decay)
    for one in (theory, *of_factors):
        yield from effective_rows(means, of_tokens, one)
    carried = [theory.carried(of.length) for of in means]
    angles = {
        "output_value_cosine": [cosines(own, of @ encoder) for own, of in zip(of_tokens, carried, strict=True)],
        "evidence_cosine": [cosines(own @ theory.decoder, of) for own, of in zip(of_tokens, carried, strict=True)],
    }
    for measure, by_length in angles.items():
        for (lag, token), value in np.ndenumerate(over_long(by_length)):
            yield AttentionRow(measure, float(value), lag=lag, token=token)


def regression_rows(
    design: ProbeDesign, activations: Mapping[str, Float[ndarray, "row feature"]]
) -> Iterator[AttentionRow]:
    """The R2 of each true target of a design at each site: held out, by ridge, of each draw of folds and their mean."""
    columns, places = side_by_side(design.true)
    for site, features in activations.items():
        fits = fit_sites(design, features, {site: slice(None)}, TargetColumns(places, {}, {}), columns)[site]
        ridge = fits.held_out[design.by_probability, design.primary.name].ridge
        for target, part in places.items():
            r2 = [one.score.r2(part) for one in ridge]
            yield AttentionRow("r2", float(np.mean(r2)), site=site, target=target)
            for draw, value in enumerate(r2, 1):
                yield AttentionRow("r2_of_draw", value, site=site, target=target, draw=draw)
