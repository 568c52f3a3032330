"""Quote the table of claims of results/findings.md: of three processes in the README, of all in docs/results.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
IN_README = ["mess3", "rrxor", "z1r"]


def tables_of(findings: str) -> list[list[list[str]]]:
    """The tables above the first section, as rows of cells; what separates the header is left out."""
    blocks = re.findall(r"(?m)(?:^\|.*\n)+", findings.split("\n## ", maxsplit=1)[0])
    tables = [[re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()] for block in blocks]
    return [[[cell.strip() for cell in row] for n, row in enumerate(table) if n != 1] for table in tables]


def columns(table: list[list[str]], names: list[str]) -> list[list[str]]:
    """The first column and those of some names, without the rows that are empty in all of these."""
    header, *rows = table
    if missing := [name for name in names if name not in header]:
        raise SystemExit(f"results/findings.md has no column {', '.join(missing)}: the README quotes the default study")
    chosen = [0, *(header.index(name) for name in names)]
    kept = [[row[place] for place in chosen] for row in rows]
    return [[header[place] for place in chosen], *(row for row in kept if any(row[1:]))]


def as_text(tables: list[list[list[str]]]) -> str:
    """Tables as Markdown, an empty line between two."""
    rows = [[table[0], ["---"] * len(table[0]), *table[1:]] for table in tables]
    return "\n".join("".join(f"| {' | '.join(row)} |\n" for row in table) for table in rows)


def quoted(text: str, tables: list[list[list[str]]], name: str) -> str:
    """A text with tables in place of what stands between its two marks."""
    between = r"(?s)(<!-- findings -->\n).*?(<!-- end -->)"
    text, n = re.subn(between, lambda found: f"{found[1]}{as_text(tables)}{found[2]}", text)
    if n != 1:
        raise SystemExit(f"{name} has {n} places between <!-- findings --> and <!-- end -->; it must have one")
    return text


if __name__ == "__main__":
    tables = tables_of((ROOT / "results/findings.md").read_text(encoding="utf-8"))
    for name, shown in {"README.md": [columns(tables[0], IN_README)], "docs/results.md": tables}.items():
        path = ROOT / name
        path.write_text(quoted(path.read_text(encoding="utf-8"), shown, name), encoding="utf-8")
