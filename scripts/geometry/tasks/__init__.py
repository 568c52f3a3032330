"""What a network is trained on, and its ground truth.

Imports `processes` alone.
"""
