"""How figures look: style, projection and colours of belief states.

Imports no other sub-package.
"""
