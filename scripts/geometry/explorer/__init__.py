"""The explorer: one page with the belief states, the networks and the claims of a study, and what it is packed from.

Imports `processes`, `tasks`, `networks`, `probing`, `interventions`, `modular_circuit` and `claims`.
"""
