"""The code digest of a script: of its own code, every local module and every package that it imports.

It depends on all statements, and on the pinned versions of the packages that these modules import and their
dependencies, but not on comments, docstrings and formatting. As a parameter of each rule it
reruns exactly the rules whose code changed; Snakemake itself only compares the script's own date.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from geometry.provenance.requirements_lock import LockError, packages_of


@dataclass(frozen=True)
class Code:
    """The code of a script: digests of its modules by path, versions of its packages by name."""

    modules: dict[str, str]
    packages: dict[str, str]

    @property
    def digest(self) -> str:
        return _sha256(f"{self.modules}{self.packages}".encode())[:16]


def code_of(script: Path, lock: Path) -> Code:
    """The code of a script; local modules are resolved beside it, packages in the requirements lock.

    Raises `LockError` if the lock lacks an imported package, or an import is relative.
    """
    root = script.parent
    files = sorted(reachable_files(script, root))
    modules = {path.relative_to(root).as_posix(): statements(path)[:16] for path in files}
    return Code(modules, packages_of(sorted(set().union(*(third_party_imports(path, root) for path in files))), lock))


def content_digest(files: Iterable[Path]) -> str:
    """The digest of the names and bytes of some files, independent of their folder."""
    return _sha256(b"".join(f"{path.name}\n".encode() + path.read_bytes() for path in sorted(files)))[:16]


def file_digest(path: str | Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


SAMPLES, SAMPLE_BYTES = 64, 2**16
"""Places of a large file that its sampled digest reads, and bytes at each."""


def sampled_digest(path: str | Path) -> str:
    """The sha256 of a file's size and of its bytes or, of a large file, of those at evenly spaced places.

    It shows that a file was replaced, in the time of a moment; a record has the digest of all bytes.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        if size <= SAMPLES * SAMPLE_BYTES:
            return file_digest(path)
        found = hashlib.sha256(str(size).encode())
        for place in range(SAMPLES):
            file.seek(place * (size - SAMPLE_BYTES) // (SAMPLES - 1))
            found.update(file.read(SAMPLE_BYTES))
        return found.hexdigest()


def reachable_files(script: Path, root: Path) -> set[Path]:
    """A script and the files under `root` that it imports, directly or through one another."""
    found, pending = set(), [script]
    while pending:
        path = pending.pop()
        if path not in found:
            found.add(path)
            for name in imports(path):
                pending.extend(local_files(name, root))
    return found


def third_party_imports(path: Path, root: Path) -> set[str]:
    """The top-level names that a file imports from neither `root` nor the standard library."""
    names = {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names
    return {name for name in names if not (root / name).is_dir() and not (root / f"{name}.py").is_file()}


@cache
def local_files(name: str, root: Path) -> tuple[Path, ...]:
    """The files under `root` that importing an absolute name runs, packages' ``__init__.py`` included."""
    parts = name.split(".")
    bases = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    return tuple(f for base in bases for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file())


def imports(path: Path) -> frozenset[str]:
    """The absolute names that a file imports when it runs."""
    return _read(path)[0]


def statements(path: Path) -> str:
    """The sha256 of a file's syntax tree."""
    return _read(path)[1]


@cache
def _read(path: Path) -> tuple[frozenset[str], str]:
    """A file's imports and the digest of its syntax tree, in one pass, since each start of Snakemake waits for it."""
    names, parts = set(), []

    def write(node) -> None:
        """A syntax tree as text, without empty fields, in which versions of Python differ."""
        kind = type(node)
        if kind is list:
            for item in node:
                write(item)
                parts.append(",")
            return
        if not isinstance(node, ast.AST):
            parts.append(repr(node))
            return
        if kind in WITH_BODY:
            node.body = list(_that_runs(node.body))
        elif kind is ast.Import:
            names.update(alias.name for alias in node.names)
        elif kind is ast.ImportFrom and node.level:
            raise LockError(f"{path} imports relatively ({ast.unparse(node)}); import by the absolute name")
        elif kind is ast.ImportFrom:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        parts.append(f"{kind.__name__}(")
        for name in kind._fields:
            if (value := getattr(node, name, None)) is not None and value != []:
                parts.append(f"{name}=")
                write(value)
                parts.append(";")
        parts.append(")")

    write(ast.parse(path.read_bytes(), filename=str(path)))
    return frozenset(names), _sha256("".join(parts).encode())


WITH_BODY = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
"""Nodes that can begin with a docstring."""


def _that_runs(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements except docstrings and imports for type checkers."""
    for node in body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from _that_runs(node.orelse)
        elif not _is_text(node):
            yield node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
