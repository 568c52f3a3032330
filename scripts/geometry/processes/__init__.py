"""Hidden Markov models and what follows from them alone: belief states, entropies, dimensions.

Imports no other sub-package, and no torch.
"""
