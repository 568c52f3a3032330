"""Print how many verdicts of the study are those of the reference, and where the comparison stands."""

from pathlib import Path
from typing import TYPE_CHECKING

from geometry.claims.replication import agreement
from geometry.tables import read_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


if __name__ == "__main__":
    inputs = snakemake.input
    sentence = agreement(read_table(inputs.replication), snakemake.params.source)
    Path(snakemake.log[0]).write_text(sentence, encoding="utf-8")
    print(f"{inputs.replication} and {inputs.figure} have each claim.\n{sentence}")
