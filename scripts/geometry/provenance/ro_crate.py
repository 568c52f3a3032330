"""A finished study as a Workflow Run RO-Crate: its files, jobs, parameters and software as linked data.

The crate is the folder results/ itself. Its profile is Provenance Run Crate 0.5 with those that it extends,
over RO-Crate 1.1 (https://w3id.org/ro/wfrun/provenance/0.5): the Snakefile is the workflow, a rule is a step,
its script is the tool, and a job is an action that uses the tool on files and parameters.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from mimetypes import MimeTypes
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from rocrate.model import ContextEntity, DataEntity
from rocrate.model.computerlanguage import snakemake as snakemake_language
from rocrate.rocrate import ROCrate

from geometry.provenance.code_digest import file_digest
from geometry.provenance.records import FOLDER, Record

ROOT = FOLDER.parent
SNAKEFILE, CONFIGURATION = "workflow/Snakefile", "workflow/study.yaml"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
BASE_PROFILES = ["https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0"]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    BASE_PROFILES[1]: "Workflow RO-Crate",
}
WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
COMPLETED = "http://schema.org/CompletedActionStatus"
VALUE_TYPES = {bool: "Boolean", int: "Integer", float: "Float"}
MEDIA_TYPES = MimeTypes()  # Python's own table; that of `mimetypes.guess_type` differs between machines
MEDIA_TYPES.add_type("application/octet-stream", ".safetensors")
MEDIA_TYPES.add_type("application/yaml", ".yaml")
MEDIA_TYPES.add_type("text/markdown", ".md")


def fragment(*parts: str) -> str:
    """The identifier of an entity other than a file."""
    return "#" + "/".join(quote(part, safe="") for part in parts)


def is_inside(path: str | Path) -> bool:
    """True for files of the crate, false for the user's own, such as pretrained weights."""
    return PurePosixPath(path).is_relative_to(ROOT)


def file_id(path: str | Path) -> str:
    """The identifier of a file under results/, or of one elsewhere that was read."""
    return (
        quote(PurePosixPath(path).relative_to(ROOT).as_posix()) if is_inside(path) else fragment("outside", str(path))
    )


def tool_path(rule: str) -> str:
    return f"workflow/scripts/{rule}.py"


def job_id(record: Record, part: str = "job") -> str:
    return fragment(part, *PurePosixPath(record.path).relative_to(FOLDER).with_suffix("").parts)


def link(identifier: str) -> dict:
    return {"@id": identifier}


def links(identifiers: Iterable[str]) -> dict | list[dict]:
    """References to entities."""
    return sole([link(identifier) for identifier in sorted(set(identifiers))])


def sole(values: list) -> object:
    """The only value of a list of one, else the list: RO-Crate has no lists of one."""
    return values[0] if len(values) == 1 else values


def entity(identifier: str, kind: str | list[str], **properties) -> dict:
    """An entity of the crate, without properties that are None or empty."""
    known = {name: value for name, value in properties.items() if value not in (None, [])}
    return {"@id": identifier, "@type": kind, **known}


def file_entity(path: str | Path, sha256: str | None = None, kind: str | list[str] = "File", **properties) -> dict:
    """A file under results/; without a given sha256, the file is read. A deleted file has no size."""
    described = {
        "name": PurePosixPath(path).relative_to(ROOT).as_posix(),
        "encodingFormat": MEDIA_TYPES.guess_type(PurePosixPath(path).name)[0] or "text/plain",
        "contentSize": str(Path(path).stat().st_size) if Path(path).exists() else None,
        "sha256": sha256 or file_digest(path),
    }
    return entity(file_id(path), kind, **{**described, **properties})


def outside_entity(path: str, sha256: str) -> dict:
    """An input file outside the crate, identified by its sha256."""
    return entity(file_id(path), "CreativeWork", name=PurePosixPath(path).name, sha256=sha256)


def leaves(params: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    """The values in nested parameters, each with its dotted name."""
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def parameter_values(record: Record) -> list[dict]:
    """A job's parameters, without the digest of its code; values other than text and numbers as JSON."""
    rule = record.content["rule"]
    return [
        entity(
            fragment("parameter", rule, name, json.dumps(value)),
            "PropertyValue",
            name=name,
            value=value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False),
            exampleOfWork=link(fragment("parameter", rule, name)),
        )
        for name, value in leaves(record.params)
    ]


def formal_parameters(records: list[Record]) -> list[dict]:
    """The names and types of the parameters of some jobs."""
    names, types = {}, {}
    for value in (value for record in records for value in parameter_values(record)):
        identifier = value["exampleOfWork"]["@id"]
        names[identifier] = value["name"]
        types.setdefault(identifier, set()).add(VALUE_TYPES.get(type(value["value"]), "Text"))
    return [entity(key, "FormalParameter", name=names[key], additionalType=sole(sorted(types[key]))) for key in names]


def package(name: str, version: str) -> dict:
    """A released version of a package; a build tag is a fragment of the release's address."""
    url, (release, _, build) = f"https://pypi.org/project/{name}/", version.partition("+")
    identifier = f"{url}{release}/#{build}" if build else f"{url}{release}/"
    return entity(identifier, "SoftwareApplication", name=name, softwareVersion=version, url=url)


def requirements(record: Record) -> list[dict]:
    """The Python and the packages that a job's code ran on."""
    url, version = "https://www.python.org/", record.content["python"]
    release = f"{url}downloads/release/python-{version.replace('.', '')}/"
    python = entity(release, "SoftwareApplication", name="Python", softwareVersion=version, url=url)
    return [python, *(package(*item) for item in record.content["packages"].items())]


def rule_entities(rule: str, records: list[Record], citation: Mapping) -> Iterator[dict]:
    """A rule: the script, its parameters and software, and the step of the workflow that it implements."""
    parameters = formal_parameters(records)
    software = [item for record in records for item in requirements(record)]
    yield file_entity(
        ROOT / tool_path(rule),
        kind=["File", "SoftwareSourceCode"],
        url=citation.get("repository-code"),
        version=sole(sorted({record.content["code"]["digest"] for record in records})),
        input=links(item["@id"] for item in parameters),
        softwareRequirements=links(item["@id"] for item in software),
    )
    yield entity(fragment("step", rule), "HowToStep", name=rule, workExample=link(tool_path(rule)))
    yield from parameters
    yield from software


def action(identifier: str, kind: str, name: str, instrument: str, objects: Iterable[str], **properties) -> dict:
    """A completed action, with its instrument and objects."""
    means = {"instrument": link(instrument), "object": links(objects)}
    return entity(identifier, kind, name=name, actionStatus=COMPLETED, **means, **properties)


def span(records: list[Record]) -> dict:
    """The start of the first of some jobs and the end of the last."""
    runs = [record.content["run"] for record in records]
    return {"startTime": min(run["started"] for run in runs), "endTime": max(run["ended"] for run in runs)}


def job_entities(record: Record) -> Iterator[dict]:
    """A job: what it did, that the workflow had it done, its record and its parameters."""
    rule, run, values = record.content["rule"], record.content["run"], parameter_values(record)
    commit = f"{run['commit'] or 'unknown'}{' with uncommitted changes' if run['dirty'] else ''}"
    text = f"{rule} ran on {run['device']}, {run['processor']}, {run['platform']}, commit {commit}"
    objects = [*map(file_id, record.inputs), *(value["@id"] for value in values)]
    done = {"description": text, "result": links(map(file_id, record.outputs)), **span([record])}
    identifier, control, step = job_id(record), job_id(record, "control"), fragment("step", rule)
    yield action(identifier, "CreateAction", record.job, tool_path(rule), objects, **done)
    yield action(control, "ControlAction", f"Start of {record.job}", step, [identifier])
    yield file_entity(record.path, about=link(identifier))
    yield from values


def run_entities(records: list[Record], engine: str) -> Iterator[dict]:
    """The run of the whole study, from its configuration to all its files, and that of Snakemake."""
    snakemake, times = package("snakemake", engine), span(records)
    controls = [job_id(record, "control") for record in records]
    files = links(file_id(path) for record in records for path in record.outputs)
    done = {"description": f"All {len(records)} jobs of the study", "result": files, **times}
    started = {"result": link("#run"), **times}
    yield action("#run", "CreateAction", "Run of the study", SNAKEFILE, [CONFIGURATION], **done)
    yield action("#engine", "OrganizeAction", f"Run of Snakemake {engine}", snakemake["@id"], controls, **started)
    yield snakemake
    yield file_entity(ROOT / CONFIGURATION)


def artefact_entities(records: list[Record]) -> Iterator[dict]:
    """The files that the jobs read and wrote."""
    read = {path: digest for record in records for path, digest in record.inputs.items()}
    written = {path: digest for record in records for path, digest in record.outputs.items()}
    for path, digest in sorted({**read, **written}.items()):
        yield file_entity(path, digest) if is_inside(path) else outside_entity(path, digest)


def author(description: Mapping) -> dict:
    """One of the authors in a CITATION.cff."""
    person = " ".join(description[part] for part in ("given-names", "family-names") if part in description)
    name, kind = (person, "Person") if person else (description["name"], "Organization")
    return entity(fragment("author", name), kind, name=name)


def credit(citation: Mapping) -> dict:
    """Properties of both the workflow and its results: title, abstract, authors and licence."""
    return {
        "name": citation["title"],
        "description": citation.get("abstract", citation["title"]),
        "author": links(author(item)["@id"] for item in citation["authors"]),
        "license": link(f"https://spdx.org/licenses/{citation['license']}"),
    }


def workflow_entities(rules: Iterable[str], citation: Mapping) -> Iterator[dict]:
    """The Snakefile, which is the workflow, and its authors and licence."""
    dated = {"version": str(citation["version"]), "datePublished": str(citation["date-released"])}
    yield file_entity(
        ROOT / SNAKEFILE,
        kind=["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        conformsTo=link(WORKFLOW_PROFILE),
        url=citation.get("repository-code"),
        programmingLanguage=link("https://w3id.org/workflowhub/workflow-ro-crate#snakemake"),
        hasPart=links(map(tool_path, rules)),
        step=links(fragment("step", rule) for rule in rules),
        **credit(citation),
        **dated,
    )
    yield from map(author, citation["authors"])
    yield entity(credit(citation)["license"]["@id"], "CreativeWork", name=citation["license"])


def root_properties(records: list[Record], citation: Mapping) -> dict:
    """The properties of the crate itself; its date is that of its last job."""
    return {
        **credit(citation),
        "datePublished": span(records)["endTime"],
        "conformsTo": links(PROFILES),
        "mainEntity": link(SNAKEFILE),
        "mentions": links(["#run", *map(job_id, records)]),
    }


def study_crate(records: list[Record], source: Iterable[str], citation: Mapping, engine: str) -> str:
    """The text of results/ro-crate-metadata.json, a function of the arguments and their files only.

    `source` are the workflow's copied files by path under results/, `citation` is the content of its
    CITATION.cff, `engine` the version of Snakemake. Paths are relative to the working directory.
    """
    records = sorted(records, key=lambda record: record.path)
    rules: dict[str, list[Record]] = {}
    for record in records:
        rules.setdefault(record.content["rule"], []).append(record)
    entities = [  # of equal identifiers the last one, the most detailed, counts
        *(file_entity(ROOT / path, about=link("./") if path == "README.md" else None) for path in sorted(source)),
        *artefact_entities(records),
        *workflow_entities(rules, citation),
        *run_entities(records, engine),
        *(item for record in records for item in job_entities(record)),
        *(item for rule, jobs in rules.items() for item in rule_entities(rule, jobs, citation)),
        *(entity(key, "CreativeWork", name=name, version=key.rpartition("/")[2]) for key, name in PROFILES.items()),
    ]
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    crate.metadata["conformsTo"] = links(BASE_PROFILES)
    crate.add(snakemake_language(crate, engine))
    for item in entities:
        kind = DataEntity if "File" in item["@type"] else ContextEntity
        crate.add(kind(crate, item["@id"], item))
    for name, value in root_properties(records, citation).items():
        crate.root_dataset[name] = value
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False) + "\n"
