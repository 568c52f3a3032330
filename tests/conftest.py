"""Shapes stated in signatures are checked wherever a test calls the library."""

from jaxtyping import install_import_hook

install_import_hook("geometry", "beartype.beartype")
