"""Shapes stated in signatures are checked wherever a test calls the library."""

from pathlib import Path

from hypothesis import settings
from jaxtyping import install_import_hook

MODULES = {path.stem for path in (Path(__file__).parents[1] / "scripts/geometry").glob("*.py")}
# What Numba compiles cannot be wrapped.
install_import_hook([f"geometry.{name}" for name in sorted(MODULES - {"kernels", "__init__"})], "beartype.beartype")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
