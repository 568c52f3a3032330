"""Write the exact lock from the environment that runs this: what is installed, and what needs what.

`make lock` calls it. A line of requirements.txt is a pin; its comment says by which name the package is
imported, where that is not its own, and which packages it needs itself. So the lock alone tells which
pins a piece of code depends on. study.yaml gets the same pins, for 'snakemake --sdm conda'. Called with
`cluster` or `language`, it writes what is installed beside these to the file of that name.
"""

import re
import sys
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ENVS = Path(__file__).parent
LEFT_OUT = re.compile(r"nvidia|cuda|triton|pip$|setuptools$")
"""Installers, and CUDA's packages: PyTorch pins those itself, exactly."""


def needs(distribution: Distribution, installed: set[str]) -> list[str]:
    """The installed packages that a package needs on this platform, its optional extras aside."""
    requirements = map(Requirement, distribution.requires or [])
    here = (r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""}))
    return sorted({canonicalize_name(r.name) for r in here} & installed)


def import_names() -> dict[str, list[str]]:
    """By package: the names it is imported by."""
    names: dict[str, list[str]] = {}
    for module, packages in sorted(packages_distributions().items()):
        for package in set(packages):
            names.setdefault(canonicalize_name(package), []).append(module)
    return names


def lock_lines() -> list[str]:
    found = {canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    kept = {name: d for name, d in sorted(found.items()) if not LEFT_OUT.match(name)}
    modules, lines = import_names(), []
    for name, distribution in kept.items():
        own = name.replace("-", "_")
        others = [m for m in modules.get(name, []) if re.fullmatch("[A-Za-z]\\w*", m)]
        notes = [f"imported as {' '.join(others)}"] if own not in others and others else []
        needed = needs(distribution, set(kept))
        notes += [f"needs {' '.join(needed)}"] if needed else []
        pin = f"{distribution.metadata['Name']}=={distribution.version.split('+')[0]}"
        lines.append(f"{pin}  # {'; '.join(notes)}" if notes else pin)
    return lines


def write_study(lines: list[str]) -> None:
    (ENVS / "requirements.txt").write_text(
        "\n".join(["# Made by 'make lock' from requirements.in; do not edit.", *lines]) + "\n", encoding="utf-8"
    )
    head = """\
# Made by 'make lock': the pins of requirements.txt, for 'snakemake --sdm conda'; do not edit.
channels: [conda-forge, nodefaults]
dependencies:
  - python =3.11
  - pip
  - pip:
"""
    (ENVS / "study.yaml").write_text(
        head + "".join(f"      - {line.split(' ')[0]}\n" for line in lines), encoding="utf-8"
    )


def write_others(name: str, lines: list[str]) -> None:
    study = {line.split(" ")[0] for line in (ENVS / "requirements.txt").read_text(encoding="utf-8").splitlines()}
    others = [pin for pin in (line.split(" ")[0] for line in lines) if pin not in study]
    head = f"# Made by 'make lock' from {name}.in; do not edit."
    (ENVS / f"{name}.txt").write_text("\n".join([head, *others]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:]:
        write_others(sys.argv[1], lock_lines())
    else:
        write_study(lock_lines())
