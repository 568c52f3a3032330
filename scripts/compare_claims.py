"""Compare the claims of the study with those of a reference, claim by claim."""

import math
from typing import TYPE_CHECKING

from geometry.claims.replication import CHANGED, agreement, compare_claims, read_claims
from geometry.provenance.job import Job
from geometry.schemas.study import Replication
from geometry.tables import read_table, select, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


if __name__ == "__main__":
    with Job(snakemake) as job:
        here, there = read_table(snakemake.input.claims), read_claims(snakemake.input.reference)
        table = compare_claims(here, there, snakemake.params.confidence)
        write_table(table, snakemake.output.replication, Replication)
        for row in select(table, outcome=CHANGED).itertuples():
            name = f"{row.experiment}: {row.claim} ({row.site})"
            moved = "" if math.isnan(row.gain_shift) else f"; its gain moved by {row.gain_shift:.1f} standard errors"
            job.info(f"{name}: {row.verdict}, not {row.reference_verdict}{moved}")
        job.info(agreement(table, snakemake.params.source))
