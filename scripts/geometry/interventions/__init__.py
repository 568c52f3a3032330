"""Steering and patching of activations.

Imports `probing`, `networks` and `processes`.
"""
