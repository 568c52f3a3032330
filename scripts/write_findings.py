"""The findings of the study as text and tables: verdicts, and the scores behind them."""

from typing import TYPE_CHECKING

from geometry.claims.findings import findings
from geometry.claims.markup import Paragraph, as_html, as_markdown
from geometry.claims.replication import agreement_with
from geometry.files import write_text
from geometry.probing.probe_table import of_random_networks
from geometry.provenance.job import Job, project_folder
from geometry.schemas.modular import Surgery
from geometry.tables import empty, read_table, together

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


if __name__ == "__main__":
    with Job(snakemake) as job:
        claims = read_table(snakemake.input.claims)
        tables = {name: together(snakemake.input[name]) for name in ("probe", "baselines", "circuit")}
        tables["surgery"] = together(snakemake.input.surgery, like=empty(Surgery))
        tables["random_init"] = of_random_networks(snakemake.input.random_init, like=tables["probe"])
        parts = findings(claims, tables, snakemake.params.experiments, snakemake.params.claims)
        published = project_folder(snakemake) / "docs/claims.csv"
        if sentence := agreement_with(published, claims, snakemake.params.claims["confidence"]):
            parts.insert(2, Paragraph(f"{sentence}."))
        write_text(as_markdown(parts), snakemake.output.text)
        write_text(as_html("Findings", parts), snakemake.output.page)
        job.info(f"{len(claims)} claims on {claims['experiment'].nunique()} experiments")
