"""The rows that a probe's table and its baselines must have: the controls without which an R2 means nothing."""

from itertools import product

KEYS = ["seed", "step", "site", "features", "target", "weighting", "split", "estimator", "metric", "index"]

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
    "input": ["last_token", "additive_tokens", "in_context_bigrams", *(f"{k}_gram" for k in range(1, 7))],
    "optimal_output": RIVALS[:2],
}
WRONG = ["shuffled_belief_state", *(f"suffix_{k}_belief_state" for k in (1, 2, 3)), "markov_1_state", "markov_2_state"]


def rows_of(table):
    """The keys of some rows but seed and step; 0 stands for no index."""
    return set(table[KEYS[2:]].fillna({"index": 0}).itertuples(index=False, name=None))


def missing_baselines(baselines, has_kernel):
    """The rows that a table of baselines lacks, by the keys behind seed and step."""
    wanted = set()
    true = ["belief_state"] + ["belief_beyond_next_token"] * has_kernel
    for site, names in BASELINES.items():
        for features, target, way in product(names, true, WAYS):
            is_kgram = features.endswith("_gram")
            if not (is_kgram and way[2] == "ridge"):
                wanted.add((site, features, target, *way[:2], "k_gram" if is_kgram else way[2], "r2", 0))
    return sorted(wanted - rows_of(baselines))


BRIEFLY = [way for way in WAYS if way[0] == "probability" and way[1] in ("in_sample", "held_out_prefix")]
"""The ways of scoring at snapshots before the last; the others are in sample."""


def missing_controls(probe, context, has_kernel):
    """The rows that a probe's table lacks, by their keys: at each network's last snapshot, all; at others, fewer."""
    last = probe["step"].max()
    missing = []
    for (seed, step), rows in probe.groupby(KEYS[:2]):
        scope = "never trained" if last == 0 else "last" if step == last else "before"
        missing += [(seed, step, *row) for row in wanted_rows(probe, context, has_kernel, scope) - rows_of(rows)]
    return sorted(missing)


def wanted_rows(probe, context, has_kernel, scope):
    """The keys that one snapshot must have."""
    sites = probe.loc[probe["features"] == "activations", "site"].unique()
    true = ["belief_state"] + ["belief_beyond_next_token"] * has_kernel
    wrong = WRONG + ["control_parameters_belief_state"] + ["class_shuffled_belief_state"] * has_kernel
    wanted, ways = set(), BRIEFLY if scope == "before" else WAYS
    is_last = scope == "last"
    for site in sites:
        for way in ways:
            wanted |= {(site, "activations", target, *way, "r2", 0) for target in true + wrong * is_last}
            wanted.add((site, "activations", "belief_state", *way, "matching_kgram_order", 0))
        for weighting, split in product(["probability"] * is_last, ["in_sample", "held_out_prefix"]):
            gains = [f"partial_r2_beyond_{covariate}" for covariate in RIVALS]
            wanted |= {
                (site, "activations", t, weighting, split, "least_squares", g, 0) for t, g in product(true, gains)
            }
        held_out, published = ("probability", "held_out_prefix"), ("uniform", "in_sample")
        for way, n in product(((*held_out, "ridge"), (*published, "least_squares")), range(1, context + 1)):
            wanted.add((site, "activations", "belief_state", *way, "r2_by_length", n))
        for split, target in product(dict.fromkeys(way[1] for way in ways if way[2] == "ridge"), true):
            wanted |= {
                (site, "activations", target, "probability", split, "ridge", metric, 0)
                for metric in ("r2_of_draw", "r2_sd_over_draws")
            }
        of_shape = [("procrustes_disparity", 0), ("participation_ratio", 0), ("variance_share", 1)]
        for weighting, metric in product(WEIGHTINGS, of_shape):
            wanted.add((site, "activations", "belief_state", weighting, "in_sample", "principal_components", *metric))
        wanted.add((site, "activations", "belief_state", *held_out, "ridge", "ridge_strength", 0))
    for features, target, way in product(RIVALS[2:], true, ways):
        wanted.add(("output", features, target, *way, "r2", 0))
    return wanted
