"""A network that runs in the page: its weights, and the maps between beliefs and the activations of its sites."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from numpy import ndarray

from geometry.explorer.packing import pack
from geometry.interventions.steering import METRICS, fit_all, fit_site
from geometry.networks.hook_points import CONCATENATED
from geometry.networks.snapshots import by_prefix, last_of_each
from geometry.probing.regression import AffineMap
from geometry.tables import select

MOST_WEIGHTS = 1_500_000
"""Weights of all networks of a page, at most; about four bytes of it each."""


def first_of(tensors: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """The parameters of the first of some networks."""
    return next(iter(by_prefix(tensors).values()))


def probe_content(probe: AffineMap) -> dict:
    """A probe: `activation @ matrix + offset`."""
    return {"matrix": pack(probe.matrix.astype(np.float32)), "offset": probe.offset}


def maps_of(truth: xr.Dataset, activations: xr.Dataset, concatenated: list[str]) -> dict[str, dict]:
    """By site: its probe and, for steering, the pattern and the filter of `steer_network`."""
    index, sites = last_of_each(activations["seed"].values)[0], activations["site"].values.tolist()
    belief, weight = truth["target"].values, truth["weight"].values
    found, parts = {}, {}
    for place, site in enumerate(sites):
        activation = activations["activation"][index, place].values
        maps = fit_site(activation, belief, weight)
        steering = {name: pack(getattr(maps, name).astype(np.float32)) for name in ("pattern", "filter")}
        found[site] = probe_content(maps.probe) | steering
        if site in concatenated:
            parts[site] = activation
    if concatenated:
        joined = np.hstack([parts[site] for site in concatenated])
        found[CONCATENATED] = probe_content(fit_all(joined, belief, weight))
    return found


def network_content(weights: Mapping[str, ndarray], model: Mapping, label: str) -> dict:
    """The settings that the forward pass needs, and the weights in their own precision."""
    arrays = {name: pack(array) for name, array in weights.items()}
    settings = {key: value for key, value in model.items() if not isinstance(value, dict)}
    return {"label": label, "model": settings, "weights": arrays}


def steering_content(steering: pd.DataFrame) -> list[dict]:
    """Mean divergences of the first network's steered predictions, by site, intervention and dose, in nats."""
    own = select(steering, seed=steering["seed"].iloc[0], partner="any", tokens_later=0)
    own = own[own["dose"].isin([0, 1]) & own["metric"].isin(METRICS)]
    return own[["site", "intervention", "dose", "metric", "value"]].to_dict("records")


def surgery_content(weights: Mapping[str, ndarray], sign: int, key_share: float, surgery: pd.DataFrame) -> dict:
    """The torus of a network for modular addition, and its frequencies and accuracy after surgery for each modulus."""
    from geometry.modular_circuit.surgery import best_torus  # PyTorch, which other explorers do without

    torus = best_torus(dict(weights), key_share, sign)
    own = select(surgery, seed=surgery["seed"].iloc[0], network="surgery")
    own = own[own["step"] == own["step"].max()]
    moduli = []
    for modulus, rows in own.groupby("modulus"):
        chosen = select(rows, measure="chosen_frequency").set_index("frequency")["value"]
        accuracy = select(rows, measure="accuracy")["value"].iloc[0]
        choice = [int(chosen[key]) for key in torus.keys]
        moduli.append({"modulus": int(modulus), "choice": choice, "accuracy": float(accuracy)})
    windings = [[int(k), list(turns)] for k, turns in torus.windings.items()]
    return {"modulus": torus.modulus, "sign": sign, "keys": list(torus.keys), "windings": windings, "moduli": moduli}
