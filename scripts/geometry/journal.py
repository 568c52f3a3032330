"""What a job says of itself: to its log file and to the terminal."""

import logging
import sys
from pathlib import Path


def open_journal(path: str | Path, title: str) -> logging.Logger:
    """A logger that writes to a job's log file and to standard error; an error that ends the job goes there too."""
    journal = logging.getLogger(title)
    journal.setLevel(logging.INFO)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    formatter = logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S")
    for handler in (logging.FileHandler(path, mode="w"), logging.StreamHandler()):
        handler.setFormatter(formatter)
        journal.addHandler(handler)

    def report(kind, error, trace):
        journal.error(f"{kind.__name__}: {error}")
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = report
    return journal
