"""Belief-state geometry in neural networks: the library of the scripts, one sub-package for each subject."""
