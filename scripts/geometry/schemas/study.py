"""Schemas of the tables over seeds and experiments."""

from geometry.tables import Schema

KEY = ("experiment", "claim", "site")


class OfClaim(Schema):
    """One claim: its estimate against the best baseline, with intervals over seeds, and the verdict."""

    claim: str
    """what is claimed"""
    experiment: str
    """name of the experiment"""
    site: str
    """hook point, or how it is chosen"""
    measure: str
    """what the estimate is"""
    unit: str
    """what a seed stands for: `network`, or `sample of words` that one and the same pretrained network reads"""
    n_seeds: int
    """networks, or samples of words"""
    n_draws: int
    """draws of the folds that all networks share; 1 where there are no folds"""
    estimate: float
    """mean over networks and draws"""
    sd_over_draws: float
    """standard deviation over draws of the mean over networks"""
    ci_low: float
    """lower end of the interval of the estimate (Student's t, at `claims.confidence`)"""
    ci_high: float
    """upper end of that interval"""
    bootstrap_low: float
    """lower end of the bootstrap interval over seeds; nan for few seeds"""
    bootstrap_high: float
    """upper end of that interval"""
    exact: float
    """the estimate for exact predictions on the same prefixes, where there is one"""
    baseline: float
    """mean of the best baseline"""
    baseline_name: str
    """which one that is"""
    kind: str
    """`more`, `no less` or `no more` than the baseline"""
    gain: float
    """gain over the best baseline, paired by seed and draw, from -1 to 1: a share of what the worse of the two leaves
    unexplained or, of `no less`, of what the better one explains"""
    gain_ci_low: float
    """lower end of the interval of the gain"""
    gain_ci_high: float
    """upper end of that interval"""
    gain_over_draws_low: float
    """lower end of the interval of the gain over the draws of folds alone, for these networks; nan without folds"""
    gain_over_draws_high: float
    """upper end of that interval"""
    verdict: str
    """`supported`, `not supported`, `undecided` or `not testable`"""
    p_value: float
    """smallest level at which the interval of the gain excludes the bound of the verdict, two-sided; nan if not
    testable or of one network"""
    source: str
    """tables that the estimate is from"""
    caution: str
    """what the losses show to be wrong with the networks; empty if nothing"""


class ClaimsOfExperiment(OfClaim):
    """The claims of one experiment, and how their gains scatter."""

    path = "results/claims/{experiment}.csv"
    key = KEY

    bound: float
    """gain that the verdict compares with: the margin or, of `no less`, minus the margin"""
    gain_sd_over_seeds: float
    """standard deviation over networks of the mean gain over draws"""
    gain_sd_over_draws: float
    """standard deviation over draws of the mean gain over networks"""
    gain_sd_rest: float
    """standard deviation of what networks and draws do not explain by themselves"""


class Claims(OfClaim):
    """The claims of all experiments."""

    path = "results/claims.csv"
    key = KEY

    p_holm: float
    """p-value adjusted for the number of claims of the study (Holm 1979)"""


class Power(Schema):
    """The number of seeds that would decide each claim, if its gain and the scatter of it are as estimated."""

    path = "results/power.csv"
    key = KEY

    claim: str
    """what is claimed"""
    experiment: str
    """name of the experiment"""
    site: str
    """hook point, or how it is chosen"""
    verdict: str
    """the verdict of so many networks as there are"""
    n_seeds: int
    """networks"""
    n_draws: int
    """draws of the folds that all networks share; 1 where there are no folds"""
    gain: float
    """gain over the best baseline"""
    bound: float
    """gain that the verdict compares with"""
    sd_over_seeds: float
    """standard deviation of the gain over networks, in the mean over draws; nan of one network"""
    sd_over_draws: float
    """standard deviation of the gain over draws, in the mean over networks; nan of one draw"""
    expected_verdict: str
    """the verdict of enough networks: by the side of the bound that the gain is on"""
    power: float
    """probability that `n_seeds` networks give this verdict"""
    seeds_to_decide: float
    """networks that give it with a probability of 0.9; inf if 1,000 do not, nan if not testable or of one network"""


class Comparison(Schema):
    """Networks on the same task, side by side at their last snapshot."""

    path = "results/comparison.csv"
    key = ("experiment", "seed", "measure")

    experiment: str
    """name of the experiment"""
    task: str
    """name of the task"""
    process: str
    """name of the process"""
    label: str
    """what sets the network apart"""
    architecture: str
    """architecture of the network"""
    n_layers: int
    """layers"""
    d_model: int
    """width"""
    belief_dimension: int
    """dimensions that the true beliefs span"""
    seed: int
    """seed of the network"""
    measure: str
    """`loss_gap_nats`, `belief_r2`, `kl_rate_nats`, `rank`"""
    value: float
    """value of the measure; names in `_nats` [nats per token]"""


class Replication(Schema):
    """The claims of this study beside those of a reference, such as the published ones (`docs/claims.csv`)."""

    path = "results/replication.csv"
    key = ("experiment", "claim", "site")

    experiment: str
    """name of the experiment"""
    claim: str
    """what is claimed"""
    site: str
    """hook point, or how it is chosen"""
    outcome: str
    """`same verdict`, `changed`, `only here` or `only in the reference`"""
    verdict: str
    """verdict here; empty if the claim is only in the reference"""
    reference_verdict: str
    """verdict of the reference; empty if the claim is only here"""
    n_seeds: int | None
    """networks here"""
    reference_n_seeds: int | None
    """networks of the reference"""
    estimate: float
    """mean over networks and draws here"""
    ci_low: float
    """lower end of the interval of the estimate here (Student's t, at `claims.confidence`)"""
    ci_high: float
    """upper end of that interval"""
    reference_estimate: float
    """estimate of the reference"""
    reference_ci_low: float
    """lower end of its interval"""
    reference_ci_high: float
    """upper end of its interval"""
    estimate_shift: float
    """estimate here minus that of the reference, in standard errors of the difference; nan for one seed"""
    gain: float
    """gain over the best baseline here"""
    gain_ci_low: float
    """lower end of the interval of the gain here"""
    gain_ci_high: float
    """upper end of that interval"""
    reference_gain: float
    """gain of the reference"""
    reference_gain_ci_low: float
    """lower end of its interval"""
    reference_gain_ci_high: float
    """upper end of its interval"""
    gain_shift: float
    """gain here minus that of the reference, in standard errors of the difference; nan for one seed"""


class Published(Schema):
    """Numbers of the literature, each beside the number of this study under the published protocol."""

    path = "results/published.csv"
    key = ("id",)

    id: str
    """name of the row in the section `published` of the configuration"""
    quantity: str
    """what the number is"""
    source: str
    """publication that it is from"""
    protocol: str
    """how it was published, and what is otherwise here"""
    published_low: float
    """the published number, or the lower end of its range; nan if there is none"""
    published_high: float
    """the upper end of that range"""
    tolerance: float
    """distance from it within which a number counts as reproduced, set before the run"""
    experiment: str
    """name of the experiment; of the fewest of several, of all of them"""
    file: str
    """table that the number is from"""
    n_networks: int
    """networks; 0 where the number is of none"""
    ours: float
    """mean over networks under the published protocol; of several experiments, the place of the first whose number is
    not above that of the next"""
    ci_low: float
    """lower end of the interval of that mean (Student's t, at `claims.confidence`)"""
    ci_high: float
    """upper end of that interval"""
    held_out: float
    """the same, of prefixes that the probe was not fitted on; nan if it is not defined"""
    baseline: float
    """number without the trained network that is nearest to the published one"""
    baseline_name: str
    """which one that is"""
    verdict: str
    """`reproduced` (the mean is within the tolerance), `not reproduced` or `not comparable`"""
    reason: str
    """why it is not reproduced or not comparable; else empty"""
