"""Write the network that surgery makes of a trained one for another modulus, as an ordinary checkpoint."""

from typing import TYPE_CHECKING

from geometry.modular_circuit.surgery import surgery
from geometry.provenance.job import Job
from geometry.storage import read_tensors, write_tensors
from geometry.tasks.task import modular_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with Job(snakemake) as job:
        modulus, sign = int(snakemake.wildcards.modulus), modular_of(snakemake.params.task).sign
        network = surgery(read_tensors(snakemake.input.model), modulus, snakemake.params.key_share, sign)
        write_tensors(network, snakemake.output.model)
        job.info(f"surgery for modulus {modulus}")
