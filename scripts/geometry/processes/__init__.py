"""Hidden Markov models and quantities that depend on them alone: belief states, entropies, dimensions.

Imports no other sub-package, and no torch.
"""
