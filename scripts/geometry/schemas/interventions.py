"""Schema of the table of interventions on activations."""

from geometry.schemas.networks import OfExperiment


class Steering(OfExperiment):
    """Predictions after counterfactual beliefs are written into the activations, or directions are removed."""

    path = "results/{experiment}/{run}/steering.csv"
    key = ("seed", "site", "partner", "intervention", "dose", "tokens_later", "metric")

    seed: int
    """seed of the network, taken at its last snapshot"""
    site: str
    """hook point that is changed"""
    partner: str
    """whose belief is written: `any` other prefix of the length, or one with an `equal_next_token` prediction"""
    intervention: str
    """direction of the change: `pattern` (encoding), `filter` (decoding), `random`; or `none`, `ablate_belief`,
    `ablate_random`"""
    dose: float
    """share of the change that is written"""
    tokens_later: int
    """tokens between the changed position and the prediction"""
    n_pairs: int
    """pairs of prefixes"""
    metric: str
    """divergence from the optimal predictions that the written belief, the original one, or none implies"""
    value: float
    """mean divergence [nats]"""
