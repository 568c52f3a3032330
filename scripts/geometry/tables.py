"""Every table of the study: CSV files whose numbers read back exactly."""

from pathlib import Path

import pandas as pd

from geometry.storage import atomic_path


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """A CSV file whose numbers read back exactly."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", na_rep="nan")


def read_table(path: str | Path) -> pd.DataFrame:
    names = {"experiment": str}  # a name is text, also where it reads like a number
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"], converters=names)


def together(paths: list[str]) -> pd.DataFrame:
    """The rows of some tables of experiments, of which there may be none.

    A table without rows, whose columns are of no type, leaves those of the others as they are.
    """
    tables = [read_table(path) for path in paths] or [pd.DataFrame(columns=["experiment"])]
    return pd.concat([table for table in tables if len(table)] or tables[:1])


def select(table: pd.DataFrame, **values) -> pd.DataFrame:
    """The rows whose columns have the given values."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table
