"""Schemas of the tables of training and of the exact loss."""

from geometry.schemas.networks import OfSnapshot
from geometry.tables import Schema


class Training(Schema):
    """The loss of a network over its training, at some of the steps."""

    path = "results/{experiment}/{run}/training.csv"
    key = ("seed", "step")

    seed: int
    """seed of the network"""
    step: int
    """steps taken before the batch"""
    tokens_seen: int
    """tokens read before the batch"""
    learning_rate: float
    """learning rate of the step"""
    minibatch_loss_nats: float
    """mean loss on the batch [nats per token]"""
    loss_nats: float
    """expected loss on the batch, over the optimal next-token probabilities [nats per token]"""
    optimal_loss_nats: float
    """loss of optimal predictions on the batch [nats per token]"""
    gap_nats: float
    """`loss_nats` less `optimal_loss_nats` [nats per token]"""
    accuracy: float
    """share of the trained pairs that are answered; of modular arithmetic alone"""
    held_out_loss_nats: float
    """mean loss on the other pairs [nats]; of modular arithmetic alone"""
    held_out_accuracy: float
    """share of the other pairs that are answered; of modular arithmetic alone"""


class Loss(OfSnapshot):
    """Exact loss at each position, in expectation over the task's prefixes, beside those of simpler predictors."""

    path = "results/{experiment}/{run}/loss.csv"
    key = ("seed", "step", "position")

    position: int
    """observed tokens"""
    loss_nats: float
    """expected loss of the network [nats]"""
    optimal_loss_nats: float
    """loss of optimal predictions [nats]"""
    gap_nats: float
    """`loss_nats` less `optimal_loss_nats` [nats]"""
    uniform_loss_nats: float
    """loss of the uniform distribution over the tokens that occur [nats]"""
    unigram_loss_nats: float
    """loss of the token frequencies, whatever the prefix [nats]"""
