"""What a probe's table must hold: the controls without which an R2 means nothing, as rows that can be missing."""

from itertools import product

KEYS = ["seed", "step", "site", "features", "target", "weighting", "split", "estimator", "metric"]

WEIGHTINGS = ["probability", "uniform", "distinct_prefix"]
WAYS = [
    *product(WEIGHTINGS, ["in_sample", "held_out_prefix"], ["least_squares"]),
    *product(WEIGHTINGS, ["held_out_prefix"], ["ridge"]),
    ("probability", "held_out_subtree", "least_squares"),
    ("probability", "held_out_length", "least_squares"),
    ("probability", "held_out_subtree", "ridge"),
]
RIVALS = [f"{of}_{form}probability" for of in ("next_token", "network") for form in ("", "log_")]
BASELINES = {
    "input": ["last_token", "additive_tokens", *(f"{k}_gram" for k in range(1, 7))],
    "optimal_output": RIVALS[:2],
    "output": RIVALS[2:],
}
WRONG = ["shuffled_belief_state", *(f"suffix_{k}_belief_state" for k in (1, 2, 3)), "markov_1_state", "markov_2_state"]


def missing_controls(probe, context, has_kernel):
    """What a table lacks, as (site, features, target, weighting, split, estimator, metric) for each network in it."""
    found = {key: set(rows[KEYS[2:]].itertuples(index=False, name=None)) for key, rows in probe.groupby(KEYS[:2])}
    sites = probe.loc[probe["features"] == "activations", "site"].unique()
    true = ["belief_state"] + ["belief_beyond_next_token"] * has_kernel
    wrong = WRONG + ["other_parameters_belief_state"] + ["class_shuffled_belief_state"] * has_kernel
    wanted = set()
    for site in sites:
        for way in WAYS:
            wanted |= {(site, "activations", target, *way, "r2") for target in true}
            wanted |= {(site, "activations", target, *way, "r2") for target in wrong}
            wanted.add((site, "activations", "belief_state", *way, "matching_kgram_order"))
        for weighting, split in product(["probability"], ["in_sample", "held_out_prefix"]):
            gains = [f"partial_r2_beyond_{covariate}" for covariate in RIVALS]
            wanted |= {(site, "activations", t, weighting, split, "least_squares", g) for t, g in product(true, gains)}
        lengths = [f"r2_after_{n}_tokens" for n in range(1, context + 1)]
        held_out, published = ("probability", "held_out_prefix"), ("uniform", "in_sample")
        for way, metric in product(((*held_out, "ridge"), (*published, "least_squares")), lengths):
            wanted.add((site, "activations", "belief_state", *way, metric))
        for split, target in product(("held_out_prefix", "held_out_subtree"), true):
            wanted |= {
                (site, "activations", target, "probability", split, "ridge", metric)
                for metric in ("r2_of_draw", "r2_sd_over_draws")
            }
        of_shape = ["procrustes_disparity", "participation_ratio", "variance_share_1"]
        for weighting, metric in product(WEIGHTINGS, of_shape):
            wanted.add((site, "activations", "belief_state", weighting, "in_sample", "principal_components", metric))
        wanted.add((site, "activations", "belief_state", *held_out, "ridge", "ridge_strength"))
    for site, names in BASELINES.items():
        for features, target, way in product(names, true, WAYS):
            table = features.startswith("last_") and features.endswith("_tokens")
            if not (table and way[2] == "ridge"):
                wanted.add((site, features, target, *way[:2], "table" if table else way[2], "r2"))
    return sorted((*network, *row) for network, rows in found.items() for row in wanted - rows)
