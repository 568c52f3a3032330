"""The schemas of all tables, a module for each phase of the study, so that a change reaches its scripts alone.

Imports `tables` alone.
"""
