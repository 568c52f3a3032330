"""Batches, gradients and the training loop, with resumption.

Imports `networks`, `tasks` and `processes`.
"""
