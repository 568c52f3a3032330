"""The records of all jobs, and the ancestry of files that they imply."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from geometry.files import files_below
from geometry.provenance.job import job_name, seal_of

FOLDER = Path("results/provenance")
SCHEMA = Path(__file__).parents[3] / "rules/schemas/record.schema.yaml"


class RecordError(ValueError):
    """A file that is not a valid record; the message is one sentence."""


@dataclass(frozen=True)
class Record:
    """The record of one job, with its path."""

    path: str
    content: Mapping

    @property
    def job(self) -> str:
        return job_name(self.content["rule"], self.content["wildcards"])

    @property
    def outputs(self) -> dict[str, str]:
        """The sha256 of each file that the job wrote."""
        return {**self.content["outputs"], **self.content["run"].get("outputs", {})}

    @property
    def inputs(self) -> dict[str, str]:
        """The sha256 of each file that the job read."""
        return {**self.content["inputs"], **self.content["run"].get("inputs", {})}

    @property
    def params(self) -> dict:
        """The parameters of the job, the digest of its code aside."""
        return {key: value for key, value in self.content["params"].items() if key != "code"}

    @property
    def ran(self) -> str:
        """Start, wall time, peak memory and device, as one line of text."""
        run = self.content["run"]
        return (
            f"{run['started']}  {run['wall_seconds']:.1f} s  {run['peak_memory_bytes'] / 1e6:.0f} MB  {run['device']}"
        )


def read_record(path: str | Path) -> Record:
    """The record in a file; raises `RecordError` if it is invalid or edited."""
    try:
        content = json.loads(Path(path).read_bytes())
        problem = next(_validator().iter_errors(content), None)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: no record: {error}") from None
    if problem is not None:
        raise RecordError(f"{path}: no record: {problem.json_path}: {problem.message}")
    if content["seal"] != seal_of(content):
        raise RecordError(f"{path}: edited since it was written: its seal does not match")
    if Path(path).name.split(".")[0] != content["rule"]:
        raise RecordError(f"{path}: the record of a job of {content['rule']}, under another name")
    return Record(str(path), content)


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(yaml.safe_load(SCHEMA.read_bytes()))


def record_paths() -> list[Path]:
    """All files below the folder of records, links followed."""
    return [path for path in files_below(FOLDER) if path.suffix == ".json"]


def makers(records: list[Record]) -> dict[str, Record]:
    """The record of the job that wrote each file, by path."""
    return {path: record for record in records for path in record.outputs}


def ancestors(path: str, maker: Mapping[str, Record]) -> Iterator[Record]:
    """The records of all jobs in the ancestry of a file, its own first, each once."""
    pending, seen = [path], set()
    while pending:
        record = maker.get(pending.pop(0))
        if record is not None and record.path not in seen:
            seen.add(record.path)
            yield record
            pending.extend(record.inputs)
