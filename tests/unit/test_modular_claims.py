"""The claims of modular arithmetic read the rows that they say they read, of the right step, network and baseline."""

import pandas as pd
import pytest

from configuration import ANALYSIS
from geometry.claims.modular_claims import when_memorised
from judge_claims import judge

STREAM = "blocks.0.hook_resid_post"
RULE = {"confidence": 0.95, "margin": 0.1}

NOTHING_WRONG = {"position": 3, "optimal_loss_nats": 0.0, "uniform_loss_nats": 4.0, "unigram_loss_nats": 4.0}


def rows(columns, *values):
    return pd.DataFrame([("e", *row) for row in values], columns=["experiment", *columns.split()])


def of_seeds(columns, *values):
    """The same rows for two seeds, the second a little worse."""
    table = pd.concat([rows(columns, *values).assign(seed=seed) for seed in (1, 2)])
    return table.assign(value=table["value"] - 0.01 * (table["seed"] - 1))


def circles(step, site, features, best_first):
    scores = {("circle", k): r2 for k, r2 in enumerate(best_first, 1)} | {("answer_circles", None): 0.99}
    place = "probability", "least_squares", "r2", "held_out_from_training"
    return [(step, site, features, *target, *place, r2) for target, r2 in scores.items()]


def tables(part_of_ablation=("key", "others", "as many others"), held_out=0.9, translated=True):
    probe = "step site features target index weighting estimator metric split value"
    circuit, bases = "step measure frequency part value", "step matrix basis measure index value"
    energy = "share_of_largest", 10
    errors = dict(zip(("key", "others", "as many others"), (0.95, 0.05, 0.02), strict=True))
    ablations = [(10, "ablated_embedding_accuracy", None, part, 1 - errors[part]) for part in part_of_ablation]
    losses = [(step, "train_accuracy", None, "", value) for step, value in ((0, 0.02), (5, 1.0), (10, 1.0))]
    losses += [(step, "held_out_accuracy", None, "", value) for step, value in ((0, 0.03), (5, 0.2), (10, held_out))]
    in_bases = {"fourier": 0.95, "raw": 0.1, "random": 0.3, "fourier_of_shuffled_tokens": 0.2, "haar": 0.4, "db4": 0.5}
    in_bases |= {"db4_packets": 0.6, "db4_best_packets": 0.7}
    waves = [(10, "explained_share", k, "", share) for k, share in enumerate((0.6, 0.2, 0.05, 0.05), 1)]
    waves += [(0, "explained_share", 4, "", 0.9)]
    translations, site = "step site measure permutation value", ("detected_frequency", "a + 1")
    told = [(10, STREAM, *site, 1.0), (0, STREAM, *site, 4.0), (10, "blocks.0.hook_resid_mid", *site, 2.0)]
    left = {"a + 1": 0.1, "b + 1": 0.2, "2a, 2b": 0.55, "shuffled numbers": 0.9}
    errors_left = [(10, STREAM, "error", name, value) for name, value in left.items()]
    errors_left += [(0, STREAM, "error", "a + 1", 0.6), (10, "blocks.0.hook_resid_mid", "error", "a + 1", 0.3)]
    errors_left += [(10, STREAM, "error_by_dimension", "a + 1", 0.01)]
    if translated:
        errors_left += [(10, "", "prediction_change", "a + 1", 0.02)]
    surgery = [(10, "surgery", 2, 4, "accuracy", 1.0), (10, "surgery", 3, 9, "accuracy", 0.9)]
    surgery += [(10, "surgery", 997, 50, "accuracy", 0.0), (5, "surgery", 2, 4, "accuracy", 0.0)]
    surgery += [(10, "unedited", 2, 4, "accuracy", 0.4), (10, "at_initialisation", 2, 4, "accuracy", 0.1)]
    found = {
        "probe": of_seeds(
            probe,
            *circles(10, STREAM, "activations", [0.9, 0.85, 0.8, 0.1]),
            *circles(0, STREAM, "activations", [0.3, 0.2, 0.1, 0.0]),
        ),
        "baselines": rows(
            probe,
            *circles(10, "input", "additive_tokens", [0.2, 0.1, 0.05, 0.0]),
            *circles(10, "input", "last_token", [0.0] * 4),
        ).drop(columns="step"),
        "random_init": of_seeds(probe, *circles(0, STREAM, "activations", [0.4, 0.35, 0.31, 0.0])),
        "loss": of_seeds("step value", (0, 4.0), (10, 0.4))
        .rename(columns={"value": "gap_nats"})
        .assign(loss_nats=0.4, origin="trained", **NOTHING_WRONG),
        "circuit": of_seeds(circuit, *losses, *ablations, *waves),
        "random_init_circuit": of_seeds(circuit, (0, "held_out_accuracy", None, "", 0.04)),
        "bases": of_seeds(
            bases,
            *((10, "W_E", basis, *energy, value) for basis, value in in_bases.items()),
            (0, "W_E", "fourier", *energy, 0.25),
            (10, "W_U", "fourier", *energy, 0.5),
        ),
        "random_init_bases": of_seeds(bases, (0, "W_E", "fourier", *energy, 0.26), (0, "W_E", "raw", *energy, 0.99)),
        "shift_symmetry": pd.concat(
            [of_seeds(translations, *errors_left), *(rows(translations, *told).assign(seed=seed) for seed in (1, 2))]
        ),
        "random_init_shift_symmetry": of_seeds(
            translations, (0, STREAM, "error", "a + 1", 0.65), (0, STREAM, "error", "2a, 2b", 0.0)
        ),
        "surgery": of_seeds("step network modulus n_pairs measure value", *surgery),
    }
    others = {name: table.assign(seed=table["seed"] + 8) for name, table in found.items() if "random_init" in name}
    return found | others


def test_claims_read_the_right_rows():
    claims = judge(tables(), "e", "modular", RULE, ANALYSIS).set_index("claim")
    expected = {
        "generalises to held-out pairs": (0.895, 0.04, "best of 2 random networks"),
        "groks: generalises after it has memorised": (0.895, 0.195, "at memorisation"),
        "holds the answer on circles": (0.795, 0.31, "best of 2 random networks"),
        "Fourier-sparse": (0.945, 0.295, "random"),
        "sparser in Fourier than in wavelets": (0.945, 0.495, "db4"),
        "sparser in Fourier than in wavelet packets": (0.945, 0.695, "db4 best packets"),
        "frequencies causal": (0.955, 0.055, "without others"),
        "has the symmetry of its task": (0.905, 0.455, "2a, 2b"),
        "its frequencies are the angles of that symmetry": (0.676, 0.25, "as many frequencies by chance"),
        "surgery transfers to other moduli": (0.945, 0.395, "unedited"),
    }
    assert set(claims.index) == {"predicts near the optimum", *expected}
    for name, (estimate, baseline, baseline_name) in expected.items():
        found = claims.loc[name]
        assert found["baseline_name"] == baseline_name
        assert found["estimate"] == pytest.approx(estimate, abs=1e-3), name
        assert found["baseline"] == pytest.approx(baseline), name


def test_embedding_of_products_is_compared_in_the_basis_of_the_logarithm():
    products = tables()
    for name, value in {"bases": 0.97, "random_init_bases": 0.3}.items():
        rows = products[name][products[name]["basis"] == "fourier"]
        rows = rows.assign(basis="fourier_of_logarithm", value=rows["value"].where(rows["step"] == 0, value))
        products[name] = pd.concat([products[name], rows])
    claims = judge(products, "e", "modular", RULE, ANALYSIS).set_index("claim")
    found = claims.loc["Fourier-sparse in the logarithm"]
    assert "Fourier-sparse" not in claims.index and found["estimate"] == pytest.approx(0.97)
    assert found["baseline_name"] == "fourier" and found["baseline"] == pytest.approx(0.945)


def test_claims_that_cannot_be_asked_are_left_out():
    """Of a polynomial there are no waves to remove, no translations and no surgery.

    Where every pair is trained on, none is unseen.
    """
    left = tables(part_of_ablation=(), held_out=float("nan"), translated=False)
    left["surgery"] = pd.DataFrame()
    names = set(judge(left, "e", "modular", RULE, ANALYSIS)["claim"])
    assert not [name for name in names if name.startswith(("answers", "groks", "frequencies", "surgery", "has", "its"))]
    assert "Fourier-sparse" in names


def test_network_that_never_memorises_is_compared_with_its_end():
    circuit = tables()["circuit"]
    slow = circuit[(circuit["measure"] != "train_accuracy") | (circuit["step"] == 0)]
    slow = pd.concat([slow, of_seeds("step measure value", (10, "train_accuracy", 0.5))])
    assert when_memorised(slow, 0.99).tolist() == pytest.approx([0.9, 0.89])
