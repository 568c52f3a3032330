"""Networks of modular arithmetic: Fourier circuit, bases, shift symmetry, surgery.

Imports `networks`, `tasks`, `probing` and `recovery`.
"""
