"""Hold the numbers of the study against those of the literature, row by row."""

import json
import sys
from typing import TYPE_CHECKING

import pandas as pd

from geometry.claims.published import SelectionError, counts_of_verdicts, published_row
from geometry.provenance.job import Job
from geometry.schemas.study import Published
from geometry.tables import write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


if __name__ == "__main__":
    with Job(snakemake) as job:
        rows, confidence, table = json.loads(snakemake.params.rows), snakemake.params.confidence, []
        for name, row in rows.items():
            try:
                table.append(published_row(name, row, confidence))
            except SelectionError as error:
                job.journal.error(f"config: published.{name}: {error}")
                sys.exit(1)
        table = pd.DataFrame(table)
        write_table(table, snakemake.output.published, Published)
        for row in table[table["reason"] != ""].itertuples():
            job.info(f"{row.id}: {row.verdict}: {row.reason}")
        job.info(counts_of_verdicts(table))
