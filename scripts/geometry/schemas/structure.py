"""Schemas of the tables of symmetries, dimensions, memory and attention."""

from geometry.schemas.networks import OfSnapshot, OfTask
from geometry.tables import Schema


class ProcessSymmetry(OfTask):
    """The permutations of the tokens that are tried, and which are symmetries of the process."""

    path = "results/tasks/{task}/symmetry.csv"
    key = ("permutation",)

    permutation: str
    """cycles of tokens by number; the identity is `()`"""
    measure: str
    """`is_symmetry`"""
    value: float
    """1 if it is one, else 0"""


class Symmetry(OfSnapshot):
    """The action of permutations on the activations, by linear maps on leading principal components.

    At initialisation and at the last snapshot.

    Of the tokens in symmetry.csv; of the pairs of numbers of modular arithmetic in shift_symmetry.csv.
    """

    path = "results/{experiment}/{run}/symmetry.csv, shift_symmetry.csv"
    key = ("seed", "step", "site", "n_dimensions", "permutation", "then", "measure", "index")

    site: str
    """hook point; empty for the predictions"""
    n_dimensions: int | None
    """leading principal components"""
    permutation: str
    """cycles of tokens, or what becomes of a and b"""
    then: str
    """permutation that follows, of a `composition_error`"""
    measure: str
    """`error` (share of the variance that the map leaves), `eigenvalue_real`, `eigenvalue_imaginary`,
    `composition_error`, `is_symmetry`, `n_symmetries`, `is_group`, `coverage`, `prediction_change`; of shifts also
    `error_by_dimension`, `frequency`, `detected_frequency`"""
    index: int | None
    """place of an eigenvalue or frequency, from 1"""
    value: float
    """value of the measure; `prediction_change` is a mean total variation distance, from 0 to 1"""


class OfSet(Schema):
    """One value of a set of beliefs."""

    scale: float
    """distance, in units of the root mean square distance of two true beliefs; nan for values of no scale"""
    measure: str
    """by scale: `correlation_integral` (share of pairs that near), `local_slope`, `box_count`, `effective_box_count`;
    of the set: `correlation_dimension`, `information_dimension`, `box_dimension`, `resolution`, `rms_distance`,
    `has_finite_beliefs`; of its process: `lyapunov_exponent_nats`, `kaplan_yorke`, each also `..._of_sequences`"""
    index: int | None
    """place of a Lyapunov exponent, from 1"""
    value: float
    """value of the measure; Lyapunov exponents [nats per token]"""


class OfNamedSet(Schema):
    """A set of beliefs."""

    set: str
    """`true`, `decoded` at the last layer output, or filtered with the process `recovered` there"""


class ProcessDimension(OfTask, OfNamedSet, OfSet):
    """Dimensions of the true beliefs by scale, and Lyapunov exponents of the process."""

    path = "results/tasks/{task}/dimension.csv"
    key = ("set", "scale", "measure", "index")


class Dimension(OfSnapshot, OfNamedSet, OfSet):
    """Dimensions of decoded and recovered beliefs by scale, after the same prefixes as the true ones.

    Where the true set is finite, of the first network of the run alone.
    """

    path = "results/{experiment}/{run}/dimension.csv"
    key = ("seed", "step", "set", "scale", "measure", "index")


class ProcessConvergence(OfTask):
    """Errors of observers with finite memory, and two rates of theory."""

    path = "results/tasks/{task}/convergence.csv"
    key = ("position", "n_recalled", "measure")

    position: int
    """observed tokens"""
    n_recalled: int
    """last tokens that the observer uses"""
    measure: str
    """`observer_error`; `mixing` and `contraction`, the error of one token times powers of a rate"""
    value: float
    """root mean square distance from the true belief"""


class Convergence(OfSnapshot):
    """Errors of decoded beliefs by position, at the first and the last snapshot."""

    path = "results/{experiment}/{run}/convergence.csv"
    key = ("seed", "step", "site", "position", "measure")

    site: str
    """layer output; of none, the last site"""
    position: int
    """observed tokens"""
    measure: str
    """`belief_error` (root mean square distance), `memory_reached` (tokens of the observer with that error)"""
    value: float
    """value of the measure"""


class Subspaces(OfSnapshot):
    """The subspaces in which activations vary with each part of a mixture or a product, and their dimensions."""

    path = "results/{experiment}/{run}/subspaces.csv"
    key = ("seed", "step", "site", "measure", "index")

    site: str
    """layer output; or, the same for every network, `belief_state` (the joint belief itself) and `part_beliefs` (the
    beliefs of all parts, side by side)"""
    measure: str
    """`encoding_overlap`, `vary_one_overlap` (products) and `random_overlap` (of random directions with the same
    covariance): mean squared cosine of the principal angles between two parts, mean over pairs; `explained_by_parts`,
    `explained_by_belief`: share of the variance that a regression on beliefs explains; `dimensions` that hold a share
    of the variance; `variance_share` of the leading principal components together"""
    index: int | None
    """percent of the variance of `dimensions`, number of principal components of `variance_share`"""
    value: float
    """value of the measure"""


class Attention(OfSnapshot):
    """The first attention of a transformer beside constrained belief updates, at the last snapshot."""

    path = "results/{experiment}/{run}/attention.csv"
    key = ("seed", "measure", "head", "position", "lag", "token", "site", "target", "draw")

    measure: str
    """`attention`, `attention_decay` (over that at the lag before), `token_share` (of the variance of attention over
    prefixes and lags), `effective_attention` (share of the evidence that is written), `effective_attention_decay`,
    `attention_cosine` and `effective_attention_cosine` (with the powers of `zeta`, from lag 1 on), `zeta`,
    `output_value_cosine` (of what is written of a token with its evidence, in the stream), `evidence_cosine` (the same
    within the subspace of states), `r2`, `r2_of_draw`"""
    head: int | None
    """head, from 0; of none, all heads together"""
    position: int | None
    """observed tokens; of none, the mean over prefixes of at least half the tokens of the longest"""
    lag: int | None
    """tokens between that which is attended to and the last one, 0 for the last one itself"""
    token: int | None
    """number of the token that is attended to"""
    site: str
    """hook point of an R2; else empty"""
    target: str
    """what an R2 is of, `belief_state` or `constrained_update`; of `zeta` and effective attention for one factor of a
    product, its `belief_of_...`; else empty"""
    draw: int | None
    """draw of the folds of `r2_of_draw`, from 1"""
    value: float
    """value of the measure"""
