"""Regressions of belief states on activations: designs, baselines, control targets, cross-validation, scores.

Imports `processes`, `tasks` and the names of hook points; no torch.
"""
