"""Shapes stated in signatures are checked wherever a test calls the library."""

from pathlib import Path

from hypothesis import settings
from jaxtyping import install_import_hook

SCRIPTS = Path(__file__).parents[1] / "scripts"
MODULES = {
    ".".join(path.relative_to(SCRIPTS).with_suffix("").parts) for path in (SCRIPTS / "geometry").rglob("[!_]*.py")
}
UNCHECKED = {"geometry.networks.cpu_kernels"}  # what Numba compiles cannot be wrapped

install_import_hook(sorted(MODULES - UNCHECKED), "beartype.beartype")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
