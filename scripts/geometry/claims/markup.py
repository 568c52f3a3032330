"""A short document of headings, paragraphs, tables and one matrix, written as Markdown or as a page of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from geometry.claims.outcomes import OUTCOMES


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


@dataclass(frozen=True)
class Cell:
    """An outcome with its numbers; the note has the rest, and appears while the cell is pointed at or has the focus."""

    outcome: str
    numbers: str
    note: str


@dataclass(frozen=True)
class Matrix:
    """Rows by name, each with a cell for every column, or None; and the number of cells of each outcome."""

    header: Sequence[str]
    rows: Mapping[str, Sequence[Cell | None]]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Section:
    """Parts below a heading, which a page shows when it is opened."""

    heading: Heading
    parts: Sequence["Part"]


NO_CLAIM = "no such claim"

Part = Heading | Paragraph | Table | Matrix | Section

STYLE = """:root {color-scheme: light dark; --paper: #fff; --ink: #222; --line: #ccc;
  --supported: #cfe6f7; --opposed: #f9d0b8; --undecided: #fdf1c0; --untestable: #e6e6e6}
@media (prefers-color-scheme: dark) {:root {--paper: #16181a; --ink: #ddd; --line: #444;
  --supported: #0b3f63; --opposed: #6b2a08; --undecided: #4a4000; --untestable: #33363a}}
* {print-color-adjust: exact}
body {font: 15px/1.5 system-ui, sans-serif; max-width: 84em; margin: 1.5em auto; padding: 0 1em 9em;
  color: var(--ink); background: var(--paper)}
p {max-width: 60em} h2, h3 {font-size: 1.2em; margin: 1em 0 .5em}
details {margin: .6em 0} summary {cursor: pointer} summary h2 {display: inline}
.scroll {overflow-x: auto; margin: 1em 0}
table {border-collapse: collapse; font-size: 13px}
th, td {text-align: left; padding: .25em .8em .25em 0; border-bottom: 1px solid var(--line); vertical-align: top}
thead th {border-bottom: 2px solid var(--line)}
.matrix th, .matrix td {padding: .2em .6em; white-space: nowrap}
.matrix th:first-child {position: sticky; left: 0; min-width: 22em; padding-left: 0; white-space: normal;
  font-weight: normal; background: var(--paper)}
.matrix td, .legend li {border: 2px solid var(--paper)}
.matrix b, .legend b {display: inline-block; min-width: 1.5em; text-align: center}
.legend {list-style: none; padding: 0; font-size: 13px} .legend li {display: inline-block; padding: .1em .6em}
.supported {background: var(--supported)} .opposed {background: var(--opposed)}
.undecided {background: var(--undecided)} .untestable {background: var(--untestable)}
.matrix .one, .legend .one {border-style: dotted; border-color: var(--ink)}
.word {position: absolute; clip-path: inset(50%)}
.note {position: fixed; inset: auto 0 0 0; visibility: hidden; padding: .6em 1em; white-space: pre-line;
  color: var(--ink); background: var(--paper); border-top: 3px solid var(--ink)}
td:focus {outline: 2px solid var(--ink)} td:focus .note {visibility: visible; z-index: 1}
td:hover .note {visibility: visible; z-index: 2}
@media (max-width: 40em) {.matrix th:first-child {min-width: 8.5em}}
@page {size: landscape}
@media print {.note {display: none} .scroll {overflow: visible} body {padding-bottom: 0} table {font-size: 9px}
  .matrix th, .matrix td {white-space: normal; overflow-wrap: anywhere} .matrix th:first-child {min-width: 16em}
  details::details-content {content-visibility: visible; height: auto}}"""


def as_markdown(parts: Sequence[Part]) -> str:
    """The document in Markdown; HTML is escaped, and what would end a cell."""
    return "\n".join(_markdown(part) for part in parts)


def _markdown(part: Part) -> str:
    if isinstance(part, Section):
        return as_markdown([part.heading, *part.parts])
    if isinstance(part, Matrix):
        part = _table_of(part)
    if isinstance(part, Table):
        rows = [part.header, ["---"] * len(part.header), *part.rows]
        return "".join(f"| {' | '.join(_plain(cell).replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)
    mark = "#" * part.level + " " if isinstance(part, Heading) else ""
    return f"{mark}{_plain(part.text)}\n"


def _table_of(matrix: Matrix) -> Table:
    text = {
        name: [f"{cell.outcome}: {cell.numbers}" if cell else "" for cell in row] for name, row in matrix.rows.items()
    }
    return Table(matrix.header, [[name, *row] for name, row in text.items()])


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def as_html(title: str, parts: Sequence[Part]) -> str:
    """The document as a page that needs nothing else."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style></head>\n<body>\n{_html_of(parts)}\n</body></html>\n"
    )


def _html_of(parts: Sequence[Part]) -> str:
    return "\n".join(_html(part) for part in parts)


def _html(part: Part) -> str:
    if isinstance(part, Section):
        return f"<details><summary>{_html(part.heading)}</summary>\n{_html_of(part.parts)}\n</details>"
    if isinstance(part, Matrix):
        rows = (f'<th scope="row">{escape(name)}</th>' + "".join(map(_cell, row)) for name, row in part.rows.items())
        return _legend(part.counts) + _grid("matrix", part.header, rows)
    if isinstance(part, Table):
        rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in part.rows)
        return _grid("table", part.header, rows)
    tag = f"h{part.level}" if isinstance(part, Heading) else "p"
    return f"<{tag}>{escape(part.text)}</{tag}>"


def _grid(style: str, header: Sequence[str], rows) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="{style}"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return f"<td>{_mark(NO_CLAIM)}</td>"
    return (
        f'<td class="{OUTCOMES[cell.outcome].style}" tabindex="0">{_mark(cell.outcome)} {escape(cell.numbers)}'
        f'<span class="note">{escape(cell.note)}</span></td>'
    )


def _mark(outcome: str) -> str:
    """The symbol of an outcome and, to be read aloud in its place, its name."""
    symbol = OUTCOMES[outcome].symbol if outcome in OUTCOMES else "·"
    return f'<b aria-hidden="true">{symbol}</b><span class="word">{escape(outcome)}:</span>'


def _legend(counts: Mapping[str, int]) -> str:
    entries = [
        f'<li class="{OUTCOMES[name].style}"><b aria-hidden="true">{OUTCOMES[name].symbol}</b> {n} {escape(name)}</li>'
        for name, n in counts.items()
    ]
    entries.append(f'<li><b aria-hidden="true">·</b> {NO_CLAIM}</li>')
    return f'<ul class="legend">{"".join(entries)}</ul>\n'
