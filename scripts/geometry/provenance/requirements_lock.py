"""The requirements lock: exact pins, import names of packages, and their dependencies."""

import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from packaging.utils import canonicalize_name

NOTES = r"(?: imported as (?P<modules>[^;]+);?)?(?: needs (?P<needs>.+))?"
LINE = re.compile(rf"(?P<name>[\w.-]+)==(?P<version>[^\s#]+)(?:  #{NOTES})?")

HOW_TO_INSTALL = "run: rm .venv/lock.txt; make environment"
HOW_TO_UNCOVER = "unset PYTHONPATH"


class LockError(ValueError):
    """An invalid requirements lock, or a package that it lacks; the message is one sentence."""


@dataclass(frozen=True)
class Pin:
    """The pin of one package."""

    version: str
    modules: tuple[str, ...]  # import names
    needs: tuple[str, ...]  # other packages


@cache
def read_lock(path: Path) -> dict[str, Pin]:
    """The pins of a requirements lock by canonical package name."""
    pins = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise LockError(f"{path}, line {number} is {line!r}; it must be name==version (made by 'make lock')")
        name = canonicalize_name(found["name"])
        modules = (found["modules"] or name.replace("-", "_")).split()
        pins[name] = Pin(found["version"], tuple(modules), tuple((found["needs"] or "").split()))
    return pins


def packages_of(modules: Iterable[str], lock: Path) -> dict[str, str]:
    """The pinned versions of the packages of some imported modules, and of their dependencies."""
    pins = read_lock(lock)
    package_of = {module: name for name, pin in pins.items() for module in pin.modules}
    for module in modules:
        if module not in package_of:
            raise LockError(
                f"no package of {lock.name} is imported as {module!r}; "
                "add it to envs/requirements.in and run 'make lock'"
            )
    found, pending = set(), [package_of[module] for module in modules]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(pins[name].needs)
    return {name: pins[name].version for name in sorted(found)}


def installed_version(package: str) -> str:
    """The version of a package in the environment that runs this, or "none"."""
    try:
        return version(package) or "none"
    except (PackageNotFoundError, OSError, KeyError):  # the last two: truncated metadata
        return "none"


def is_pinned(installed: str, pinned: str) -> bool:
    """True if a version is the pinned one, build tags aside (2.13.0+cpu is 2.13.0)."""
    return installed.split("+", maxsplit=1)[0] == pinned


def wrong_version(package: str, pin: Pin) -> str | None:
    """A sentence if the installed version differs from the pin, else None."""
    installed = installed_version(package)
    if is_pinned(installed, pin.version):
        return None
    return f"{package} {installed} is installed, envs/requirements.txt pins {pin.version}; {HOW_TO_INSTALL}"


@cache
def hidden_package(package: str, pin: Pin) -> str | None:
    """A sentence if another version, in a folder that precedes the environment, shadows the package, else None."""
    for folder, remedy in covering_folders().items():
        found = next(iter(distributions(name=package, path=[folder])), None)
        specs = (PathFinder.find_spec(module, [folder]) for module in pin.modules)
        if found is None and not any(spec and spec.origin for spec in specs):
            continue
        covers = installed_version(package) if found else "none"  # the first that is found
        covers = "of unknown version" if covers == "none" else covers
        if not is_pinned(covers, pin.version):
            return (
                f"{package} {covers} in {folder} hides what this environment has; "
                f"envs/requirements.txt pins {pin.version}: {remedy}"
            )
    return None


def covering_folders() -> dict[str, str]:
    """Folders that environment variables put before the environment's own packages, each with its remedy."""
    own = {os.path.realpath(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    named = os.environ.get("PYTHONPATH")
    found = dict.fromkeys(map(os.path.abspath, named.split(os.pathsep)), HOW_TO_UNCOVER) if named else {}
    if site.ENABLE_USER_SITE:
        found.setdefault(site.getusersitepackages(), "set PYTHONNOUSERSITE=1")
    searched = set(map(os.path.abspath, sys.path))
    return {folder: how for folder, how in found.items() if folder in searched and os.path.realpath(folder) not in own}
