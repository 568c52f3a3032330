"""Schemas of the tables over seeds and experiments."""

from geometry.tables import Schema


class Claims(Schema):
    """Every claim: its estimate against the best baseline, with intervals over seeds, and the verdict."""

    path = "results/claims/{experiment}.csv, results/claims.csv"
    key = ("experiment", "claim", "site")

    claim: str
    """what is claimed"""
    experiment: str
    """name of the experiment"""
    site: str
    """hook point, or how it is chosen"""
    measure: str
    """what the estimate is"""
    n_seeds: int
    """networks"""
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
    """gain over the best baseline, as a share of what that leaves unexplained, paired by seed and draw"""
    gain_ci_low: float
    """lower end of the interval of the gain"""
    gain_ci_high: float
    """upper end of that interval"""
    verdict: str
    """`supported`, `not supported`, `undecided` or `not testable`"""
    source: str
    """tables that the estimate is from"""
    caution: str
    """what the losses show to be wrong with the networks; empty if nothing"""


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
