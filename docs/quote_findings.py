"""Put the first tables of the findings, results/findings.md, into the README."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

if __name__ == "__main__":
    readme, findings = ROOT / "README.md", (ROOT / "results/findings.md").read_text(encoding="utf-8")
    tables = re.findall(r"(?m)(?:^\|.*\n)+", findings.split("\n## ")[0])
    between = r"(?s)(<!-- findings -->\n).*?(<!-- end -->)"
    text, n = re.subn(
        between, lambda found: found[1] + "\n".join(tables) + found[2], readme.read_text(encoding="utf-8")
    )
    if n != 1:
        raise SystemExit(f"{readme} has {n} places between <!-- findings --> and <!-- end -->; it must have one")
    readme.write_text(text, encoding="utf-8")
