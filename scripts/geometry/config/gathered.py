"""Files made of all experiments together, such as claims and the crate, and the study that those present belong to."""

from collections.abc import Collection, Mapping
from pathlib import Path

from geometry.provenance.records import FOLDER, RecordError, read_record

SOURCE = [
    *("CITATION.cff", "LICENSE", "README.md", "Snakefile", "config.yaml", "envs/*.*", "profiles/*/*.yaml"),
    *("docs/claims.csv", "rules/*.smk", "rules/*/*.yaml", "rules/*/*.rst"),
    *("scripts/**/*.py", "scripts/**/*.mplstyle", "scripts/**/*.html", "scripts/**/*.css", "scripts/**/*.js"),
]
"""Patterns of the files without which the study cannot be run again."""

NAMED = 5
"""How many experiments a sentence names at most."""


def recorded_params(name: str) -> Mapping:
    """The parameters in a record under results/provenance/; none if there is no record."""
    try:
        return read_record(FOLDER / name).params
    except RecordError:
        return {}


def in_words(names: Collection[str]) -> str:
    """Some names, and how many more there are."""
    shown, others = list(names)[:NAMED], len(names) - NAMED
    return ", ".join(shown) + (f" and {others} more" if others > 0 else "")


def replaced(folder: str, experiments: Collection[str]) -> str | None:
    """The sentence on claims of other experiments that a run replaces; None if it replaces none.

    `folder` is that of the study, below results/ and results/provenance/: studies/NAME/, or empty.
    """
    before = recorded_params(f"{folder}collect_claims.json").get("experiments", [])
    if not before or set(before) == set(experiments):
        return None
    return (
        f"{Path('results', folder, 'claims.csv')}, the findings and the report beside it are of {in_words(before)}; "
        f"they are replaced by those of {in_words(experiments)}. To keep them, give this study a name of its own: "
        "--config study=NAME, or the key study."
    )


def has_crate_of_another(study: str | None) -> bool:
    """True if the results have a crate, and it is of another study than that of this name."""
    there = recorded_params("export_crate.json").get("config")
    return there is not None and there.get("study") != study


def source_files(project: Path) -> list[str]:
    """The files, below the project's folder, that the research object holds."""
    return [path.relative_to(project).as_posix() for pattern in SOURCE for path in sorted(project.glob(pattern))]
