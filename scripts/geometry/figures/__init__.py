"""Style of figures, projection and colours of belief states, and panels that several figures share.

Imports no other sub-package.
"""
