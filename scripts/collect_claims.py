"""One table for the whole study: the claims of every experiment."""

from typing import TYPE_CHECKING

from geometry.provenance.job import Job
from geometry.schemas.study import Claims
from geometry.tables import together, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


if __name__ == "__main__":
    with Job(snakemake) as job:
        claims = together(snakemake.input.claims)
        write_table(claims, snakemake.output.claims, Claims)
        counts = claims["verdict"].value_counts()
        job.info(f"{len(claims)} claims: {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}")
