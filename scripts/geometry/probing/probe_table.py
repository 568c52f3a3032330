"""Reading results on networks: scores of the probe out of its tidy table, beliefs out of its archive."""

import pandas as pd
import xarray as xr
from jaxtyping import Float
from numpy import ndarray

from geometry.networks.hook_points import INPUT, OPTIMUM, OUTPUT, is_layer_output
from geometry.networks.origins import RANDOM_INIT
from geometry.tables import of_first_seed, select, together

ALL_TOKENS = "all tokens, additive"

BASELINES = {
    "last token": (INPUT, "last_token"),
    ALL_TOKENS: (INPUT, "additive_tokens"),
    **{f"{k}-gram": (INPUT, f"{k}_gram") for k in range(2, 7)},
    "in-context bigrams": (INPUT, "in_context_bigrams"),
    "optimal probabilities": (OPTIMUM, "next_token_probability"),
    "optimal log-probabilities": (OPTIMUM, "next_token_log_probability"),
    "network's probabilities": (OUTPUT, "network_probability"),
    "network's log-probabilities": (OUTPUT, "network_log_probability"),
}
"""Features other than activations from which a belief is decoded, by name: their site and their name in the table."""


def of_random_networks(paths: list[str], like: pd.DataFrame | None = None) -> pd.DataFrame:
    """The rows of random networks in some tables, which may hold other networks too; see `tables.together`."""
    return select(together(paths, like), origin=RANDOM_INIT)


def decoded_beliefs(decoded: xr.Dataset, site: str) -> Float[ndarray, "snapshot prefix component"]:
    """The beliefs decoded at one site at every snapshot, each prefix by a probe fitted without it."""
    place, split = (list(decoded[name].values).index(v) for name, v in (("site", site), ("split", "held_out_prefix")))
    return decoded["decoded_belief"][split, :, place].values


PROBED = {"split": "held_out_prefix", "estimator": "ridge", "weighting": "probability"}
"""The score that verdicts rest on and figures show."""


def held_out_r2(probe: pd.DataFrame, site: str) -> pd.Series:
    """R2 of held-out prefixes at one site of the first network, by step, as verdicts rest on it: see `PROBED`."""
    rows = select(of_first_seed(probe), target="belief_state", site=site, metric="r2", **PROBED)
    return rows.set_index("step")["value"]


def of_sample(baselines: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The scores on the words of one seed; all of them where all networks are scored on the same prefixes."""
    return baselines[baselines["seed"].isna() | (baselines["seed"] == seed)]


def baseline_r2(baselines: pd.DataFrame, name: str) -> float:
    """R2 of held-out prefixes of one of the `BASELINES` without a network; of samples of words, of the first."""
    site, features = BASELINES[name]
    where = {"site": site, "features": features, "target": "belief_state", "metric": "r2"}
    where |= {key: PROBED[key] for key in ("split", "weighting")}
    rows = estimated(select(baselines, **where), PROBED["estimator"])
    return of_sample(rows, rows["seed"].iloc[0])["value"].item()


def kgram_scores(baselines: pd.DataFrame, target: str) -> dict[tuple[str, str], list[float]]:
    """R2 of the k-gram baselines of a target for k = 1, 2, ..., by weighting and split."""
    rows = select(baselines, target=target, estimator="k_gram", metric="r2")
    return {place: own["value"].tolist() for place, own in rows.groupby(["weighting", "split"])}


def circle_scores(table: pd.DataFrame, features: str = "activations") -> pd.DataFrame:
    """R2 of the circle of each frequency, by least squares, on pairs that were not trained on.

    Where all pairs or none were trained on, on those with a first number that the probe was not fitted on.
    """
    where = {"weighting": "probability", "features": features, "estimator": "least_squares", "metric": "r2"}
    rows = select(table, target="circle", **where)
    unseen = select(rows, split="held_out_from_training")
    rows = select(rows, split="held_out_subtree") if unseen.empty else unseen
    return rows.assign(frequency=rows["index"].astype(int))


def last_layer_output(probe: pd.DataFrame) -> str:
    """The last layer output or, if none is probed, the last site."""
    sites = probe.loc[probe["features"] == "activations", "site"].unique()
    return ([site for site in sites if is_layer_output(site)] or list(sites))[-1]


def estimated(table: pd.DataFrame, estimator: str) -> pd.DataFrame:
    """The rows of one estimator, and of k-gram baselines, which have no penalty to choose."""
    return table[table["estimator"].isin({estimator, "k_gram"})]
