"""Snakemake imported once: each line of the input is a call of it, which a fork of this process runs.

A line is a JSON object of the call's `arguments`, and of `output` and `errors`, the files for what it says. The answer
is its exit status, on a line of its own.
"""

import gc
import json
import os
import sys

from snakemake.cli import main

sys.path[0] = ""  # as `python -m snakemake` has it
gc.freeze()
for line in sys.stdin:
    call = json.loads(line)
    if os.fork():
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
    else:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream, name in [(1, "output"), (2, "errors")]:
            os.dup2(os.open(call[name], os.O_WRONLY | os.O_CREAT), stream)
        sys.argv[1:] = call["arguments"]
        sys.exit(main())
