"""Claims on parts of composed processes, of planted activations whose answer is known."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from geometry.claims.composed_claims import in_subspaces
from geometry.claims.evidence import Evidence
from geometry.probing.control_targets import SOURCE_POSTERIOR, true_targets
from geometry.processes.catalog import process_from_config
from geometry.tables import select
from geometry.tasks.ground_truth import markov_ground_truth
from measure_subspaces import measure_subspaces

MESS3 = {"process": "mess3", "parameters": {"x": 0.15, "alpha": 0.6}}
SLOW = {"process": "mess3", "parameters": {"x": 0.05, "alpha": 0.85}}
SITE = "blocks.0.hook_resid_post"


def planted(features: list[np.ndarray], origin: str) -> xr.Dataset:
    """Activations at one layer output, one network for each array of features."""
    n = len(features)
    axis = {"seed": np.arange(1, n + 1), "step": np.full(n, 9), "origin": [origin] * n}
    coordinates = {name: ("snapshot", values) for name, values in axis.items()} | {"site": [SITE]}
    activation = ("snapshot", "site", "prefix", "feature"), np.stack(features)[:, None].astype(np.float32)
    return xr.Dataset({"activation": activation}, coords=coordinates)


def evidence_of(process, features) -> Evidence:
    """The subspaces of two networks with planted features and a little noise, and of two of noise alone."""
    truth = markov_ground_truth(process, 3, 10**5, seed=0)
    rng, target = np.random.default_rng(0), truth["target"].values
    x = features(target, np.linalg.qr(rng.standard_normal((12, 12)))[0])
    noise = rng.standard_normal((4, len(target), 12))
    networks = {"subspaces": planted([*(x + 1e-6 * noise[:2])], "trained")}
    networks["random_init_subspaces"] = planted([*noise[2:]], "random_init")
    found = {name: measure_subspaces(truth, of, process.composition) for name, of in networks.items()}
    probe = pd.DataFrame({"site": SITE, "target": list(true_targets(process, target))})
    empty = dict.fromkeys((field.name for field in fields(Evidence)), pd.DataFrame())
    return Evidence(**empty | found | {"probe": probe, "analysis": {}})


@pytest.fixture(scope="module")
def product():
    return process_from_config("product", {"factors": [MESS3, SLOW]})


def claims_by_name(evidence):
    return {claim.name: claim for claim in in_subspaces(evidence)}


def test_factored_activations_are_told_from_joint_ones(product):
    parts = np.hstack([part.marginal for part in product.composition.parts])

    def factored(belief, rotation):
        return belief @ parts @ rotation[: parts.shape[1]]

    def joint(belief, rotation):
        return belief @ rotation[: belief.shape[1]]

    claims = claims_by_name(evidence_of(product, factored))
    assert claims["factored"].estimate.min() == pytest.approx(1, abs=1e-6)
    assert claims["factored"].baselines["the joint belief itself"].max() < 0.95
    assert claims["in orthogonal subspaces"].estimate.min() == pytest.approx(1, abs=1e-6)
    assert max(map(max, claims["in orthogonal subspaces"].baselines.values())) < 0.9
    beyond = claims["expands beyond its factors"]
    assert (beyond.estimate - beyond.baselines["factors' beliefs"]).max() < 1e-6
    claims = claims_by_name(evidence_of(product, joint))
    share = claims["factored"].baselines["the joint belief itself"].max()
    assert claims["factored"].estimate.max() == pytest.approx(share, abs=1e-4)
    beyond = claims["expands beyond its factors"]
    assert beyond.estimate.min() > 0.999
    assert beyond.baselines["factors' beliefs"].max() < 0.95


def test_components_of_a_mixture_overlap_where_they_are_planted_on_each_other():
    mixture = process_from_config("mixture", {"components": [MESS3, SLOW]})

    def apart(belief, rotation):
        return belief @ rotation[:6]

    def together(belief, rotation):
        return np.hstack([belief[:, :3] + belief[:, 3:], belief[:, :3].sum(axis=1, keepdims=True)]) @ rotation[:4]

    for features, estimate in ((apart, 1), (together, 0)):
        (claim,) = in_subspaces(evidence_of(mixture, features))
        assert claim.estimate.to_numpy() == pytest.approx(estimate, abs=1e-4)


def test_targets_of_a_mixture_are_its_posterior_and_the_beliefs_of_its_components():
    mixture = process_from_config("mixture", {"components": [MESS3, SLOW], "weights": [0.3, 0.7]})
    belief = markov_ground_truth(mixture, 4, 10**5, seed=0)["target"].values
    targets = true_targets(mixture, belief)
    posterior = targets[SOURCE_POSTERIOR]
    np.testing.assert_allclose(posterior, [[row[:3].sum(), row[3:].sum()] for row in belief], atol=1e-12)
    first, second = (targets[name] for name in targets if name.startswith("belief_of_"))
    scaled = np.hstack([posterior[:, :1] * first, posterior[:, 1:] * second])
    np.testing.assert_allclose(scaled, belief, atol=1e-12)
    assert next(iter(targets)) == "belief_state"


def test_every_measure_is_given_for_every_network_and_the_beliefs(product):
    table = evidence_of(product, lambda belief, rotation: belief @ rotation[:9]).subspaces
    assert set(table["site"]) == {SITE, "belief_state", "part_beliefs"}
    counts = select(table, seed=1).groupby("site")["measure"].nunique()
    assert counts.nunique() == 1 and counts.iloc[0] == 7
    dimensions = select(table, seed=1, site="part_beliefs", measure="dimensions").set_index("index")["value"]
    assert dimensions[99] <= 4 < select(table, seed=1, site="belief_state", measure="dimensions")["value"].max()
