"""The schemas of all tables as Markdown: a heading and a table of columns for each file."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise

from geometry.tables import Schema, columns_of

PHASES = ("training", "probing", "interventions", "recovery", "structure", "modular", "study")
"""The modules of schemas, in the order of the page."""

KINDS = {str: "text", int: "integer", float: "number", int | None: "integer or none"}


def schemas() -> Iterator[type[Schema]]:
    """Every schema of a file, phase by phase; bases that several share have no path."""
    for phase in PHASES:
        module = importlib.import_module(f"geometry.schemas.{phase}")
        for one in vars(module).values():
            if inspect.isclass(one) and one.__module__ == module.__name__ and "path" in vars(one):
                yield one


def texts_of(schema: type[Schema]) -> dict[str, str]:
    """The text behind each column of a schema, as its source has it."""
    found = {}
    for base in reversed(schema.__mro__[:-1]):
        body = ast.parse(inspect.getsource(base)).body[0].body
        for column, text in pairwise(body):
            if isinstance(column, ast.AnnAssign) and isinstance(text, ast.Expr):
                found[column.target.id] = " ".join(text.value.value.split())
    return found


def as_markdown() -> str:
    """All schemas; a unit in square brackets behind a meaning has a column of its own."""
    parts = []
    for schema in schemas():
        lines = [f"### {', '.join(f'`{path}`' for path in schema.path.split(', '))}", ""]
        lines += [
            " ".join(inspect.getdoc(schema).split()),
            "",
            f"Key: {', '.join(f'`{name}`' for name in schema.key)}.",
        ]
        lines += ["", "| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
        texts = texts_of(schema)
        for name, kind in columns_of(schema).items():
            unit = re.search(r" \[(.+?)\]", texts[name])
            meaning = texts[name].replace(unit[0], "") if unit else texts[name]
            lines.append(f"| `{name}` | {KINDS[kind]} | {unit[1] if unit else ''} | {meaning} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
