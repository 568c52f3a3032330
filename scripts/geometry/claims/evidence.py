"""The tables on one experiment with a hidden Markov model, and the scores in them that claims are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from geometry.claims.claim import NO_PREDICTIONS, Scores, best_random_init, for_each_seed
from geometry.networks.hook_points import OUTPUT, is_layer_output
from geometry.probing.probe_table import BASELINES, PROBED
from geometry.tables import select


@dataclass(frozen=True)
class Evidence:
    """The tables of one experiment: of its networks, of random networks, and of theory (baselines and the process)."""

    probe: pd.DataFrame
    baselines: pd.DataFrame
    random_init: pd.DataFrame
    loss: pd.DataFrame
    steering: pd.DataFrame
    recovery: pd.DataFrame
    process_recovery: pd.DataFrame
    random_init_recovery: pd.DataFrame
    symmetry: pd.DataFrame
    process_symmetry: pd.DataFrame
    random_init_symmetry: pd.DataFrame
    subspaces: pd.DataFrame
    random_init_subspaces: pd.DataFrame
    attention: pd.DataFrame
    random_init_attention: pd.DataFrame
    analysis: Mapping[str, Mapping]

    @property
    def layer_outputs(self) -> list[str]:
        return [site for site in self.probe["site"].unique() if is_layer_output(site)]

    def has(self, **values) -> bool:
        return len(select(self.probe, **values)) > 0

    def r2(self, site: str, target: str = "belief_state", features: str = "activations", **where) -> Scores:
        """R2 of the networks by seed and draw, at the last snapshot unless an origin is given."""
        where = ({} if "origin" in where else {"step": self.probe["step"].max()}) | PROBED | where
        return by_draw(select(self.probe, site=site, target=target, features=features, **where))

    def of_random_init(self, site: str, target: str = "belief_state", **where) -> Scores:
        """R2 of the random networks, by their own seed and draw."""
        return by_draw(select(self.random_init, site=site, target=target, features="activations", **PROBED | where))

    def best_random_init(self, like: Scores, site: str, target: str = "belief_state", **where) -> dict[str, Scores]:
        """R2 of the best of the random networks, as a baseline for each seed."""
        return best_random_init(like, self.of_random_init(site, target, **where))

    def attention_r2(self, site: str, target: str) -> Scores:
        """R2 of the networks beside constrained updates, by seed and draw; of prefixes of two tokens or more."""
        return _r2_of_attention(self.attention, site, target)

    def best_random_attention(self, like: Scores, site: str, target: str) -> dict[str, Scores]:
        """The same of the best of the random networks, as a baseline for each seed."""
        return best_random_init(like, _r2_of_attention(self.random_init_attention, site, target))

    def baseline(self, like: Scores, name: str, target: str = "belief_state", **where) -> Scores:
        """R2 of a baseline among `BASELINES`: the network's own outputs by seed, others the same for each seed.

        Of samples of words, the others are by seed too.
        """
        site, features = BASELINES[name]
        if site == OUTPUT:
            return self.r2(site, target, features, **where)
        rows = select(self.baselines, site=site, features=features, target=target, **PROBED | where)
        if rows["seed"].notna().any():
            return by_draw(rows).reindex(like.index)
        return for_each_seed(like, select(rows, metric="r2_of_draw").set_index("draw")["value"])

    def baselines_of(self, like: Scores, names: list[str], target: str = "belief_state", **where) -> dict[str, Scores]:
        known = {name: self.baseline(like, name, target, **where) for name in names}
        found = {name: scores for name, scores in known.items() if len(scores)}
        return found if len(found) == len(known) else found | {NO_PREDICTIONS: for_each_seed(like, float("nan"))}

    @property
    def seeds(self) -> list[int]:
        return self.probe["seed"].unique().tolist()


def _r2_of_attention(table: pd.DataFrame, site: str, target: str) -> Scores:
    rows = select(table, measure="r2_of_draw", site=site, target=target)
    return rows.pivot(index="seed", columns="draw", values="value")


def by_draw(rows: pd.DataFrame) -> pd.DataFrame:
    """The R2 of each draw of folds, by seed."""
    return select(rows, metric="r2_of_draw").pivot(index="seed", columns="draw", values="value")
