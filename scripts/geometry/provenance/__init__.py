"""Provenance of every file: job records, code digests, audit, research object, job graph.

Imports no other sub-package.
"""
