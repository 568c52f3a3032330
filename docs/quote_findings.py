"""Quote the table of claims of results/findings.md: of three processes in the README, of all in docs/results.md.

With the argument `published`, quote the published numbers of results/studies/published/ in docs/published.md instead.
"""

import csv
import re
import sys
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


def quoted(text: str, tables: list[list[list[str]]], name: str, mark: str = "findings") -> str:
    """A text with tables in place of what stands between its two marks."""
    between = rf"(?s)(<!-- {mark} -->\n).*?(<!-- end -->)"
    text, n = re.subn(between, lambda found: f"{found[1]}{as_text(tables)}{found[2]}", text)
    if n != 1:
        raise SystemExit(f"{name} has {n} places between <!-- {mark} --> and <!-- end -->; it must have one")
    return text


def number(row: dict[str, str], low: str, high: str | None = None) -> str:
    """A number of a row, or a range, in four digits; empty where there is none."""
    ends = dict.fromkeys(f"{float(row[name]):.4g}" for name in (low, high or low))
    return "" if "nan" in ends else " to ".join(ends)


def tables_of_published(rows: list[dict[str, str]]) -> list[list[list[str]]]:
    """The rows of published.csv as two tables: the numbers with their verdicts, and the sources of the published."""
    numbers = [["", "Quantity", "Published", "Here", "Interval", "Held out", "Baseline", "Verdict"]]
    sources = [["", "Source", "Protocol", "Tolerance", "Networks"]]
    for row in rows:
        interval = number(row, "ci_low", "ci_high").replace("-inf to inf", "one network")
        baseline = f"{number(row, 'baseline')} ({row['baseline_name']})" if row["baseline_name"] else ""
        verdict = ": ".join(filter(None, (row["verdict"], row["reason"])))
        published = number(row, "published_low", "published_high")
        found = [published, number(row, "ours"), interval, number(row, "held_out"), baseline, verdict]
        numbers.append([row["id"], row["quantity"], *found])
        sources.append([row["id"], row["source"], row["protocol"], number(row, "tolerance"), row["n_networks"]])
    return [numbers, sources]


def quote_published() -> dict[str, tuple[list, str]]:
    """The page of published numbers, with its tables and the mark of their place."""
    with open(ROOT / "results/studies/published/published.csv", encoding="utf-8", newline="") as file:
        return {"docs/published.md": (tables_of_published(list(csv.DictReader(file))), "published")}


def quote_findings() -> dict[str, tuple[list, str]]:
    """The pages with verdicts of the default study, with their tables and the mark of their place."""
    tables = tables_of((ROOT / "results/findings.md").read_text(encoding="utf-8"))
    shown = {"README.md": [columns(tables[0], IN_README)], "docs/results.md": tables}
    return {name: (of_page, "findings") for name, of_page in shown.items()}


if __name__ == "__main__":
    pages = quote_published() if sys.argv[1:] == ["published"] else quote_findings()
    for name, (shown, mark) in pages.items():
        path = ROOT / name
        path.write_text(quoted(path.read_text(encoding="utf-8"), shown, name, mark), encoding="utf-8")
