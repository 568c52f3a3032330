"""Every table of the study: CSV files with the columns of a schema, whose numbers read back exactly."""

import inspect
from pathlib import Path

import pandas as pd

from geometry.files import atomic_path


class Schema:
    """The schema of a table: the annotations of a subclass are its columns, behind those of its base classes.

    `path` is where the table stands, `key` names the columns that identify a row. The text behind a column gives
    its meaning, and its unit in square brackets; text is no code, so that to improve it repeats no job.
    """

    path: str
    key: tuple[str, ...]


DTYPES = {int: "int64", float: "float64", int | None: "Int64"}
"""The types of columns by their annotation; text (`str`) is left as it is."""


def columns_of(schema: type[Schema]) -> dict[str, type]:
    """The columns of a schema and their annotations."""
    if schema is Schema:
        return {}
    own = {name: kind for base in schema.__bases__ for name, kind in columns_of(base).items()}
    return own | inspect.get_annotations(schema)


class TableError(ValueError):
    """Rows that do not match their schema."""


def checked(table: pd.DataFrame, schema: type[Schema]) -> pd.DataFrame:
    """A table with the columns of its schema, in their order and types; raises `TableError`."""
    columns = columns_of(schema)
    if wrong := set(table.columns) ^ set(columns):
        which = ", ".join(f"{name} is {'unknown' if name in table.columns else 'missing'}" for name in sorted(wrong))
        raise TableError(f"{schema.__name__}: {which}; the columns are {', '.join(columns)}")
    try:
        table = table[list(columns)].astype({name: DTYPES[kind] for name, kind in columns.items() if kind in DTYPES})
    except (TypeError, ValueError) as error:
        raise TableError(f"{schema.__name__}: {error}") from None
    repeated = table.duplicated(list(schema.key))
    if repeated.any():
        row = table.loc[repeated.to_numpy(), list(schema.key)].iloc[0].to_dict()
        raise TableError(f"{schema.__name__}: {repeated.sum()} rows repeat the key of another, as {row}")
    return table


def write_table(table: pd.DataFrame, path: str | Path, schema: type[Schema]) -> None:
    """A CSV file of some rows, which must match their schema."""
    table = checked(table, schema)
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", na_rep="nan")


def read_table(path: str | Path) -> pd.DataFrame:
    names = dict.fromkeys(["experiment", "set"], str)  # a name is text, also where it reads like a number, or `true`
    return pd.read_csv(path, keep_default_na=False, na_values=["nan"], converters=names)


def empty(schema: type[Schema]) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame(columns=list(columns_of(schema)))


def together(paths: list[str], like: pd.DataFrame | None = None) -> pd.DataFrame:
    """The rows of some tables of experiments, of which there may be none; then the columns are those of `like`.

    A table without rows, whose columns are of no type, leaves those of the others as they are.
    """
    nothing = pd.DataFrame(columns=["experiment"]) if like is None else like.iloc[:0]
    tables = [read_table(path) for path in paths] or [nothing]
    return pd.concat([table for table in tables if len(table)] or tables[:1])


def by_seed(paths: list[str]) -> list[pd.DataFrame]:
    """The rows of each network in some tables, which may be none."""
    return [own for _, own in together(paths).groupby("seed", sort=False)] if len(paths) else []


def of_first_seed(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first network alone."""
    return table[table["seed"] == table["seed"].iloc[0]]


def select(table: pd.DataFrame, **values) -> pd.DataFrame:
    """The rows whose columns have the given values."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table
