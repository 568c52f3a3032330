"""Shapes stated in signatures are checked wherever a test calls the library."""

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("geometry", "beartype.beartype")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
