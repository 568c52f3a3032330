"""Schemas of the tables of networks of modular arithmetic."""

from geometry.schemas.networks import OfNetwork


class Circuit(OfNetwork):
    """Losses, spectra, ablations and attention of the Fourier circuit."""

    path = "results/{experiment}/{run}/circuit.csv"
    key = ("seed", "step", "measure", "frequency", "part")

    measure: str
    """name of the measure; accuracies and shares are fractions, losses end in `_nats`"""
    frequency: int | None
    """frequency, of a measure by frequency"""
    part: str
    """part of the network or of the spectrum, of a measure by part"""
    value: float
    """value of the measure; losses [nats]"""


class Bases(OfNetwork):
    """Sparsity of embedding and unembedding in several bases."""

    path = "results/{experiment}/{run}/bases.csv"
    key = ("seed", "step", "matrix", "basis", "measure", "index")

    matrix: str
    """`W_E` or `W_U`, as functions of the token"""
    basis: str
    """basis; `constant` for the share of the means, which no basis is scored for"""
    measure: str
    """`participation_ratio`, `gini`, `vectors_for_90_percent`, `share_of_largest`, `share`"""
    index: int | None
    """number of the largest vectors, of `share_of_largest`"""
    value: float
    """value of the measure; shares are fractions of the energy"""


class Surgery(OfNetwork):
    """Accuracy of a network after surgery for other moduli, with controls."""

    path = "results/{experiment}/{run}/surgery.csv"
    key = ("seed", "step", "network", "modulus", "n_pairs", "measure", "frequency")

    network: str
    """`surgery`, or a control"""
    modulus: int
    """modulus that the network is cut to"""
    n_pairs: int
    """pairs of numbers that are scored"""
    measure: str
    """`accuracy`, `accuracy_of_all_tokens`, `shift_averaged_accuracy`, `predicted_gap`, `least_gap`,
    `chosen_frequency`"""
    frequency: int | None
    """key frequency of the original network, of `chosen_frequency`"""
    value: float
    """value of the measure; accuracies are fractions, gaps are in units of the logits"""
