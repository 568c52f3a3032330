"""The findings of the study as text and tables: verdicts, and the scores behind them."""

from typing import TYPE_CHECKING

from geometry.claims.findings import findings
from geometry.claims.markup import as_html, as_markdown
from geometry.files import write_text
from geometry.provenance.job import Job
from geometry.tables import read_table, together

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


if __name__ == "__main__":
    with Job(snakemake) as job:
        claims = read_table(snakemake.input.claims)
        tables = {
            name: together(snakemake.input[name])
            for name in ("probe", "baselines", "random_init", "circuit", "surgery")
        }
        parts = findings(claims, tables, snakemake.params.experiments, snakemake.params.claims)
        for path, text in (
            (snakemake.output.text, as_markdown(parts)),
            (snakemake.output.page, as_html("Findings", parts)),
        ):
            write_text(text, path)
        job.info(f"{len(claims)} claims on {claims['experiment'].nunique()} experiments")
