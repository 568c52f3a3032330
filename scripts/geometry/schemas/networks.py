"""Columns that the tables of tasks, experiments and networks share."""

from geometry.tables import Schema


class OfTask(Schema):
    """A task."""

    task: str
    """name of the task: its process, parameters and context"""


class OfExperiment(Schema):
    """An experiment."""

    experiment: str
    """name of the experiment"""


class OfNetwork(OfExperiment):
    """A network at one snapshot."""

    seed: int
    """seed of the network's initialisation"""
    step: int
    """training steps taken; 1 stands for those of a pretrained network, which are not known"""


class OfSnapshot(OfNetwork):
    """A network at one snapshot, with the origin of its weights."""

    origin: str
    """where the weights are from: `random_init`, `trained` or `pretrained`"""
