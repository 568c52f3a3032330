"""Preparation of Snakemake 9.27.1 before it plans this study: workarounds of its faults and of what makes it slow, and
checks of what it left.

Each workaround can go when its reason is gone.
"""

import gc
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

HOW_TO_GO_ON = """
What is finished is kept. When the cause is mended, run the same command again: a training that was
interrupted goes on from where it was. If Snakemake itself was killed, run snakemake --unlock first.
"""

LOST_MEMORY = (
    "There are results, but Snakemake's memory of how they were made (.snakemake) is lost: it cannot see changes."
)


async def allow_any_date(dag, job, outputs) -> None:
    """In place of a check that fails a job whose input is dated in the future; content decides what is repeated."""


def look_at_no_script(processor) -> None:
    """In place of a look at the script of each job, a fifth of planning: a test looks at the script of each rule."""


MOST_FILES = 5
"""More files of a job than these are counted and not named, in what Snakemake prints of it."""


def few_files(record: logging.LogRecord) -> bool:
    """A filter of Snakemake's logger that shortens lists of files, and lets all pass: some jobs have hundreds."""
    for name in ("input", "output"):
        if hasattr(record, name):
            setattr(record, name, _few(getattr(record, name)))
    if isinstance(reason := getattr(record, "reason", None), str):
        listed = r"(?<=files: |r job: )[^;]+"
        record.reason = re.sub(listed, lambda names: ", ".join(_few(names[0].split(", "))), reason)
    return True


def _few(names: list[str]) -> list[str]:
    return names if len(names) <= MOST_FILES else [*names[:MOST_FILES], f"... ({len(names)} files)"]


def work_around_snakemake(dag: type, script_processor: type, local_source_file: type, log: logging.Logger) -> None:
    """Change three classes of the running Snakemake, whose names the parameters have, and its log; repeatable."""
    # Planning makes objects that stay: to look for garbage among them after every 700 takes a tenth of the time.
    gc.set_threshold(50_000)
    # It calls the interpreter unquoted, and so fails in a folder whose path has a space (its issue 2645).
    if not sys.executable.startswith("'"):
        sys.executable = shlex.quote(sys.executable)
    # It takes braces in the path of the project's folder for wildcards when it looks for the environment of a rule.
    local_source_file.format = lambda path, **wildcards: path
    dag.check_output_mtime = allow_any_date
    script_processor.process = look_at_no_script
    log.addFilter(few_files)


def is_memory_lost() -> bool:
    """True if the working directory has results, but no metadata of Snakemake on them."""
    return not Path(".snakemake/metadata").exists() and Path("results/provenance").exists()


def dead_links() -> Iterator[str]:
    """A sentence on each link under results/ that leads nowhere, three folders deep."""
    below = (path for depth in ("*", "*/*", "*/*/*") for path in Path("results").glob(depth))
    for path in [Path("results"), *below]:
        if path.is_symlink() and not path.exists():
            yield f"{path} is a link to {os.readlink(path)}, where nothing is: bring that back, or remove the link."
