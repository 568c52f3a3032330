"""Recovery of the process from a network's predictions and activations: spectral learning, symmetries.

Imports `probing` and `processes`; no torch.
"""
