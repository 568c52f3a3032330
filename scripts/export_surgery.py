"""Write what surgery makes of each trained network of a run for another modulus, as an ordinary checkpoint."""

from typing import TYPE_CHECKING

from geometry.modular_circuit.surgery import surgery
from geometry.networks.snapshots import by_prefix
from geometry.provenance.job import Job
from geometry.storage import read_tensors, write_tensors
from geometry.tasks.task import modular_of

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

if __name__ == "__main__":
    with Job(snakemake) as job:
        modulus, sign = int(snakemake.wildcards.modulus), modular_of(snakemake.params.task).sign
        networks = by_prefix(read_tensors(snakemake.input.model))
        found = {prefix: surgery(one, modulus, snakemake.params.key_share, sign) for prefix, one in networks.items()}
        cut = {prefix + name: array for prefix, one in found.items() for name, array in one.items()}
        write_tensors(cut, snakemake.output.model)
        job.info(f"surgery for modulus {modulus}")
