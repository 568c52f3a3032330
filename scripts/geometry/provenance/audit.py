"""The audit: a comparison of the files of a study with their records, and of the records with the checkout.

Each function yields the discrepancies that it finds, each one sentence that names the file and ends with its remedy.
`plan` holds the files of all planned jobs of the present study; other files belong to another study.
"""

import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from geometry.provenance.code_digest import Code, file_digest
from geometry.provenance.job_graph import PlannedJob
from geometry.provenance.records import Record
from geometry.provenance.requirements_lock import HOW_TO_INSTALL, Pin, hidden_package, installed_version, is_pinned


def broken_files(records: Iterable[Record], plan: Container[str], closed: Container[str] = ()) -> Iterator[str]:
    """Files that are missing or differ from their record, except those behind a `closed` path."""
    for record in records:
        for path, digest in record.outputs.items():
            if is_behind(path, closed):
                continue
            if not Path(path).is_file():
                yield f"{path}: missing; {record.job} wrote it. {remedy(path, plan)}"
            elif file_digest(path) != digest:
                yield f"{path}: not the content that {record.job} wrote. {remedy(path, plan)}"


def broken_links(records: Iterable[Record], maker: Mapping[str, Record], plan: Container[str]) -> Iterator[str]:
    """Files whose recorded inputs differ from the records or contents of these inputs."""
    for record in records:
        first = next(iter(record.outputs))
        for path, digest in record.inputs.items():
            own = not Path(path).is_relative_to("results")  # the user's own file, without a record
            if path in maker:
                if digest != maker[path].outputs[path]:
                    yield f"{first}: made from another {path} than {maker[path].job} wrote. {remedy(first, plan)}"
            elif own and not Path(path).is_file():
                yield f"{first}: made from {path}, which is gone. Put it back"
            elif not own and path not in plan and Path(path).suffix != ".json":
                yield f"{first}: made from {path}, of which there is no record. {remedy(path, plan)}"
            elif Path(path).is_file() and digest != file_digest(path):
                yield f"{first}: made from another {path} than is there. {remedy(first, plan)}"


def conflicting_records(records: Iterable[Record], maker: Mapping[str, Record], plan: Container[str]) -> Iterator[str]:
    """Pairs of records that claim the same file."""
    for record in records:
        for path in record.outputs:
            if maker[path] is not record:
                pair = sorted([record.path, maker[path].path], key=lambda name: name in plan)
                conflict = f"tells of {path}, of which {pair[1]} tells too"
                yield f"{pair[0]}: {conflict}. Move the one that is wrong out of results/"


def stray_files(files: Iterable[Path], known: Container[str]) -> Iterator[str]:
    """Files of `files_below` without a record, unreadable folders, and links without a target."""
    for path in files:
        if is_dead(path):
            remove = "Bring that back, or remove the link and run: snakemake"
            yield f"{path}: a link to {os.readlink(path)}, where nothing is. {remove}"
        elif is_closed(path):
            yield f"{path}: a folder that cannot be read. Make it readable, and audit again"
        elif str(path) not in known:
            leads = f"a link to {os.readlink(path)}; " if path.is_symlink() else ""
            again = "" if os.path.isdir(path) else ", or make it again with its record"
            yield f"{path}: {leads}no record that can be read tells of it. {MOVE_AWAY}{again}"


def is_dead(path: Path) -> bool:
    """True for a link without a target, or to itself."""
    return path.is_symlink() and not os.path.exists(path)


def is_closed(path: Path) -> bool:
    """True for paths of `files_below` behind which nothing can be read: dead links and folders."""
    return is_dead(path) or (os.path.isdir(path) and not path.is_symlink())


def is_behind(path: str, closed: Container[str]) -> bool:
    """True for a path that is one of the `closed` ones, or leads through one."""
    return any(str(part) in closed for part in (Path(path), *Path(path).parents))


def broken_plan(job: PlannedJob, record: Record | None, code: Code, pins: Mapping[str, Pin]) -> Iterator[str]:
    """Differences between a recorded job and the job that this checkout and configuration would run."""
    first = job.outputs[0]
    if record is None:
        if any(Path(path).exists() for path in job.outputs):
            yield f"{job.record}: missing; nothing tells what {first} was made from. {remedy(first, job.outputs)}"
        else:
            yield f"{first}: not made yet. Run: snakemake"
        return
    differences = [
        *_differing("files written", sorted(record.outputs), sorted(job.outputs)),
        *_differing("files read", sorted(record.inputs), sorted(job.inputs)),
        *_differing("rule", record.content["rule"], job.rule),
        *_differing("wildcards", record.content["wildcards"], job.wildcards),
        *_differences(record.params, job.params),
    ]
    if record.content["code"]["digest"] != code.digest:
        differences += _differences(record.content["code"]["modules"], code.modules, "code of scripts/")
    for name in code.packages:
        installed = record.content["packages"].get(name, "none")
        if not is_pinned(installed, pins[name].version):
            differences.append(f"{name} was {installed}, envs/requirements.txt pins {pins[name].version}")
    if record.content["code"]["digest"] != code.digest and not differences:
        differences.append("the lock had other pins")
    if differences:
        named, others = differences[:MOST_NAMED], len(differences) - MOST_NAMED
        listed = "; ".join([*named, f"and {others} more"] if others > 0 else named)
        yield f"{first}: {MADE_OTHERWISE}: {listed}. {remedy(first, job.outputs)}"


def broken_environment(pins: Mapping[str, Pin]) -> Iterator[str]:
    """Pins of the requirements lock that differ from the installed version."""
    for name, pin in pins.items():
        installed = installed_version(name)
        if problem := hidden_package(name, pin):
            yield f"envs/requirements.txt: {problem}"
        elif not is_pinned(installed, pin.version):
            yield f"envs/requirements.txt: pins {name}=={pin.version}, installed is {installed}; {HOW_TO_INSTALL}"


MADE_OTHERWISE = "made otherwise than now"

MOST_NAMED = 5
"""Differences between a recorded and a planned job that one sentence names."""

MOVE_AWAY = "Move it out of results/"


def remedy(path: str, plan: Container[str]) -> str:
    """The remedy for one file."""
    if path not in plan:
        other = "audit with the --configfile of the one that does, or move it and its record out of results/"
        return f"This study does not make it: {other}"
    target = Path(path).readlink() if Path(path).is_symlink() else Path()
    shared = f"Delete {target}, the shared file. " if re.match("[0-9a-f]{64}", target.name) else ""
    return f"{shared}Make it again: snakemake --force {path}, then snakemake"


def _differing(name: str, then, now) -> list[str]:
    return [] if then == now else [f"{name} was {_short(then)}, is {_short(now)}"]


def _differences(then: Mapping, now: Mapping, key: str = "") -> list[str]:
    """The keys that differ between two nested mappings, with both values."""
    found = []
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        where = f"{key}{name}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += _differences(old, new, f"{where}.")
        else:
            found += _differing(where, old, new)
    return found


def _short(value) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
