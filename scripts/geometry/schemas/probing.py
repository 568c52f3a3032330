"""Schemas of the tables of the probe."""

from geometry.schemas.networks import OfExperiment, OfSnapshot
from geometry.tables import Schema

KEY = ("site", "features", "target", "weighting", "split", "estimator", "metric", "index", "draw")


class OfScore(Schema):
    """One score of a regression."""

    site: str
    """hook point of the activations, `concatenated`, or what other features are of: `input`, `output` of the network,
    `optimal_output`"""
    features: str
    """`activations`, or the name of other features"""
    target: str
    """what is regressed; the first in the file is the one that claims are made of, others are controls"""
    weighting: str
    """weight of the prefixes: `probability`, `uniform` over full-length sequences, or `distinct_prefix`"""
    split: str
    """what the score is of: `in_sample`, or prefixes held out by a `held_out_...` rule"""
    estimator: str
    """`ridge` (penalty by nested cross-validation), `least_squares`, `k_gram`, or `principal_components` (the shape of
    the features' cloud)"""
    n_rows: int
    """prefixes"""
    n_features: int
    """columns of the features; of a k-gram baseline, its distinct k-grams"""
    effective_rank: float
    """directions of the features above float32 rounding, mean over folds"""
    metric: str
    """see the metrics in the methods"""
    index: int | None
    """number that belongs to the metric or target: observed tokens of `r2_by_length`, principal component of
    `variance_share`, frequency of the target `circle`"""
    value: float
    """value of the metric; R2 and shares as fractions of a variance, `mse` and `rmse` in units of the target"""
    draw: int | None
    """draw of the folds of `r2_of_draw`, from 1"""


class Baselines(OfExperiment, OfScore):
    """Scores of the probe on features that need no network: tokens, k-grams, and optimal next-token predictions."""

    path = "results/{experiment}/baselines.csv"
    key = ("seed", *KEY)

    seed: int | None
    """sample of words that the score is of, where each seed has words of its own; else empty, and of all networks"""


class Probe(OfSnapshot, OfScore):
    """Scores of the probe on a network's activations, and on its own predictions."""

    path = "results/{experiment}/{run}/probe.csv"
    key = ("seed", "step", *KEY)


class Distances(OfSnapshot):
    """The agreement of decoded beliefs with others on pairs of prefixes, before and after training."""

    path = "results/{experiment}/{run}/distances.csv"
    key = ("seed", "step", "site", "split", "measure", "target")

    site: str
    """hook point of the activations, or `concatenated`"""
    split: str
    """how beliefs are decoded: `in_sample`, or `held_out_prefix`"""
    measure: str
    """squared correlation over pairs, of Euclidean distances (`r2_of_distances`) or of cosine similarities
    (`r2_of_cosines`, of coordinates that are not centred), of decoded beliefs with those of the target"""
    target: str
    """`belief_state`, `next_token_probability`, or `suffix_3_belief_state`, the mean belief given the last three tokens
    (of a Markov approximation of order 3)"""
    value: float
    """value of the measure; nan where all pairs are alike"""
