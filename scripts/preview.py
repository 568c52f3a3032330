"""Print where the beliefs of each experiment's first network are drawn, and their R2 beside its baselines."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from geometry.probing.probe_table import ALL_TOKENS, baseline_r2, held_out_r2
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def summary(figure: str, probe: pd.DataFrame, baselines: pd.DataFrame, site: str) -> str:
    """The line on one network: its figure, and its R2 beside those at initialisation, if known, and of the tokens."""
    r2 = held_out_r2(probe, site)
    before = f"at initialisation {r2.iloc[0]:.3f}, " if len(r2) > 1 else ""
    return (
        f"{figure}: held-out R2 {r2.iloc[-1]:.3f}; {before}"
        f"from the tokens alone {baseline_r2(baselines, ALL_TOKENS):.3f}. One seed decides nothing."
    )


if __name__ == "__main__":
    inputs = snakemake.input
    if not inputs.figures:
        sys.exit("no experiment of this study has belief states to draw")
    tables = [map(read_table, paths) for paths in (inputs.probe, inputs.baselines)]
    text = "\n".join(map(summary, inputs.figures, *tables, snakemake.params.sites))
    Path(snakemake.log[0]).write_text(text, encoding="utf-8")
    print(text)
