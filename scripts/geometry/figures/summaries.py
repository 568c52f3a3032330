"""Summaries of tables over the networks of several seeds, as figures draw them."""

import pandas as pd

Keys = str | list[str] | pd.Series
"""Columns, or one value for each row, by which rows are grouped."""


def mean_over_seeds(rows: pd.DataFrame, by: Keys) -> pd.Series:
    """The mean of the column ``value`` over the rows of each group, which are those of the seeds."""
    return rows.groupby(by)["value"].mean()
