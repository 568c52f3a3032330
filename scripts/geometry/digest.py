"""A digest of what a script does: its own code and that of every local module it imports.

Comments, docstrings and formatting do not count; any statement does. As a parameter of each rule it
reruns exactly the rules whose code changed, which Snakemake, watching one file's date, cannot.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path


def code_digest(script: str | Path) -> str:
    """The digest of a script and its local imports; modules are looked for beside the script."""
    script = Path(script).resolve()
    digest = hashlib.sha256()
    for path in sorted(reachable_files(script, script.parent)):
        digest.update(f"{path.relative_to(script.parent).as_posix()}\n{statements(path)}\n".encode())
    return digest.hexdigest()[:16]


def content_digest(files: Iterable[Path]) -> str:
    """The digest of some files' names and bytes, wherever they are."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def reachable_files(script: Path, root: Path) -> set[Path]:
    """A script and the files under `root` that it imports, directly or through one another."""
    found, pending = set(), [script]
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            pending.extend(local_imports(path, root))
    return found


@cache
def local_imports(path: Path, root: Path) -> tuple[Path, ...]:
    """The files under `root` that a file imports by absolute name, packages' ``__init__.py`` included."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    files = set()
    for name in names:
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            base = root.joinpath(*parts[:depth])
            files.update(f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file())
    return tuple(files)


@cache
def statements(path: Path) -> str:
    """A file's code in one form, without comments and docstrings."""
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [item for item in body if not _is_text(item)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))
