"""A short document of headings, paragraphs and tables, written as Markdown or as a page of HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Table:
    """A row of names, and rows of as many cells; raises `ValueError` if one has not as many."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self):
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError("a row of the table has not as many cells as its header")


Part = Heading | Paragraph | Table

STYLE = """body {font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222}
table {border-collapse: collapse; margin: 1em 0; font-size: 13px}
th, td {text-align: left; padding: .25em .8em .25em 0; border-bottom: 1px solid #ddd; vertical-align: top}
th {border-bottom: 2px solid #888}"""


def as_markdown(parts: Sequence[Part]) -> str:
    """The document in Markdown; HTML is escaped, and what would end a cell."""
    return "\n".join(_markdown(part) for part in parts)


def _markdown(part: Part) -> str:
    if isinstance(part, Table):
        rows = [part.header, ["---"] * len(part.header), *part.rows]
        return "".join(f"| {' | '.join(_plain(cell).replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)
    mark = "#" * part.level + " " if isinstance(part, Heading) else ""
    return f"{mark}{_plain(part.text)}\n"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def as_html(title: str, parts: Sequence[Part]) -> str:
    """The document as a page that needs nothing else."""
    body = "\n".join(_html(part) for part in parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _html(part: Part) -> str:
    if isinstance(part, Table):
        head, *rows = ["".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) for tag, row in _tagged(part)]
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    tag = f"h{part.level}" if isinstance(part, Heading) else "p"
    return f"<{tag}>{escape(part.text)}</{tag}>"


def _tagged(table: Table):
    yield "th", table.header
    for row in table.rows:
        yield "td", row
