"""Reading the probe's results: scores out of its tidy table, beliefs out of its archive."""

import pandas as pd
import xarray as xr
from jaxtyping import Float
from numpy import ndarray


def decoded_beliefs(decoded: xr.Dataset, site: str) -> Float[ndarray, "snapshot prefix component"]:
    """The beliefs decoded at one site at every snapshot, each prefix by a probe fitted without it."""
    place, split = (list(decoded[name].values).index(v) for name, v in (("site", site), ("split", "held_out_prefix")))
    return decoded["decoded_belief"][split, :, place].values


def held_out_r2(probe: pd.DataFrame, site: str) -> pd.Series:
    """Probability-weighted R2 of least squares on held-out prefixes at one site of one run, by step."""
    where = {"weighting": "probability", "split": "held_out_prefix", "estimator": "least_squares", "metric": "r2"}
    return select(probe, target="belief_state", site=site, **where).set_index("step")["value"]


def select(table: pd.DataFrame, **values) -> pd.DataFrame:
    """The rows whose columns have the given values."""
    for column, value in values.items():
        table = table[table[column] == value]
    return table
