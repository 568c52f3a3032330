"""Put the columns of every table, from its schema, into docs/files.md, between its two marks."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))
BETWEEN = r"(?s)(<!-- tables -->\n).*?(<!-- end tables -->)"


def written(text: str) -> str:
    """A page with the tables as they are now; one without the marks is refused."""
    from geometry.schemas.page import as_markdown

    page, n = re.subn(BETWEEN, lambda found: f"{found[1]}{as_markdown()}\n{found[2]}", text)
    if n != 1:
        raise SystemExit(f"the page has {n} places between <!-- tables --> and <!-- end tables -->; it must have one")
    return page


if __name__ == "__main__":
    path = ROOT / "docs/files.md"
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
