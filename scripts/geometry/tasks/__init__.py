"""Tasks on which networks are trained, and their ground truth.

Imports `processes` alone.
"""
