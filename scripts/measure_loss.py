"""The exact loss of a network at each snapshot and position, in expectation over the task's prefixes."""

from typing import TYPE_CHECKING

from geometry.networks.origins import PRETRAINED
from geometry.provenance.job import Job
from geometry.schemas.training import Loss
from geometry.storage import open_dataset
from geometry.tables import write_table
from geometry.tasks.loss import loss_table, network_cautions

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


if __name__ == "__main__":
    with Job(snakemake) as job:
        source = snakemake.input
        with open_dataset(source.ground_truth) as truth, open_dataset(source.activations) as activations:
            table = loss_table(truth, activations)
        table.insert(0, "experiment", snakemake.wildcards.experiment)
        write_table(table, snakemake.output.loss, Loss)
        last = table[table["step"] == table["step"].max()].mean(numeric_only=True)
        job.info(
            f"loss {last['loss_nats']:.6f}, optimum {last['optimal_loss_nats']:.6f}, gap {last['gap_nats']:.1e} nats"
        )
        is_pretrained = PRETRAINED in set(table["origin"])
        if caution := network_cautions(table, is_pretrained, snakemake.params.loss):
            job.info(f"CAUTION: {caution}")
