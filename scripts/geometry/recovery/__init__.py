"""From a network's predictions and activations back to the process: spectral learning, symmetries.

Imports `probing` and `processes`; no torch.
"""
