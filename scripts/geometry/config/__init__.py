"""From a configuration to checked experiments, their files and the cost of their jobs.

No torch: every start of Snakemake waits for it.
"""
